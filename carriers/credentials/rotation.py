"""Have the carrier issue a new secret."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext as _

from apikeys.db.leases import Leases
from apikeys.http.errors import Conflict
from carriers.credentials.fields import decrypt_fields, require_fields, validate_fields
from carriers.credentials.opening import open_adapter
from carriers.credentials.storage import store_fields
from carriers.models import Credential
from carriers.models.event_types import CREDENTIAL_ROTATED
from carriers.types.errors import CarrierUnsupported

_REPLACED_KEPT = 20
LEASES = Leases(
    Credential, lasts=lambda: timedelta(seconds=settings.CARRIER_TIMEOUT_S * 2), until="rotating_until", fence=""
)


def rotate_secret(row: Credential) -> Credential:
    """Have the carrier issue a new secret, and store it.

    The old secret stays valid at the carrier for a while, so after a lost answer the rotation can simply be repeated.
    Returns: the credential with its new secret.
    Raises: ``CarrierUnsupported``, the carrier's refusal, or ``Conflict`` if another rotation runs or the credential
        has changed.
    """
    adapter = open_adapter(row)
    adapter.need("rotate_credentials")
    if require_fields(row).inherited:  # the carrier would replace the platform's secret
        raise CarrierUnsupported(
            _("A credential with fields of the platform's cannot be rotated."),
            carrier=adapter.name,
            carrier_code="rotate_credentials",
        )
    unchanged = Credential.objects.filter(id=row.id, updated_at=row.updated_at, is_active=True)
    lease = LEASES.acquire(unchanged)
    if lease is None:
        raise _being_changed()
    try:
        issued = adapter.rotate_credentials()
        with transaction.atomic():
            locked = lease.rows.filter(updated_at=row.updated_at, is_active=True).select_for_update().first()
            if locked is None:
                raise _being_changed()
            before = decrypt_fields(locked) or {}
            after = validate_fields(type(adapter), locked, issued, before)
            locked.replaced = _add_replaced(locked.replaced or {}, before, after)
            store_fields(locked, before, after, event=CREDENTIAL_ROTATED)
    finally:
        lease.release()
    return Credential.objects.get(id=row.id)


def was_replaced(row: Credential, field: str, value: str) -> bool:
    """Return whether the carrier has replaced this value of a field by a newer one."""
    return _digest(value) in (row.replaced or {}).get(field, ())


def _add_replaced(
    replaced: Mapping[str, list[str]], before: Mapping[str, str], after: Mapping[str, str]
) -> dict[str, list[str]]:
    """Add digests of the replaced values: an environment variable may still contain one of them."""
    digests = {name: _digest(value) for name, value in before.items() if after.get(name) != value}
    added = {name: [*replaced.get(name, [])[-_REPLACED_KEPT:], digest] for name, digest in digests.items()}
    return {**replaced, **added}


def _digest(value: str) -> str:
    return salted_hmac("carriers.replaced", value).hexdigest()


def _being_changed() -> Conflict:
    return Conflict(_("Another request is changing this credential."))
