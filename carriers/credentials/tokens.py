"""Access tokens, stored encrypted on the credential's row and shared by all processes.

A lease on the row, longer than a call's timeout, lets one caller log in. Its write is fenced, and no lock is held
during HTTP. The other callers wait for a bounded time, then raise ``CarrierUnavailable``. Tokens are renewed before
they expire.
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
from apikeys.http.guards import seconds_left
from carriers import types
from carriers.http import metrics, slots
from carriers.models import Credential
from carriers.models.event_types import CREDENTIAL_ACCEPTED, CREDENTIAL_REFUSED
from carriers.types import errors

log = logging.getLogger(__name__)
_POLL_S = 0.1
_poll_locks: dict[uuid.UUID, threading.Lock] = {}  # by credential
# If a carrier refuses a token that is newer than this, another login would not help.
_MIN_RENEWAL = timedelta(seconds=5)
_RECORD_USE_EVERY = timedelta(hours=1)
LEASES = Leases(
    Credential,
    lasts=lambda: timedelta(seconds=settings.CARRIER_TIMEOUT_S + 15),
    until="token_lease_until",
    fence="token_fence",
)


class StoredTokens:
    """``carriers.adapters.base.TokenSource`` on the credential's row."""

    def __init__(
        self, credential: Credential, *, carrier: str, margin: timedelta, fetch: Callable[[str], types.Token]
    ) -> None:
        self.credential_id, self.fields_of = credential.id, credential.updated_at
        self.used_at = credential.token_used_at
        self.carrier, self.margin, self.fetch = carrier, margin, fetch

    def current(self, kind: str = "main") -> str:
        """Return the stored token, or log in. Raises: what the adapter's ``fetch_token`` raises."""
        token = self._obtain(kind, refused=None)
        now = timezone.now()
        # ``refresh_tokens`` renews tokens in use. An hourly update is enough, and saves a write in most calls.
        if self.used_at is None or self.used_at < now - _RECORD_USE_EVERY:
            Credential.objects.filter(id=self.credential_id).update(token_used_at=now)
            self.used_at = now
        return token

    def renew(self, kind: str, refused: str) -> str:
        """Return a token other than the refused one. Raises: ``CarrierAuthentication`` if that one is seconds old."""
        return self._obtain(kind, refused=refused)

    def _obtain(self, kind: str, refused: str | None) -> str:
        give_up = time.monotonic() + min(settings.CARRIER_TIMEOUT_S, seconds_left() or settings.CARRIER_TIMEOUT_S)
        while True:
            row = Credential.objects.get(id=self.credential_id)
            if row.updated_at != self.fields_of:  # ``fetch`` would log in with the old fields
                raise self._unavailable(_("The credential was changed during this request."), retry_after_s=1)
            if token := self._usable_token(row, refused):
                return token
            # Since the row was read, another caller may have logged in (fencing number) or been refused (login_after).
            unchanged = Credential.objects.filter(id=row.id, token_fence=row.token_fence)
            if lease := LEASES.acquire(unchanged.filter(~_refused_recently())):
                return self._fetch(kind, lease)
            self._wait_for_login(row, give_up)

    def _usable_token(self, row: Credential, refused: str | None) -> str:
        """Return the stored token, or an empty string if a login is needed.

        Raises: ``CarrierAuthentication`` if a login would not help.
        """
        stored = decrypt_token(row)
        until = usable_until(row, self.margin)
        if stored and stored != refused and until is not None and until > timezone.now():
            return stored
        if row.login_after and Credential.objects.filter(_refused_recently(), id=row.id).exists():
            code, _colon, message = (row.refusal or "").partition(": ")
            raise errors.CarrierAuthentication(carrier=self.carrier, carrier_code=code, carrier_message=message)
        is_fresh = row.token_fetched_at is not None and abs(timezone.now() - row.token_fetched_at) < _MIN_RENEWAL
        if stored and stored == refused and is_fresh:
            text = _("A fresh access token was refused.")
            raise errors.CarrierAuthentication(carrier=self.carrier, carrier_code="401", carrier_message=text)
        return ""

    def _wait_for_login(self, row: Credential, give_up: float) -> None:
        """Wait until another caller's login has ended. One of the waiting threads of this process polls the row."""
        lock = _poll_locks.setdefault(row.id, threading.Lock())
        try:
            with slots.login_wait_slot():
                if not connection.in_atomic_block:
                    connection.close()  # there are fewer connections than threads
                if not lock.acquire(timeout=max(0.0, give_up - time.monotonic())):
                    raise self._still_logging_in()
                try:
                    while Credential.objects.filter(LEASES.running(), id=row.id, token_fence=row.token_fence).exists():
                        if time.monotonic() >= give_up:
                            raise self._still_logging_in()
                        time.sleep(_POLL_S)
                finally:
                    lock.release()
        except slots.Full as error:
            raise self._still_logging_in() from error

    def _still_logging_in(self) -> errors.CarrierUnavailable:
        return self._unavailable(_("Another request is still logging in."), retry_after_s=5)

    def _unavailable(self, reason: str, *, retry_after_s: int) -> errors.CarrierUnavailable:
        return errors.CarrierUnavailable(carrier=self.carrier, carrier_message=reason, retry_after_s=retry_after_s)

    def _fetch(self, kind: str, lease: Lease) -> str:
        try:
            token = self.fetch(kind)
        except BaseException as error:
            if isinstance(error, errors.CarrierAuthentication):
                record_refusal(lease.rows, error)
            lease.release()
            raise
        record_login(lease.rows)
        store_token(lease.rows, token)
        return token.value


