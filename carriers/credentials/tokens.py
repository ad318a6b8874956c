"""Access tokens, stored encrypted in a row for each credential and kind, shared by all processes.

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
from carriers.models import Credential, CredentialToken
from carriers.models.event_types import CREDENTIAL_ACCEPTED, CREDENTIAL_REFUSED
from carriers.types import errors

log = logging.getLogger(__name__)
_POLL_S = 0.1
_poll_locks: dict[uuid.UUID, threading.Lock] = {}  # by row
# If a carrier refuses a token that is newer than this, another login would not help.
_MIN_RENEWAL = timedelta(seconds=5)
_RECORD_USE_EVERY = timedelta(hours=1)
LEASES = Leases(CredentialToken, lasts=lambda: timedelta(seconds=settings.CARRIER_TIMEOUT_S + 15))


class StoredTokens:
    """``carriers.adapters.protocols.TokenSource`` on the rows of a credential.

    Args:
        platform: the credential of the platform that the fields of this one are taken from in part, if any.
        fetch: logs in for a kind of token.
    """

    def __init__(
        self,
        credential: Credential,
        *,
        carrier: str,
        margin: timedelta,
        fetch: Callable[[str], types.Token],
        platform: Credential | None = None,
    ) -> None:
        self.credential_id, self.fields_of = credential.id, credential.updated_at
        self.carrier, self.margin, self.fetch, self.platform = carrier, margin, fetch, platform

    def current(self, kind: str = "main") -> str:
        """Return the stored token, or log in. Raises: what the adapter's ``fetch_token`` raises."""
        return self._obtain(kind, refused=None)

    def renew(self, kind: str, refused: str) -> str:
        """Return a token other than the refused one. Raises: ``CarrierAuthentication`` if that one is seconds old."""
        return self._obtain(kind, refused=refused)

    def _obtain(self, kind: str, refused: str | None) -> str:
        give_up = time.monotonic() + min(settings.CARRIER_TIMEOUT_S, seconds_left() or settings.CARRIER_TIMEOUT_S)
        while True:
            row = find_token(self.credential_id, kind)
            if row.credential.updated_at != self.fields_of:  # ``fetch`` would log in with the old fields
                raise self._changed()
            if token := self._usable_token(row, refused):
                if refused is None:
                    self._record_use(row)
                return token
            self._check_platform()
            # Since the row was read, another caller may have logged in (fencing number) or been refused (login_after).
            unchanged = CredentialToken.objects.filter(id=row.id, fence=row.fence)
            if lease := LEASES.acquire(unchanged.filter(~_refused_recently())):
                token = self._fetch(kind, lease)
                if refused is None:
                    self._record_use(row)
                return token
            self._wait_for_login(row, give_up)

    def _usable_token(self, row: CredentialToken, refused: str | None) -> str:
        """Return the stored token, or an empty string if a login is needed.

        Raises: ``CarrierAuthentication`` if a login would not help.
        """
        stored = decrypt_token(row)
        until = usable_until(row, self.margin)
        if stored and stored != refused and until is not None and until > timezone.now():
            return stored
        if row.login_after and CredentialToken.objects.filter(_refused_recently(), id=row.id).exists():
            code, _colon, message = (row.refusal or "").partition(": ")
            raise errors.CarrierAuthentication(carrier=self.carrier, carrier_code=code, carrier_message=message)
        is_fresh = row.fetched_at is not None and abs(timezone.now() - row.fetched_at) < _MIN_RENEWAL
        if stored and stored == refused and is_fresh:
            text = _("A fresh access token was refused.")
            raise errors.CarrierAuthentication(carrier=self.carrier, carrier_code="401", carrier_message=text)
        return ""

    def _record_use(self, row: CredentialToken) -> None:
        """``refresh_tokens`` renews tokens in use. An hourly update is enough, and saves a write in most calls."""
        now = timezone.now()
        if row.used_at is None or row.used_at < now - _RECORD_USE_EVERY:
            CredentialToken.objects.filter(id=row.id).update(used_at=now)

    def _check_platform(self) -> None:
        """Raise ``CarrierUnavailable`` if the inherited fields changed: ``fetch`` would log in with the old ones."""
        one = self.platform
        if one and not Credential.objects.filter(id=one.id, updated_at=one.updated_at).exists():
            raise self._changed()

    def _wait_for_login(self, row: CredentialToken, give_up: float) -> None:
        """Wait until another caller's login has ended. One of the waiting threads of this process polls the row."""
        lock = _poll_locks.setdefault(row.id, threading.Lock())
        try:
            with slots.login_wait_slot():
                if not connection.in_atomic_block:
                    connection.close()  # there are fewer connections than threads
                if not lock.acquire(timeout=max(0.0, give_up - time.monotonic())):
                    raise self._still_logging_in()
                try:
                    while CredentialToken.objects.filter(LEASES.running(), id=row.id, fence=row.fence).exists():
                        if time.monotonic() >= give_up:
                            raise self._still_logging_in()
                        time.sleep(_POLL_S)
                finally:
                    lock.release()
        except slots.Full as error:
            raise self._still_logging_in() from error

    def _still_logging_in(self) -> errors.CarrierUnavailable:
        return self._unavailable(_("Another request is still logging in."), retry_after_s=5)

    def _changed(self) -> errors.CarrierUnavailable:
        return self._unavailable(_("The credential was changed during this request."), retry_after_s=1)

    def _unavailable(self, reason: str, *, retry_after_s: int) -> errors.CarrierUnavailable:
        return errors.CarrierUnavailable(carrier=self.carrier, carrier_message=reason, retry_after_s=retry_after_s)

    def _fetch(self, kind: str, lease: Lease) -> str:
        try:
            token = self.fetch(kind)
        except BaseException as error:
            if isinstance(error, errors.CarrierAuthentication):
                record_refusal(self.credential_id, error, lease.rows)
            lease.release()
            raise
        record_login(self.credential_id, lease.rows)
        store_token(lease.rows, token)
        return token.value


