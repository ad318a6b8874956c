"""How adapters verify and read their carrier's webhooks."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, tzinfo
from enum import StrEnum
from typing import Any, ClassVar

from apikeys.http.errors import NotAuthenticated
from carriers import types
from carriers.adapters import skipping
from carriers.adapters.client import CarrierClient
from carriers.adapters.records import read_each
from carriers.adapters.values import read_time

_MAX_CLOCK_SKEW = timedelta(minutes=5)  # how far a carrier's clock may be ahead of ours


class WebhookProof(StrEnum):
    """What proves that a webhook comes from the carrier, which decides what it may change."""

    SIGNATURE = "signature"  # the events are applied
    # A secret header of ours: the events are applied, and a final status has the track read again.
    TOKEN = "token"  # noqa: S105
    NONE = "none"  # a secret part of the URL: only has the track read again


class WebhookReader(CarrierClient):
    """The webhook operations of an adapter. None of them sends a request."""

    webhook_proof: ClassVar[WebhookProof] = WebhookProof.SIGNATURE
    webhook_max_age: ClassVar[timedelta] = timedelta(minutes=5)
    zone: ClassVar[tzinfo] = UTC  # of times without an offset

    def verify_webhook(self, *, headers: Mapping[str, str], body: bytes, now: datetime) -> None:
        """Check the carrier's proof on the raw bytes. ``headers`` have lower-case names.

        Raises ``NotAuthenticated`` for a proof that is missing, malformed, wrong or older than ``webhook_max_age``.
        """
        raise self._unsupported("verify_webhook")

    def webhook_reply(self, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes] | None:
        """Return status and body of the reply to a validation call, which has no proof; None: an ordinary webhook."""
        return None

    def parse_webhook(self, body: bytes) -> types.WebhookReport:
        """Read a verified body. Raises ``ValueError`` with the reason if it is unreadable."""
        raise self._unsupported("parse_webhook")

    def _read_events(self, body: bytes, read: Callable[[Any], types.WebhookReport]) -> types.WebhookReport:
        """Read a webhook of one event, or of a list of events, of which unreadable ones are skipped."""
        with self._reading_webhook():
            events = json.loads(body)
            if not isinstance(events, list) or not events:
                return read(events)
            paths = [(f"[{number}]", event) for number, event in enumerate(events)]
            reports = read_each(paths, lambda _path, event: read(event))
        return types.WebhookReport(
            event_type=reports[0].event_type,
            scans=tuple(scan for report in reports for scan in report.scans),
            pickups=tuple(pickup for report in reports for pickup in report.pickups),
            reread=tuple(number for report in reports for number in report.reread),
        )

    @contextmanager
    def _reading_webhook(self) -> Iterator[None]:
        """Turn errors of parsing extreme JSON into the ``ValueError`` of an unreadable webhook."""
        try:
            with skipping.reading(self.slug, "parse_webhook"):
                yield
        except (ArithmeticError, RecursionError) as error:
            raise ValueError("the body is nested too deeply or contains extreme numbers") from error

    def _verify_hmac(
        self, timestamp: str, signature: str, *, headers: Mapping[str, str], body: bytes, now: datetime
    ) -> None:
        """Verify a hex HMAC-SHA256 of ``{timestamp}.{body}`` under the credential's ``webhook_secret``.

        Args:
            timestamp, signature: names of the headers, in lower case.
        """
        secret, sent_at = self.fields.get("webhook_secret") or "", headers.get(timestamp, "")
        given = headers.get(signature, "").encode("utf-8", "replace")
        signed = sent_at.encode("utf-8", "replace") + b"." + body
        expected = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest().encode()
        if not secret or not hmac.compare_digest(expected, given):
            raise NotAuthenticated
        try:
            age = now - read_time(sent_at, zone=self.zone)[0]
        except ValueError as error:
            raise NotAuthenticated from error
        if not -_MAX_CLOCK_SKEW <= age <= self.webhook_max_age:
            raise NotAuthenticated

    def _verify_token(self, header: str, *, headers: Mapping[str, str]) -> None:
        """Verify a header that repeats the credential's ``webhook_token``. ``header``: its name, in lower case."""
        token = self.fields.get("webhook_token") or ""
        given = headers.get(header, "").encode("utf-8", "replace")
        if not token or not hmac.compare_digest(token.encode(), given):
            raise NotAuthenticated
