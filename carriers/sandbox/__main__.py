"""Command line of the sandbox: ``python -m carriers.sandbox --port 8010 --state var/sandbox``."""

from __future__ import annotations

import argparse
import signal
from pathlib import Path
from typing import NoReturn

from carriers.sandbox.server import serve


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options, which ``manage.py runsandbox`` has too."""
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8010)
    parser.add_argument("--state", type=Path, default=Path("var/sandbox"), help="Directory for the stored state.")
    parser.add_argument(
        "--webhook", action="append", default=[], metavar="ACCOUNT=URL", help="URL for the webhooks of an account."
    )
    parser.add_argument("--retry-scale", type=float, default=1.0, help="Multiplies the waits between webhook retries.")


def run(*, host: str, port: int, state: Path, webhook: list[str], retry_scale: float) -> None:
    """Serve with parsed options."""

    def interrupt(*args: object) -> NoReturn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one would interrupt the stop
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    urls = dict(pair.split("=", 1) for pair in webhook)
    serve(host=host, port=port, state=state, webhooks=urls, retry_scale=retry_scale)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="sandbox", description=__doc__)
    add_options(parser)
    run(**vars(parser.parse_args()))
