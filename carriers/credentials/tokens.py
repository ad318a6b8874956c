"""Access tokens: one fetch per credential, however many callers wait.

A lease on the credential's row (longer than a call's timeout) decides who fetches; the write is fenced; no lock is held
over HTTP. Waiters re-read the row, bounded, then get ``CarrierUnavailable``. Tokens are stored encrypted and renewed
early.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from apikeys.audit import events
from apikeys.db import leases
from apikeys.db.crypto import Undecryptable
from apikeys.db.leases import Lease, Leases
from apikeys.db.tenancy import Tenant
from apikeys.http.guards import seconds_left
from carriers import types
from carriers.http import metrics, slots
from carriers.models import Credential
from carriers.models.event_types import CREDENTIAL_ACCEPTED, CREDENTIAL_REFUSED
from carriers.types import errors

log = logging.getLogger(__name__)
_POLL_S = 0.1
_looks: dict[uuid.UUID, threading.Lock] = {}  # by credential
# A carrier that refuses its own fresh token is not asked for another one more often than this.
_MIN_RENEWAL = timedelta(seconds=5)
_NOTE_EVERY = timedelta(hours=1)
LEASES = Leases(
    Credential,
    lasts=lambda: timedelta(seconds=settings.CARRIER_TIMEOUT_S + 15),
    until="token_lease_until",
    fence="token_fence",
)


class StoredTokens:
    """``carriers.adapters.base.TokenSource`` over the credential's row."""

    def __init__(
        self, credential: Credential, *, carrier: str, margin: timedelta, fetch: Callable[[], types.Token]
    ) -> None:
        self.credential_id, self.fields_of = credential.id, credential.updated_at
        self.used_at = credential.token_used_at
        self.carrier, self.margin, self.fetch = carrier, margin, fetch

    def current(self) -> str:
        """The stored token, or a new one. Raises what ``fetch_token`` of the adapter raises."""
        token = self._get(refused=None)
        self._note_use()
        return token

    def renew(self, refused: str) -> str:
        """Another token than the refused one, unless one was fetched a moment ago (then ``CarrierAuthentication``)."""
        return self._get(refused=refused)

    def _get(self, refused: str | None) -> str:
        give_up = time.monotonic() + min(settings.CARRIER_TIMEOUT_S, seconds_left() or settings.CARRIER_TIMEOUT_S)
        while True:
            row = Credential.objects.get(id=self.credential_id)
            if row.updated_at != self.fields_of:  # ``fetch`` would log the old account in, for the new one
                raise self._unavailable(_("The credential was changed during this request."), retry_after_s=1)
            if usable := self._usable(row, refused):
                return usable
            # Since the row was read, another caller may have logged in (fencing number) or been refused (login_after).
            unchanged = Credential.objects.filter(id=row.id, token_fence=row.token_fence)
            if lease := LEASES.acquire(unchanged.filter(~_refused_recently())):
                return self._fetch(lease)
            self._wait(row, give_up)

    def _usable(self, row: Credential, refused: str | None) -> str:
        """The stored token, or empty where another one is needed. Raises ``CarrierAuthentication`` where none helps."""
        stored = readable_token(row)
        if stored and stored != refused and self._lasts(row):
            return stored
        if row.login_after and Credential.objects.filter(_refused_recently(), id=row.id).exists():
            code, _colon, message = (row.refusal or "").partition(": ")
            raise errors.CarrierAuthentication(carrier=self.carrier, carrier_code=code, carrier_message=message)
        if stored and stored == refused and _just_fetched(row):
            text = _("A fresh access token was refused.")
            raise errors.CarrierAuthentication(carrier=self.carrier, carrier_code="401", carrier_message=text)
        return ""

    def _note_use(self) -> None:
        """For whoever renews the tokens in use; once an hour is often enough, and no write for most calls."""
        now = timezone.now()
        if self.used_at is None or self.used_at < now - _NOTE_EVERY:
            Credential.objects.filter(id=self.credential_id).update(token_used_at=now)
            self.used_at = now

    def _wait(self, row: Credential, give_up: float) -> None:
        """Until another caller's log-in has ended. Of all that wait in this process one looks."""
        look = _looks.setdefault(row.id, threading.Lock())
        try:
            with slots.waiting():
                if not connection.in_atomic_block:
                    connection.close()  # those that wait need none, and there are fewer than threads
                if not look.acquire(timeout=max(0.0, give_up - time.monotonic())):
                    raise self._not_yet()
                try:
                    while Credential.objects.filter(LEASES.running(), id=row.id, token_fence=row.token_fence).exists():
                        if time.monotonic() >= give_up:
                            raise self._not_yet()
                        time.sleep(_POLL_S)
                finally:
                    look.release()
        except slots.Full as error:
            raise self._not_yet() from error

    def _not_yet(self) -> errors.CarrierUnavailable:
        return self._unavailable(_("Another request is still logging in."), retry_after_s=5)

    def _unavailable(self, reason: str, *, retry_after_s: int) -> errors.CarrierUnavailable:
        return errors.CarrierUnavailable(carrier=self.carrier, carrier_message=reason, retry_after_s=retry_after_s)

    def _lasts(self, row: Credential) -> bool:
        until = usable_until(row, self.margin)
        return until is not None and until > timezone.now()

    def _fetch(self, lease: Lease) -> str:
        try:
            token = self.fetch()
        except BaseException as error:
            if isinstance(error, errors.CarrierAuthentication):
                refused(lease.rows, error)
            lease.release()
            raise
        accepted(lease.rows)
        keep(lease.rows, token)
        return token.value


