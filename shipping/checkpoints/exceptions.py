"""Why a parcel is held up and who must act: of an exception or non-delivery report, as its carrier's code means it.

Both are stored within the checkpoint's details: columns would be empty in nearly all rows of the largest table, and the
details of several sources are merged by key already.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from carriers.types import Scan, Status

_KEY = "_exception"
_STATUSES = (Status.EXCEPTION, Status.NDR)


def store_in_details(scan: Scan) -> dict[str, Any]:
    """Return the details of a scan as they are stored."""
    details = {name: value for name, value in scan.details.items() if name != _KEY}
    actor = "" if scan.action_required_by == "none" else scan.action_required_by
    if scan.status in _STATUSES and (scan.reason or actor):
        details[_KEY] = {"reason": scan.reason, "action_required_by": actor}
    return details


def read_details(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``details``, ``reason`` and ``action_required_by`` of a checkpoint as responses show them."""
    if _KEY not in stored:  # as nearly all
        return {"details": stored, "reason": None, "action_required_by": None}
    shown = {name: value for name, value in stored.items() if name != _KEY}
    found = stored[_KEY]
    return {name: found[name] or None for name in ("reason", "action_required_by")} | {"details": shown}
