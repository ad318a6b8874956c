"""Words by which an order itself asks its simulated carrier to fail, in any way in which carriers do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

FAULTS: dict[str, dict[str, Any]] = {
    "SANDBOX-TIMEOUT": {"kind": "timeout", "delay_s": 60},
    "SANDBOX-HANG-AFTER": {"kind": "hang_after", "delay_s": 60},
    "SANDBOX-SLOW": {"kind": "slow", "delay_s": 15},
    "SANDBOX-REJECT": {"kind": "status", "status": 400},
    **{f"SANDBOX-{status}": {"kind": "status", "status": status} for status in (401, 429, 500, 502, 503)},
    **{
        f"SANDBOX-{kind.upper()}": {"kind": kind}
        for kind in ("garbage", "close", "reset", "cut", "truncated", "mistyped", "huge")
    },
}


def fault(words: Iterable[object]) -> dict[str, Any] | None:
    """What the first magic word among an order's texts asks for; None where there is none."""
    return next((FAULTS[word] for word in map(str, words) if word in FAULTS), None)