def keep(rows: QuerySet[Credential], token: types.Token) -> None:
    """Store what a log-in brought (``rows``: the account or, where it changed meanwhile, none)."""
    row = rows.only("carrier").first()
    if row is None:
        return
    rows.update(
        token=Credential._meta.get_field("token").sealed_for(row.id, token.value),
        token_expires_at=token.expires_at,
        token_fetched_at=timezone.now(),
        token_lease_until=None,
        # Whoever read the row before this write must read it again, and not log in once more.
        token_fence=F("token_fence") + 1,
    )
    metrics.token_expiry(row.carrier).set((token.expires_at - timezone.now()).total_seconds())


def refused(rows: QuerySet[Credential], error: errors.CarrierAuthentication) -> None:
    """The carrier did not log the account in (``rows``: it or, where it changed meanwhile, none).

    It is flagged, an event the first time, and for a moment nobody tries again.
    """
    now = timezone.now()
    with transaction.atomic():
        words = f"{error.carrier_code}: {error.carrier_message}"
        rows.update(
            token_lease_until=None,
            refusal=words[:200],
            login_after=leases.now() + _login_rest(),
        )
        if rows.filter(refused_at=None).update(refused_at=now):
            _tell(CREDENTIAL_REFUSED, rows.get(), error=error.code)


def accepted(rows: QuerySet[Credential]) -> None:
    """The carrier has logged the account in: a flag comes off."""
    with transaction.atomic():
        flagged = rows.filter(refused_at__isnull=False)
        if flagged.update(refused_at=None, refusal=None, login_after=None):
            _tell(CREDENTIAL_ACCEPTED, rows.get())


def _tell(kind: events.EventType, row: Credential, **more: str) -> None:
    tenant = Tenant(row.merchant_id, row.mode) if row.merchant_id else None
    data = {"carrier": row.carrier, "environment": row.environment, **more}
    events.record(kind, tenant=tenant, subject_id=row.id, data=data)


def readable_token(row: Credential) -> str:
    """The stored token. Empty where there is none and where it cannot be decrypted, which another one mends."""
    try:
        return row.token or ""
    except Undecryptable as error:
        log.warning("stored token not readable", extra={"credential": str(row.id), "error": str(error)})
        return ""


def usable_until(row: Credential, margin: timedelta) -> datetime | None:
    """The stored token's end less the margin, but half of its life at least: one of a minute serves half a minute."""
    if row.token_expires_at is None:
        return None
    if row.token_fetched_at:
        margin = min(margin, (row.token_expires_at - row.token_fetched_at) / 2)
    return row.token_expires_at - margin


def _refused_recently() -> Q:
    return leases.still_lasting("login_after", _login_rest())


def _login_rest() -> timedelta:
    return timedelta(seconds=settings.CARRIER_LOGIN_REST_S)


def _just_fetched(row: Credential) -> bool:
    return row.token_fetched_at is not None and abs(timezone.now() - row.token_fetched_at) < _MIN_RENEWAL
