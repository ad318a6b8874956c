"""Credentials: stored per merchant and mode, or once for the platform; and the adapter that one of them opens."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from apikeys import events
from apikeys.crypto import Undecryptable
from apikeys.errors import NotFound, ValidationFailed
from apikeys.tenancy import Mode, Tenant
from carriers.adapters import adapter_class
from carriers.adapters.base import CarrierAdapter
from carriers.errors import CredentialUnreadable
from carriers.events import CREDENTIAL_SAVED
from carriers.models import ENVIRONMENT_OF_MODE, Credential
from carriers.tokens import StoredTokens
from carriers.transport import Caller, HttpTransport

MAX_FIELD_LENGTH = 500

log = logging.getLogger(__name__)


def save(
    *, tenant: Tenant | None, mode: str, carrier: str, environment: str, fields: Mapping[str, object]
) -> Credential:
    """Create or change the one credential of a merchant (``tenant`` None: the platform) for a carrier; returns it.

    Fields that are not named keep their value, so a webhook secret survives a new password; where nobody can read what
    is stored, the new values are merged into nothing. Raises ``ValidationFailed``
    naming ``credentials.<field>`` or ``environment``.
    """
    adapter = adapter_class(carrier)
    _check_environment(mode, environment)
    owner = tenant.merchant_id if tenant else None
    while True:
        try:
            with transaction.atomic():
                row = Credential.objects.select_for_update().filter(
                    merchant_id=owner, mode=mode, carrier=adapter.slug
                ).first() or Credential(merchant_id=owner, mode=mode, carrier=adapter.slug)
                before = readable_fields(row) or {}
                after = _checked(adapter, fields, before)
                _change(row, before, after)
                events.record(CREDENTIAL_SAVED, tenant=tenant, subject_id=row.id, data=_facts(row, before, after))
                return row
        except IntegrityError:  # another request has created it between our look and our insert
            if not Credential.objects.filter(merchant_id=owner, mode=mode, carrier=adapter.slug).exists():
                raise


def find(tenant: Tenant, carrier: str) -> Credential:
    """The credential that a merchant's request uses: its own, else the platform's.

    Raises ``ValidationFailed`` naming ``carrier`` when there is neither, and ``CredentialUnreadable`` before anything
    is reserved for it.
    """
    adapter = adapter_class(carrier)
    usable = Credential.objects.filter(mode=tenant.mode, carrier=adapter.slug, is_active=True)
    own = usable.filter(merchant_id=tenant.merchant_id).first()
    chosen = own or usable.filter(merchant__isnull=True).first()
    if chosen is None:
        text = _("No %(environment)s credential for %(carrier)s; save one at /api/v1/carriers/%(carrier)s/credentials.")
        environment = ENVIRONMENT_OF_MODE[Mode(tenant.mode)]
        raise ValidationFailed(details={"carrier": [text % {"environment": environment, "carrier": adapter.name}]})
    _opened(chosen)
    return chosen


def for_webhooks(carrier: str, credential_id: uuid.UUID | None) -> list[Credential]:
    """The credentials that may have signed a webhook: the named one, or the platform's of both modes.

    Raises ``NotFound`` for a carrier or credential that does not exist.
    """
    try:
        slug = adapter_class(carrier).slug
    except ValidationFailed as error:
        raise NotFound from error
    rows = Credential.objects.filter(carrier=slug, is_active=True)
    found = list(rows.filter(id=credential_id) if credential_id else rows.filter(merchant__isnull=True))
    if credential_id and not found:
        raise NotFound
    return found


def open_adapter(
    credential: Credential, *, merchant_id: uuid.UUID | None = None, subject_id: uuid.UUID | None = None
) -> CarrierAdapter:
    """The adapter for a credential; calls are logged for this merchant and shipment (or pickup).

    Raises ``CredentialUnreadable``.
    """
    kind = adapter_class(credential.carrier)
    caller = Caller(credential, merchant_id or credential.merchant_id, kind.name, subject_id)
    base_url = settings.CARRIER_BASE_URLS.get(
        (kind.slug, credential.environment), kind.base_urls[credential.environment]
    )
    adapter = kind(fields=_opened(credential), base_url=base_url, http=HttpTransport(caller))
    adapter.tokens = StoredTokens(credential.id, carrier=kind.name, margin=kind.token_margin, fetch=adapter.fetch_token)
    return adapter


def readable_fields(row: Credential) -> dict[str, str] | None:
    """What is stored; None where it cannot be decrypted."""
    try:
        return row.fields or {}
    except Undecryptable:
        return None


def _opened(row: Credential) -> dict[str, str]:
    try:
        return row.fields
    except Undecryptable as error:
        log.error("stored credential not readable", extra={"credential": str(row.id), "error": str(error)})
        raise CredentialUnreadable(carrier=adapter_class(row.carrier).name) from error


def _facts(row: Credential, before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, object]:
    """What changed, by the names of the fields: their values are secrets or lead to one."""
    return {
        "carrier": row.carrier,
        "environment": row.environment,
        "stored": {"before": sorted(before), "after": sorted(after)},
        "changed": sorted(name for name in after if before.get(name) != after[name]),
    }


def _check_environment(mode: str, environment: str) -> None:
    expected = ENVIRONMENT_OF_MODE[Mode(mode)]
    if environment != expected:
        text = _("A %(mode)s key works with %(expected)s credentials only.") % {"mode": mode, "expected": expected}
        raise ValidationFailed(details={"environment": [text]})


def _checked(adapter: type[CarrierAdapter], fields: Mapping[str, object], stored: Mapping[str, str]) -> dict[str, str]:
    problems: dict[str, list[str]] = {}
    known = adapter.credential_fields()
    given = {name: fields[name] for name in known if name in fields}
    for name, value in given.items():
        if not isinstance(value, str) or not value.strip() or len(value) > MAX_FIELD_LENGTH:
            problems[f"credentials.{name}"] = [_("A text of 1 to %d characters is expected.") % MAX_FIELD_LENGTH]
    merged = dict(stored) | given
    for name in adapter.required_fields():
        if name not in merged:
            problems[f"credentials.{name}"] = [_("This field is required.")]
    if problems:
        raise ValidationFailed(details=problems)
    return merged


def _change(row: Credential, before: Mapping[str, str], fields: dict[str, str]) -> None:
    """A token belongs to the account that fetched it, so it goes when the account's fields change."""
    if before != fields:
        row.token, row.token_expires_at, row.token_fetched_at = None, None, None
        row.token_fence += 1
        row.token_lease_until = None
    row.fields = fields
    row.save()
