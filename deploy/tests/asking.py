"""A process of many threads that all want a credential's token at one moment.

``python -m deploy.tests.asking CREDENTIAL THREADS READY START``: writes the file READY when all threads wait, asks when
the file START is there, and prints ``tokens`` (how many different ones), ``asked`` (how many threads got one),
``failed`` (the others' reasons) and ``seconds`` (the longest wait) as JSON.
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
    """Ask, and print what came."""
    tokens, failed = [], []
    together = threading.Barrier(threads + 1)

    credential = Credential.objects.get(id=credential_id)

    def one() -> None:
        adapter = opening.open_adapter(credential)
        together.wait()
        try:
            tokens.append(adapter.tokens.current())
        except CarrierError as error:
            failed.append(f"{error.code}: {error.carrier_message}")
        finally:
            connection.close()

    running = [threading.Thread(target=one) for _ in range(threads)]
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
    print(json.dumps({"tokens": len(set(tokens)), "asked": len(tokens), "failed": failed, "seconds": seconds}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4]))