def find_token(credential_id: uuid.UUID, kind: str) -> CredentialToken:
    """Return the row of a kind of token with its credential; create it without a token."""
    rows = CredentialToken.objects.select_related("credential").defer("credential__fields")
    row = rows.filter(credential_id=credential_id, kind=kind).first()
    if row is None:
        CredentialToken.objects.get_or_create(credential_id=credential_id, kind=kind)
        row = rows.get(credential_id=credential_id, kind=kind)
    return row


def discard_tokens(rows: QuerySet[CredentialToken]) -> None:
    """Discard tokens and the results of earlier logins: they belong to fields that have changed."""
    rows.update(
        token=None,
        expires_at=None,
        fetched_at=None,
        refusal=None,
        login_after=None,
        lease_until=None,
        fence=F("fence") + 1,  # a running login must not store its token
    )


def store_token(rows: QuerySet[CredentialToken], token: types.Token) -> None:
    """Store a fetched token. ``rows``: its row, or none if the credential changed during the login."""
    row = rows.select_related("credential").only("credential__carrier").first()
    if row is None:
        return
    rows.update(
        token=CredentialToken._meta.get_field("token").encrypt_for(row.id, token.value),
        expires_at=token.expires_at,
        fetched_at=timezone.now(),
        lease_until=None,
        # A caller that read the row before this write must read it again instead of logging in too.
        fence=F("fence") + 1,
    )
    metrics.token_expiry(row.credential.carrier).set((token.expires_at - timezone.now()).total_seconds())


def record_refusal(
    credential_id: uuid.UUID, error: errors.CarrierAuthentication, rows: QuerySet[CredentialToken]
) -> None:
    """Record that the carrier refused a login. ``rows``: its row, or none if the credential changed during the login.

    No process logs in again for ``CARRIER_LOGIN_REST_S``. The first refusal is an event.
    """
    refusal = f"{error.carrier_code}: {error.carrier_message}"[:200]
    with transaction.atomic():
        row = _lock(credential_id)
        if not rows.update(lease_until=None, refusal=refusal, login_after=leases.now() + _login_pause()):
            return
        refused_at = row.refused_at or timezone.now()
        Credential.objects.filter(id=row.id).update(refused_at=refused_at, refusal=refusal)
        if row.refused_at is None:
            _record_event(CREDENTIAL_REFUSED, row, error=error.code)


def record_login(credential_id: uuid.UUID, rows: QuerySet[CredentialToken]) -> None:
    """Record that the carrier accepted a login. ``rows`` as in ``record_refusal``.

    The credential's mark is cleared unless the login for another kind of token is refused.
    """
    if not Credential.objects.filter(id=credential_id, refused_at__isnull=False).exists():
        return
    with transaction.atomic():
        row = _lock(credential_id)
        rows.update(refusal=None, login_after=None)
        others = CredentialToken.objects.filter(credential=row, refusal__isnull=False)
        if row.refused_at is None or not rows.exists() or others.exists():
            return
        Credential.objects.filter(id=row.id).update(refused_at=None, refusal=None)
        _record_event(CREDENTIAL_ACCEPTED, row)


def _lock(credential_id: uuid.UUID) -> Credential:
    """Lock a credential before its tokens, as ``storage.store_fields`` does."""
    return Credential.objects.select_for_update(no_key=True).defer("fields").get(id=credential_id)


def _record_event(kind: events.EventType, row: Credential, **more: str) -> None:
    data = {"carrier": row.carrier, "environment": row.environment, **more}
    events.record(kind, tenant=row.tenant, subject_id=row.id, data=data)


def decrypt_token(row: CredentialToken) -> str:
    """Return the stored token, or an empty string if there is none or it cannot be decrypted (then log in again)."""
    try:
        return row.token or ""
    except Undecryptable as error:
        log.warning("stored token not readable", extra={"credential": str(row.credential_id), "error": str(error)})
        return ""


def usable_until(row: CredentialToken, margin: timedelta) -> datetime | None:
    """Return the time from which the stored token is renewed: its expiry less the margin, at least half of its life."""
    if row.expires_at is None:
        return None
    if row.fetched_at:
        margin = min(margin, (row.expires_at - row.fetched_at) / 2)
    return row.expires_at - margin


def _refused_recently() -> Q:
    return leases.still_lasting("login_after", _login_pause())


def _login_pause() -> timedelta:
    return timedelta(seconds=settings.CARRIER_LOGIN_REST_S)
