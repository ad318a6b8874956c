"""The sandbox for tests: a real process on a free port."""

from __future__ import annotations

import json
import select
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import requests

START_S = 30


def lacking(expected: Any, real: Any, path: str = "$") -> list[str]:
    """Where ``real`` lacks a key of ``expected`` or holds another type; more than expected is no fault.

    Numbers are alike, null may stand for anything, and of a list the first item speaks for all.
    """
    match expected, real:
        case (None, _) | (_, None):
            return []
        case dict(), dict():
            absent = [f"{path}.{key}" for key in expected if key not in real]
            shared = [(f"{path}.{key}", expected[key], real[key]) for key in expected if key in real]
            return absent + [fault for at, one, other in shared for fault in lacking(one, other, at)]
        case list(), list():
            return lacking(expected[0], real[0], f"{path}[0]") if expected and real else []
    return [] if _kind(expected) == _kind(real) else [f"{path}: {_kind(real)} instead of {_kind(expected)}"]


def _kind(value: Any) -> str:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return "number" if is_number else type(value).__name__


class SandboxProcess:
    """Starts at once; ``url`` is where it serves."""

    def __init__(self) -> None:
        self.state = Path(tempfile.mkdtemp(prefix="waybill-sandbox-"))
        self.port = 0
        self.session = requests.Session()
        self.session.trust_env = False
        self._start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def control(self, method: str, path: str, body: Any = None) -> Any:
        """Use the control surface; its JSON. Raises ``requests.HTTPError``."""
        response = self.session.request(method, self.url + path, json=body, timeout=30)
        response.raise_for_status()
        return response.json()

    def calls(self, **query: str) -> list[dict[str, Any]]:
        """What carriers were asked, oldest first."""
        return self.session.get(f"{self.url}/_sandbox/calls", params=query, timeout=30).json()

    def clear(self) -> None:
        """Forget the calls."""
        self.control("DELETE", "/_sandbox/calls")

    def stop(self) -> None:
        """Ask it to end, and remove what it remembers."""
        self.process.terminate()
        self.process.wait(10)
        shutil.rmtree(self.state, ignore_errors=True)

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.wait(10)

    def restart(self) -> None:
        """Start again on the same port with the same memory."""
        self._start()

    def _start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "carriers.sandbox", "--port", str(self.port), "--state", str(self.state)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).resolve().parents[2],
        )
        ready, _, _ = select.select([self.process.stdout], [], [], START_S)
        line = self.process.stdout.readline() if ready else ""
        if not line:
            raise RuntimeError("the sandbox did not start")
        self.port = json.loads(line)["port"]
