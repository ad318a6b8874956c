"""Creation, changes, regeneration and revocation of API keys. Each is recorded as an event with the changed fields.

These functions do not check permissions: their callers use ``check_scopes_held``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import timedelta
from typing import Any

import bcrypt
from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from apikeys.audit import events, security
from apikeys.db.tenancy import Caller, Tenant
from apikeys.http.errors import Conflict, NotFound, PermissionRefused
from apikeys.http.rendering import rfc3339
from apikeys.keys.format import generate_key, is_well_formed, key_digest
from apikeys.models import ApiKey
from apikeys.models.scopes import OF_KEYS

CHANGEABLE = ("name", "scopes", "store_id", "allowed_ips", "per_minute", "per_hour", "expires_at")
# Called with the new row inside its transaction, to bind an Idempotency-Key to it.
OnCreated = Callable[[ApiKey], None]


def check_scopes_held(caller: Caller, scopes: Collection[str]) -> None:
    """Raise ``PermissionRefused`` unless the caller holds all these scopes itself.

    Callers check the scopes of the key to create, and those of the key to change or regenerate.
    """
    missing = sorted(set(scopes) - caller.scopes)
    if missing:
        raise PermissionRefused(_("You cannot grant scopes that you do not have."), details={"scopes": missing})


def store_key(
    tenant: Tenant,
    key: str,
    *,
    name: str,
    scopes: Iterable[str] = OF_KEYS,
    is_demo: bool = False,
    hashed: str = "",
    **columns: Any,
) -> ApiKey:
    """Store a key (generated or imported) for a merchant, without an event.

    Args:
        hashed: ``hash_key`` of the key, if it was computed before.
        columns: further columns of ``ApiKey``.
    Raises: ``ValueError`` if the key is not well-formed.
    """
    if not is_well_formed(key):
        raise ValueError("An API key is 1 to 72 printable ASCII characters; wb_ keys need their checksum.")
    return ApiKey.objects.create(
        merchant_id=tenant.merchant_id,
        mode=tenant.mode,
        name=name,
        scopes=sorted(scopes),
        prefix=key[:12] if key.startswith("wb_") else key[:4],
        digest=key_digest(key),
        hash=hashed or hash_key(key),
        is_demo=is_demo,
        **({"store_id": tenant.store_id} | columns),
    )


def hash_key(key: str) -> str:
    """Return the bcrypt hash of a key. This takes long."""
    return bcrypt.hashpw(key.encode(), bcrypt.gensalt(settings.API_KEY_BCRYPT_ROUNDS)).decode()


def create_key(tenant: Tenant, *, name: str, on_created: OnCreated | None = None, **columns: Any) -> tuple[ApiKey, str]:
    """Generate and store a key; return its row and the key itself, which cannot be read again.

    Args:
        columns: columns named in ``CHANGEABLE``.
    """
    key = generate_key(tenant.mode)
    with transaction.atomic():
        row = store_key(tenant, key, name=name, **columns)
        if on_created:
            on_created(row)
        events.record(security.KEY_CREATED, tenant=row.tenant, subject_id=row.id, data=key_data(row))
    return row, key


def get_key(tenant: Tenant, key_id: Any) -> ApiKey:
    """Return a key of this merchant and mode. Raises ``NotFound``."""
    row = ApiKey.objects.of(tenant).filter(id=key_id).first()
    if row is None:
        raise NotFound
    return row


def change_key(row: ApiKey, new: Mapping[str, Any]) -> ApiKey:
    """Set some columns of ``CHANGEABLE``; the event has their values before and after.

    Raises: ``Conflict`` for a revoked key.
    """
    with transaction.atomic():
        row = _lock_active(row)
        before = key_data(row)
        for column, value in new.items():
            setattr(row, column, value)
        row.save(update_fields=[*new, "updated_at"])
        changed = events.changes(before, key_data(row))
        if changed:
            events.record(security.KEY_CHANGED, tenant=row.tenant, subject_id=row.id, data=changed)
    return row


def revoke_key(row: ApiKey, reason: str = ApiKey.Revocation.REVOKED) -> ApiKey:
    """Revoke a key permanently. A repeat changes nothing, except that a revoked key can still be marked as leaked."""
    with transaction.atomic():
        row = ApiKey.objects.select_for_update().get(pk=row.pk)
        if row.revoked_at and (row.revoked_for == reason or reason != ApiKey.Revocation.LEAKED):
            return row
        row.revoked_at, row.revoked_for = row.revoked_at or timezone.now(), reason
        row.save(update_fields=["revoked_at", "revoked_for", "updated_at"])
        events.record(security.KEY_REVOKED, tenant=row.tenant, subject_id=row.id, data={"reason": str(reason)})
    return row


def regenerate_key(
    row: ApiKey, *, overlap: timedelta = timedelta(0), on_created: OnCreated | None = None
) -> tuple[ApiKey, str]:
    """Replace a key by a new one; the old key works for ``overlap`` longer.

    Returns: the new row and the new key.
    Raises: ``Conflict`` for a key that is revoked or was regenerated before.
    """
    key = generate_key(row.mode)
    with transaction.atomic():
        old = _lock_active(row)
        if ApiKey.objects.filter(replaces=old).exists():
            raise Conflict(_("This key has been regenerated already."))
        columns = {column: getattr(old, column) for column in CHANGEABLE if column not in ("name", "store_id")}
        tenant = Tenant(old.merchant_id, old.mode, old.store_id)
        new = store_key(tenant, key, name=old.name, replaces=old, **columns)
        if on_created:
            on_created(new)
        now = timezone.now()
        until = now + overlap
        if until <= now:
            old.revoked_at, old.revoked_for = now, ApiKey.Revocation.REVOKED
        elif old.expires_at is None or old.expires_at > until:
            old.expires_at = until
        old.save(update_fields=["revoked_at", "revoked_for", "expires_at", "updated_at"])
        events.record(
            security.KEY_REGENERATED,
            tenant=new.tenant,
            subject_id=old.id,
            data={"replaced_by": str(new.id), "works_until": rfc3339(until)},
        )
    return new, key


def key_data(row: ApiKey) -> dict[str, Any]:
    """Return a key's settings for events and API responses; nothing secret."""
    return {
        "name": row.name,
        "scopes": sorted(row.scopes),
        "store_id": str(row.store_id) if row.store_id else None,
        "allowed_ips": list(row.allowed_ips),
        "per_minute": row.per_minute,
        "per_hour": row.per_hour,
        "expires_at": rfc3339(row.expires_at),
    }


def key_state(row: ApiKey) -> str:
    """Return ``active``, ``expired``, ``revoked`` or ``leaked``."""
    if row.revoked_at:
        return row.revoked_for or ApiKey.Revocation.REVOKED
    return "expired" if row.expires_at and row.expires_at <= timezone.now() else "active"


def _lock_active(row: ApiKey) -> ApiKey:
    locked = ApiKey.objects.select_for_update().get(pk=row.pk)
    if locked.revoked_at:
        raise Conflict(_("This key is revoked."))
    return locked
