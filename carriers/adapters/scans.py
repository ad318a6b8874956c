"""Build scans from carriers' codes, with texts that fit the columns."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import UTC, tzinfo
from types import MappingProxyType
from typing import Any

from carriers.adapters.values import read_time
from carriers.types import Scan, Status

MAX_CODE, MAX_TEXT = 64, 200  # characters of a code, of a location or description


def find_code(text: str, codes: Collection[str]) -> str:
    """Return the code that a carrier wrote in another case, or as words. Any other text is returned as it is.

    "Out For Delivery" and "out-for-delivery" are the code ``out_for_delivery``.
    """
    if text in codes:
        return text
    word = re.sub(r"[\s_-]+", "_", text.strip())
    return next((code for code in (word.lower(), word.upper()) if code in codes), text)


def build_scan(
    code: str,
    occurred_text: str,
    *,
    statuses: Mapping[str, Status],
    descriptions: Mapping[str, str],
    zone: tzinfo = UTC,
    description: str = "",
    location: str = "",
    details: Mapping[str, Any],
    reasons: Mapping[str, tuple[str, str]] = MappingProxyType({}),
    cause: Any = "",
) -> Scan:
    """Return the scan of a code; one that ``statuses`` lacks has status unknown. Raises ``ValueError`` for the time.

    Args:
        descriptions: texts for codes that are reported without a ``description``.
        zone: the zone of a time without an offset.
        reasons: ``reason`` and ``action_required_by`` of exceptions, by ``cause`` or else by code.
        cause: the carrier's word for the cause of an exception.
    """
    code = find_code(code, statuses)
    reason, action = reasons.get(code, ("", ""))
    if reason and isinstance(cause, str):
        reason, action = reasons.get(cause, (reason, action))
    occurred_at, is_assumed = read_time(occurred_text, zone=zone)
    return Scan(
        code=code[:MAX_CODE],
        status=statuses.get(code, Status.UNKNOWN),
        occurred_at=occurred_at,
        occurred_text=occurred_text,
        tz_assumed=is_assumed,
        reason=reason,
        action_required_by=action,
        description=(description or descriptions.get(code, code))[:MAX_TEXT],
        location=location[:MAX_TEXT],
        details=details,
    )
