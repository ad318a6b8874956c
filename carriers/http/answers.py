"""Carriers' answers, and what their status and headers mean."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from decimal import Decimal
from email.utils import parsedate_to_datetime
from math import ceil
from typing import Any

from django.utils import timezone

from carriers.models import CarrierCall

_LONGEST_RETRY_AFTER_S = 999_999


@dataclass(frozen=True)
class Answer:
    """A carrier's complete answer (``carriers.adapters.base.CarrierResponse``)."""

    status: int
    headers: Mapping[str, str]  # names in lower case
    content: bytes

    def json(self) -> Any:
        """Parse the body as JSON, numbers with a fraction as ``Decimal``. Raises: ``ValueError``."""
        return json.loads(self.content, parse_float=Decimal)

    @property
    def outcome(self) -> str:
        """``CarrierCall.Outcome`` by status: 5xx failed, 3xx and 4xx refused."""
        if self.status >= 500:
            return CarrierCall.Outcome.FAILED
        return CarrierCall.Outcome.REFUSED if self.status >= 300 else CarrierCall.Outcome.OK

    @property
    def retry_after_s(self) -> int | None:
        """``Retry-After`` in seconds, also if it is a date; None if it is absent or unreadable."""
        text = self.headers.get("retry-after", "").strip()
        if text.isascii() and text.isdigit():
            return max(1, min(_LONGEST_RETRY_AFTER_S, int(text[:18])))
        try:
            moment = parsedate_to_datetime(text)
            moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            return max(1, min(_LONGEST_RETRY_AFTER_S, ceil((moment - timezone.now()).total_seconds())))
        except (ValueError, OverflowError):
            return None
