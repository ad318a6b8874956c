"""Store credentials: one per merchant, mode and carrier, and one of the platform per mode and carrier."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from apikeys.access import idempotency
from apikeys.audit import events
from apikeys.db.tenancy import Mode, Tenant
from apikeys.http.errors import Conflict, ValidationFailed
from carriers.adapters.base import CarrierAdapter
from carriers.adapters.registry import ADAPTERS, adapter_class
from carriers.adapters.webhooks import WebhookProof
from carriers.credentials.fields import decrypt_fields, validate_fields
from carriers.credentials.tokens import discard_tokens
from carriers.models import ENVIRONMENT_OF_MODE, Credential, CredentialToken
from carriers.models.event_types import CREDENTIAL_DELETED, CREDENTIAL_SAVED


def save_credential(
    *,
    tenant: Tenant | None,
    mode: str,
    carrier: str,
    environment: str,
    fields: Mapping[str, object],
    is_new: bool = False,
    by_staff: bool = False,
) -> Credential:
    """Create or change the one credential of a merchant or the platform (``tenant`` None) for a carrier.

    Fields that are not given keep their value, so a webhook secret survives a new password. If the stored values cannot
    be decrypted, only the given ones are saved. Where a secret header proves the carrier's webhooks, Waybill makes the
    secret unless it is given; ``issued_webhook_token`` of the returned row shows it this once.

    Raises:
        ``ValidationFailed`` naming ``credentials.<field>`` or ``environment``.
        ``Conflict`` if there is one already (``is_new``; names it), or if staff have switched it off (unless
            ``by_staff``).
    """
    adapter = adapter_class(carrier)
    expected = ENVIRONMENT_OF_MODE[Mode(mode)]
    if environment != expected:
        text = _("A %(mode)s key works with %(expected)s credentials only.") % {"mode": mode, "expected": expected}
        raise ValidationFailed(details={"environment": [text]})
    key = {"merchant_id": tenant.merchant_id if tenant else None, "mode": mode, "carrier": adapter.slug}
    while True:
        try:
            with transaction.atomic():
                row = Credential.objects.select_for_update().filter(**key).first() or Credential(**key)
                before = _check_changeable(row, is_new=is_new, by_staff=by_staff)
                row.is_active = True
                after = validate_fields(adapter, row, fields, before)
                if adapter.webhook_proof == WebhookProof.TOKEN and not after.get("webhook_token"):
                    row.issued_webhook_token = after["webhook_token"] = secrets.token_urlsafe(32)
                store_fields(row, before, after, event=CREDENTIAL_SAVED)
                idempotency.bind(row.id)  # the stored response of the request must not contain the token
                return row
        except IntegrityError:
            # Another request created it between our SELECT and INSERT: change that one.
            if not Credential.objects.filter(**key).exists():
                raise


def delete_credential(row: Credential) -> None:
    """Delete a credential's secrets and deactivate it. The row stays, because shipments refer to it."""
    with transaction.atomic():
        locked = Credential.objects.select_for_update().get(id=row.id)
        before = decrypt_fields(locked) or {}
        store_fields(locked, before, {}, event=CREDENTIAL_DELETED)
        locked.fields, locked.is_active = None, False  # NULL instead of {}: nothing that could become unreadable
        locked.save(update_fields=["fields", "is_active"])


def store_fields(row: Credential, before: Mapping[str, str], after: dict[str, str], *, event: events.EventType) -> None:
    """Save a credential's fields and record an event that names the changed ones.

    A new value discards the token and the results of earlier logins, since they belong to the old value.
    """
    adapter = ADAPTERS.get(row.carrier, CarrierAdapter)
    if not row._state.adding and adapter.identity(before) != adapter.identity(after):
        row.account_since = timezone.now()
    if before != after:
        row.refused_at, row.refusal, row.last_test = None, None, None
    row.fields = after
    row.save()
    if before != after:
        discard_tokens(CredentialToken.objects.filter(credential=row))
    if row.merchant_id is None and any(before.get(name) != after.get(name) for name in adapter.inherited_fields):
        same = {"credential__carrier": row.carrier, "credential__mode": row.mode}
        discard_tokens(CredentialToken.objects.filter(credential__merchant__isnull=False, **same))
    data = {
        "carrier": row.carrier,
        "environment": row.environment,
        "stored": {"before": sorted(before), "after": sorted(after)},
        "changed": sorted(name for name in after if before.get(name) != after[name]),
    }
    events.record(event, tenant=row.tenant, subject_id=row.id, data=data)


def _check_changeable(row: Credential, *, is_new: bool, by_staff: bool) -> dict[str, str]:
    """Return the stored fields, empty if they cannot be decrypted. Raises: the ``Conflict`` of ``save_credential``."""
    if is_new and row.is_active and not row._state.adding:
        text = _("You already have a credential for this carrier: change that one.")
        raise Conflict(text, details={"carrier": [text], "credential_id": [str(row.id)]})
    before = decrypt_fields(row)
    # A deleted credential has no fields. A switched-off one has some, which may be unreadable (None).
    if before != {} and not row.is_active and not by_staff:
        raise Conflict(_("Operations staff have switched this credential off. Contact them."))
    return before or {}
