"""Processes with many threads that request a credential's token at the same moment.

``python -m deploy.tests.token_requests CREDENTIAL PROCESSES THREADS`` prints a list in JSON with a report of each
process: ``tokens`` (number of different tokens), ``received`` (threads that got one), ``failed`` (the other threads'
errors) and ``seconds`` (until the last thread ended). The processes are forks of the first, which loads Django for all
and opens no connection.
"""

import json
import multiprocessing
import sys
import threading
import time
from typing import Any

import django

django.setup()

from django.db import connection  # noqa: E402 Django is set up first

from carriers.credentials import opening  # noqa: E402
from carriers.models import Credential  # noqa: E402
from carriers.types.errors import CarrierError  # noqa: E402

PATIENCE_S = 120


def request_tokens(credential_id: str, threads: int, together: threading.Barrier) -> dict[str, Any]:
    """Request the tokens when all threads of all processes wait; return the report of this process."""
    tokens, failed = [], []
    ready = threading.Barrier(threads + 1)
    credential = Credential.objects.get(id=credential_id)

    def request_token() -> None:
        adapter = opening.open_adapter(credential)
        ready.wait()
        try:
            tokens.append(adapter.tokens.current())
        except CarrierError as error:
            failed.append(f"{error.code}: {error.carrier_message}")
        finally:
            connection.close()

    running = [threading.Thread(target=request_token) for _ in range(threads)]
    for thread in running:
        thread.start()
    together.wait(PATIENCE_S)
    ready.wait()
    began = time.monotonic()
    for thread in running:
        thread.join()
    seconds = time.monotonic() - began
    return {"tokens": len(set(tokens)), "received": len(tokens), "failed": failed, "seconds": seconds}


def main(credential_id: str, processes: int, threads: int) -> None:
    """Print the reports of the processes."""
    forks = multiprocessing.get_context("fork")
    together, reports = forks.Barrier(processes), forks.SimpleQueue()

    def run() -> None:
        reports.put(request_tokens(credential_id, threads, together))

    running = [forks.Process(target=run) for _ in range(processes)]
    for process in running:
        process.start()
    print(json.dumps([reports.get() for _ in running]))
    for process in running:
        process.join()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