def store_token(rows: QuerySet[Credential], token: types.Token) -> None:
    """Store a fetched token. ``rows``: the credential, or no row if it changed during the login."""
    row = rows.only("carrier").first()
    if row is None:
        return
    rows.update(
        token=Credential._meta.get_field("token").encrypt_for(row.id, token.value),
        token_expires_at=token.expires_at,
        token_fetched_at=timezone.now(),
        token_lease_until=None,
        # A caller that read the row before this write must read it again instead of logging in too.
        token_fence=F("token_fence") + 1,
    )
    metrics.token_expiry(row.carrier).set((token.expires_at - timezone.now()).total_seconds())


def record_refusal(rows: QuerySet[Credential], error: errors.CarrierAuthentication) -> None:
    """Record that the carrier refused the login. ``rows``: the credential, or no row if it changed during the login.

    No process logs in again for ``CARRIER_LOGIN_REST_S``. The first refusal is an event.
    """
    now = timezone.now()
    with transaction.atomic():
        refusal = f"{error.carrier_code}: {error.carrier_message}"
        rows.update(token_lease_until=None, refusal=refusal[:200], login_after=leases.now() + _login_pause())
        if rows.filter(refused_at=None).update(refused_at=now):
            _record_event(CREDENTIAL_REFUSED, rows.get(), error=error.code)


def record_login(rows: QuerySet[Credential]) -> None:
    """Record that the carrier accepted the login: clear an earlier refusal. ``rows`` as in ``record_refusal``."""
    with transaction.atomic():
        flagged = rows.filter(refused_at__isnull=False)
        if flagged.update(refused_at=None, refusal=None, login_after=None):
            _record_event(CREDENTIAL_ACCEPTED, rows.get())


def _record_event(kind: events.EventType, row: Credential, **more: str) -> None:
    data = {"carrier": row.carrier, "environment": row.environment, **more}
    events.record(kind, tenant=row.tenant, subject_id=row.id, data=data)


def decrypt_token(row: Credential) -> str:
    """Return the stored token, or an empty string if there is none or it cannot be decrypted (then log in again)."""
    try:
        return row.token or ""
    except Undecryptable as error:
        log.warning("stored token not readable", extra={"credential": str(row.id), "error": str(error)})
        return ""


def usable_until(row: Credential, margin: timedelta) -> datetime | None:
    """Return the time from which the stored token is renewed: its expiry less the margin, at least half of its life."""
    if row.token_expires_at is None:
        return None
    if row.token_fetched_at:
        margin = min(margin, (row.token_expires_at - row.token_fetched_at) / 2)
    return row.token_expires_at - margin


def _refused_recently() -> Q:
    return leases.still_lasting("login_after", _login_pause())


def _login_pause() -> timedelta:
    return timedelta(seconds=settings.CARRIER_LOGIN_REST_S)
