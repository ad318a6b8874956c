"""Test helpers: the sandbox as a process on a free port, and a comparison of answers with recorded ones."""

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
# Accounts that exist without configuration.
STANDARD_ACCOUNTS = {
    *("test-client-id", "test-client", "pickit-platform", "+910000000000", "velocity-platform"),
    *("test@bring.example", "platform@bring.example"),
    *("ups-client", "ups-platform"),
}
# Ends of the paths of the carrier's own words (codes, kinds, flags, sentences). These values must be equal.
EXACT_KEYS = (
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
# Keys that pair the items of two lists.
PAIRING_KEYS = ("status", "status_code", "courier_company_id")


def find_differences(expected: Any, real: Any, path: str = "$", *, exactly: bool = False) -> list[str]:
    """Return where ``real`` lacks a key of ``expected``, or has another type or another value of ``EXACT_KEYS``.

    All numbers are one type. List items with one of ``PAIRING_KEYS`` are compared with the next real item of the same
    value, others by position. Additional keys are differences only with ``exactly``.
    """
    is_exact = ".errors." in path or any(path.endswith(f".{name}") for name in EXACT_KEYS)
    if is_exact and not isinstance(expected, dict):
        return [] if expected == real else [f"{path}: {real!r} instead of {expected!r}"]
    if _type_name(expected) != _type_name(real):
        return [f"{path}: {_type_name(real)} instead of {_type_name(expected)}"]
    if isinstance(expected, dict):
        differences = [f"{path}.{key} is missing" for key in expected if key not in real]
        differences += [f"{path}.{key} is too much" for key in real if exactly and key not in expected]
        pairs = [(f"{path}.{key}", expected[key], real[key]) for key in expected if key in real]
    elif isinstance(expected, list):
        differences = [f"{path}: something instead of nothing"] if real and not expected else []
        pairs = [(f"{path}[{index}]", *pair) for index, pair in enumerate(_pair_items(expected, real))]
    else:
        return []
    for item_path, one, other in pairs:
        differences += find_differences(one, other, item_path, exactly=exactly)
    return differences


def _pair_items(expected: list[Any], real: list[Any]) -> Iterator[tuple[Any, Any]]:
    """Yield each expected item with its real one, or None."""
    begin = 0
    for index, one in enumerate(expected):
        key = next((key for key in PAIRING_KEYS if isinstance(one, dict) and key in one), None)
        if key is None:
            yield one, real[index] if index < len(real) else None
            continue
        found = [position for position in range(begin, len(real)) if real[position].get(key) == one[key]]
        begin = found[0] + 1 if found else begin
        yield one, real[found[0]] if found else None


def _type_name(value: Any) -> str:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return "number" if is_number else type(value).__name__


class SandboxProcess:
    """A running sandbox with its own state directory. ``url`` is its base URL."""

    def __init__(self) -> None:
        self.state = Path(tempfile.mkdtemp(prefix="waybill-sandbox-"))
        self.port = 0
        self.session = requests.Session()
        self.session.trust_env = False
        # Standard accounts that were configured since the last reset.
        self.configured = set(STANDARD_ACCOUNTS)
        self._start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def control(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request to the control surface; return its JSON. Raises ``requests.HTTPError``."""
        self.configured |= STANDARD_ACCOUNTS & {path.rpartition("/")[2]}
        response = self.session.request(method, self.url + path, json=body, timeout=30)
        response.raise_for_status()
        return response.json()

    def calls(self, **query: str) -> list[dict[str, Any]]:
        """Return the calls that the carriers received, oldest first."""
        return self.session.get(f"{self.url}/_sandbox/calls", params=query, timeout=30).json()

    def clear(self) -> None:
        """Delete the record of calls."""
        self.control("DELETE", "/_sandbox/calls")

    def reset(self) -> None:
        """Delete faults and the record of calls, and the rate limits and webhook addresses of standard accounts."""
        self.control("DELETE", "/_sandbox/faults")
        self.clear()
        for account in sorted(self.configured):
            self.control("PUT", f"/_sandbox/accounts/{account}", {"rate_limit": 0, "webhook_url": ""})
        self.configured.clear()

    def stop(self) -> None:
        """Stop the process with SIGTERM and delete its state."""
        self.process.terminate()
        self.process.wait(10)
        shutil.rmtree(self.state, ignore_errors=True)

    def kill(self) -> None:
        """Stop the process with SIGKILL."""
        self.process.kill()
        self.process.wait(10)

    def restart(self) -> None:
        """Start it again on the same port with the same state."""
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
