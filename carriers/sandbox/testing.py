"""The sandbox for tests: a real process on a free port."""

from __future__ import annotations

import json
import select
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import requests

START_S = 30
# Keys under which a carrier writes words of its own, by the end of their path: codes, kinds, flags and sentences.
WORDS = (
    "error.code",
    "error.field",
    "message",
    "error",
    "event",
    "event_type",
    "type",
    "status",
    "status_code",
    "current_status",
    "failure_reason",
    "ndr_reason",
    "next_action",
    "delivery_type",
    "refund_status",
    "notification_channels",
    "token_type",
    "expires_in",
    "service_type",
    "service_types",
    "service_level",
    "services",
    "service_available",
    "is_serviceable",
    "cod_available",
    "pickup_point_available",
    "coverage_quality",
    "courier_company_id",
    "updated_fields",
    "currency",
    "country",
    "format",
    "size",
)
# What tells which items of two lists belong together.
MARKS = ("status", "status_code", "courier_company_id")


def lacking(expected: Any, real: Any, path: str = "$", *, exactly: bool = False) -> list[str]:
    """Where ``real`` lacks a key of ``expected``, holds another type, or another word where the carrier's words stand.

    Numbers are alike. Items are compared in pairs: those with a status or a courier with the next real one that has the
    same, all others by their place. More keys than expected are faults only where it has to fit ``exactly``.
    """
    if _is_word(path) and not isinstance(expected, dict):
        return [] if expected == real else [f"{path}: {real!r} instead of {expected!r}"]
    if _kind(expected) != _kind(real):
        return [f"{path}: {_kind(real)} instead of {_kind(expected)}"]
    if isinstance(expected, dict):
        faults = [f"{path}.{key} is missing" for key in expected if key not in real]
        faults += [f"{path}.{key} is too much" for key in real if exactly and key not in expected]
        pairs = [(f"{path}.{key}", expected[key], real[key]) for key in expected if key in real]
    elif isinstance(expected, list):
        faults = [f"{path}: something instead of nothing"] if real and not expected else []
        pairs = [(f"{path}[{place}]", *pair) for place, pair in enumerate(_paired(expected, real))]
    else:
        return []
    return faults + [fault for at, one, other in pairs for fault in lacking(one, other, at, exactly=exactly)]


def _paired(expected: list[Any], real: list[Any]) -> Iterator[tuple[Any, Any]]:
    """Each expected item with its real one, None where there is none."""
    begin = 0
    for place, one in enumerate(expected):
        name = next((name for name in MARKS if isinstance(one, dict) and name in one), None)
        if name is None:
            yield one, real[place] if place < len(real) else None
            continue
        found = [at for at in range(begin, len(real)) if real[at].get(name) == one[name]]
        begin = found[0] + 1 if found else begin
        yield one, real[found[0]] if found else None


def _is_word(path: str) -> bool:
    return ".errors." in path or any(path.endswith(f".{name}") for name in WORDS)


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
