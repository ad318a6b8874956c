"""Select the credential for a request, and lock it."""

from __future__ import annotations

import uuid

from django.utils.translation import gettext as _

from apikeys.db.tenancy import Mode, Tenant
from apikeys.http.errors import NotFound, ValidationFailed
from carriers.adapters.registry import adapter_class
from carriers.credentials.fields import decrypt_fields, require_fields
from carriers.models import ENVIRONMENT_OF_MODE, Credential
from carriers.types.errors import CarrierUnavailable


def select_credential(tenant: Tenant, carrier: str) -> Credential:
    """Return the credential that a merchant's requests use: its own, else the platform's.

    Raises:
        ``ValidationFailed`` on ``carrier`` if there is neither, or if staff have switched off the merchant's own: its
            orders must not silently go to the platform's credential.
        ``CredentialUnreadable``, so that nothing is reserved with a credential that cannot be used.
    """
    adapter = adapter_class(carrier)
    rows = Credential.objects.filter(mode=tenant.mode, carrier=adapter.slug)
    selected = rows.filter(merchant_id=tenant.merchant_id).first()
    if selected and not selected.is_active:
        if decrypt_fields(selected) != {}:
            text = _("Operations staff have switched this credential off. Contact them.")
            raise ValidationFailed(details={"carrier": [text]})
        selected = None  # deleted
    selected = selected or rows.filter(merchant__isnull=True, is_active=True, is_open=True).first()
    if selected is None:
        text = _("No %(environment)s credential for %(carrier)s; save one at /api/v1/carriers/%(carrier)s/credentials.")
        environment = ENVIRONMENT_OF_MODE[Mode(tenant.mode)]
        raise ValidationFailed(details={"carrier": [text % {"environment": environment, "carrier": adapter.slug}]})
    require_fields(selected)
    return selected


def get_own_credential(tenant: Tenant, credential_id: uuid.UUID) -> Credential:
    """Return one of the merchant's own credentials. Raises: ``NotFound``, also for a deleted one."""
    row = Credential.objects.of(tenant).filter(id=credential_id, is_active=True).first()
    if row is None:
        raise NotFound
    return row


def find_webhook_credentials(carrier: str, credential_id: uuid.UUID | None) -> list[Credential]:
    """Return the credentials that may have signed a webhook: the given one, or the platform's of both modes.

    A switched-off credential is included, since its shipments are still in transit; a deleted one is not.
    Raises: ``NotFound`` for an unknown carrier or credential.
    """
    try:
        slug = adapter_class(carrier).slug
    except ValidationFailed as error:
        raise NotFound from error
    rows = Credential.objects.filter(carrier=slug)
    rows = rows.filter(id=credential_id) if credential_id else rows.filter(merchant__isnull=True)
    found = [row for row in rows if decrypt_fields(row) != {}]
    if credential_id and not found:
        raise NotFound
    return found


def accepts_orders(row: Credential, tenant: Tenant) -> bool:
    """Return whether a merchant may still buy with this credential: its own, or the platform's if open to all."""
    return row.is_active and (row.merchant_id == tenant.merchant_id or (row.merchant_id is None and row.is_open))


def lock_credential(credential_id: uuid.UUID) -> Credential:
    """Lock a credential until the transaction ends. Rows with a foreign key to it can still be inserted."""
    return Credential.objects.select_for_update(no_key=True).get(id=credential_id)


def lock_unchanged(row: Credential) -> None:
    """Lock a credential until the transaction ends.

    Raises: ``CarrierUnavailable`` if it has changed since ``row`` was read. What was bought with the old credential
        could not be looked up with the new one.
    """
    if lock_credential(row.id).updated_at != row.updated_at:
        raise changed_error(row)


def changed_error(row: Credential) -> CarrierUnavailable:
    """Return the error for a credential that changed during a request."""
    text = _("The credential was changed during this request.")
    return CarrierUnavailable(carrier=adapter_class(row.carrier).name, carrier_message=text, retry_after_s=1)
