"""API keys in their life: made, changed, regenerated, revoked, each on record with what changed.

Who may do it to which key is asked by the callers of these functions (``check_reach``); these do it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from apikeys.audit import events, security
from apikeys.db.tenancy import Tenant
from apikeys.http.callers import Caller
from apikeys.http.errors import Conflict, NotFound, PermissionRefused
from apikeys.http.rendering import rfc3339
from apikeys.keys import keys
from apikeys.models import ApiKey

CHANGEABLE = ("name", "scopes", "store_id", "allowed_ips", "per_minute", "per_hour", "expires_at")
# Called inside the transaction that makes a key, to bind what must not be made twice.
Made = Callable[[ApiKey], None]


def check_reach(caller: Caller, scopes: Collection[str]) -> None:
    """Raises ``PermissionRefused`` unless the caller holds all these scopes itself: nobody hands out more than it has.

    It guards the key that is made, and the key that is changed or regenerated.
    """
    beyond = sorted(set(scopes) - caller.scopes)
    if beyond:
        raise PermissionRefused(_("You cannot give what you may not do yourself."), details={"scopes": beyond})


def create(tenant: Tenant, *, name: str, made: Made | None = None, **columns: Any) -> tuple[ApiKey, str]:
    """A new key and its text, which is nowhere to be had again. ``columns``: those of ``CHANGEABLE``."""
    text = keys.generate(tenant.mode)
    with transaction.atomic():
        row = keys.create(tenant, text, name=name, **columns)
        if made:
            made(row)
        events.record(security.KEY_CREATED, tenant=row.tenant, subject_id=row.id, data=facts(row))
    return row, text


def find(tenant: Tenant, key_id: Any) -> ApiKey:
    """A key of this merchant and mode. Raises ``NotFound``."""
    row = ApiKey.objects.of(tenant).filter(id=key_id).first()
    if row is None:
        raise NotFound
    return row


def change(row: ApiKey, new: Mapping[str, Any]) -> ApiKey:
    """Set some of ``CHANGEABLE``. What changed goes on record, before and after. Raises ``Conflict`` for a dead key."""
    with transaction.atomic():
        row = _locked(row)
        before = facts(row)
        for column, value in new.items():
            setattr(row, column, value)
        row.save(update_fields=[*new, "updated_at"])
        changed = events.changes(before, facts(row))
        if changed:
            events.record(security.KEY_CHANGED, tenant=row.tenant, subject_id=row.id, data=changed)
    return row


def revoke(row: ApiKey, reason: str = ApiKey.Revocation.REVOKED) -> ApiKey:
    """End a key at once and for good; again changes nothing, except that a revoked key may turn out leaked."""
    with transaction.atomic():
        row = ApiKey.objects.select_for_update().get(pk=row.pk)
        if row.revoked_at and (row.revoked_for == reason or reason != ApiKey.Revocation.LEAKED):
            return row
        row.revoked_at, row.revoked_for = row.revoked_at or timezone.now(), reason
        row.save(update_fields=["revoked_at", "revoked_for", "updated_at"])
        events.record(security.KEY_REVOKED, tenant=row.tenant, subject_id=row.id, data={"reason": str(reason)})
    return row


def regenerate(row: ApiKey, *, overlap: timedelta = timedelta(0), made: Made | None = None) -> tuple[ApiKey, str]:
    """A new key in the place of this one, which goes on working for ``overlap``. Raises ``Conflict`` for a dead key."""
    text = keys.generate(row.mode)
    with transaction.atomic():
        old = _locked(row)
        if ApiKey.objects.filter(replaces=old).exists():
            raise Conflict(_("This key has been regenerated already."))
        columns = {column: getattr(old, column) for column in CHANGEABLE if column not in ("name", "store_id")}
        tenant = Tenant(old.merchant_id, old.mode, old.store_id)
        new = keys.create(tenant, text, name=old.name, replaces=old, **columns)
        if made:
            made(new)
        until = timezone.now() + overlap
        _end(old, until)
        events.record(
            security.KEY_REGENERATED,
            tenant=new.tenant,
            subject_id=old.id,
            data={"replaced_by": str(new.id), "works_until": rfc3339(until)},
        )
    return new, text


def facts(row: ApiKey) -> dict[str, Any]:
    """What may be told of a key: everything but what opens."""
    return {
        "name": row.name,
        "scopes": sorted(row.scopes),
        "store_id": str(row.store_id) if row.store_id else None,
        "allowed_ips": list(row.allowed_ips),
        "per_minute": row.per_minute,
        "per_hour": row.per_hour,
        "expires_at": rfc3339(row.expires_at),
    }


def state(row: ApiKey) -> str:
    """``active``, ``expired``, ``revoked`` or ``leaked``."""
    if row.revoked_at:
        return row.revoked_for or ApiKey.Revocation.REVOKED
    return "expired" if row.expires_at and row.expires_at <= timezone.now() else "active"


def _locked(row: ApiKey) -> ApiKey:
    locked = ApiKey.objects.select_for_update().get(pk=row.pk)
    if locked.revoked_at:
        raise Conflict(_("This key is revoked."))
    return locked


def _end(row: ApiKey, until: datetime) -> None:
    if until <= timezone.now():
        row.revoked_at, row.revoked_for = timezone.now(), ApiKey.Revocation.REVOKED
    elif row.expires_at is None or row.expires_at > until:
        row.expires_at = until
    row.save(update_fields=["revoked_at", "revoked_for", "expires_at", "updated_at"])
