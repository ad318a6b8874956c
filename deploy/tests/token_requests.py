"""A process with many threads that request a credential's token at the same moment.

``python -m deploy.tests.token_requests CREDENTIAL THREADS READY START`` creates the file READY when all threads wait,
and starts them when the file START exists. It prints as JSON: ``tokens`` (number of different tokens), ``received``
(threads that got one), ``failed`` (the other threads' errors) and ``seconds`` (until the last thread ended).
"""

import json
import sys
import threading
import time
from pathlib import Path

import django

django.setup()

from django.db import connection  # noqa: E402 Django is set up first

from carriers.credentials import opening  # noqa: E402
from carriers.models import Credential  # noqa: E402
from carriers.types.errors import CarrierError  # noqa: E402


def main(credential_id: str, threads: int, ready: Path, start: Path) -> None:
    """Request the tokens and print the report."""
    tokens, failed = [], []
    together = threading.Barrier(threads + 1)
    credential = Credential.objects.get(id=credential_id)

    def request_token() -> None:
        adapter = opening.open_adapter(credential)
        together.wait()
        try:
            tokens.append(adapter.tokens.current())
        except CarrierError as error:
            failed.append(f"{error.code}: {error.carrier_message}")
        finally:
            connection.close()

    running = [threading.Thread(target=request_token) for _ in range(threads)]
    for thread in running:
        thread.start()
    ready.touch()
    while not start.exists():
        time.sleep(0.01)
    together.wait()
    began = time.monotonic()
    for thread in running:
        thread.join()
    seconds = time.monotonic() - began
    print(json.dumps({"tokens": len(set(tokens)), "received": len(tokens), "failed": failed, "seconds": seconds}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4]))
