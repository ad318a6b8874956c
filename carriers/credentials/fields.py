"""Read and validate the fields of credentials (what an adapter's ``credential_schema`` describes)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from django.utils.translation import gettext as _
from jsonschema import Draft202012Validator, ValidationError

from apikeys.db.crypto import Undecryptable
from apikeys.http.errors import ValidationFailed
from carriers.adapters.base import CarrierAdapter
from carriers.adapters.registry import adapter_class
from carriers.models import Credential
from carriers.types.errors import CredentialUnreadable

MAX_FIELD_LENGTH = 500

log = logging.getLogger(__name__)


def decrypt_fields(row: Credential) -> dict[str, str] | None:
    """Return the stored fields, or None if they cannot be decrypted. A deleted credential has none: ``{}``."""
    try:
        return row.fields or {}
    except Undecryptable:
        return None


@dataclass(frozen=True)
class UsableFields:
    """The fields that requests with a credential use.

    ``inherited`` are those of them that belong to the platform's credential ``platform``. They are masked in logs and
    answers, and never shown: merchants see their names only.
    """

    fields: Mapping[str, str]
    inherited: Mapping[str, str]
    platform: Credential | None


def require_fields(row: Credential) -> UsableFields:
    """Return the stored fields, with those that a merchant's credential inherits from the platform's.

    Raises: ``CredentialUnreadable`` if they cannot be decrypted or a required one is missing (a deleted credential).
    """
    adapter = adapter_class(row.carrier)
    try:
        fields = row.fields or {}
    except Undecryptable as error:
        log.error("stored credential not readable", extra={"credential": str(row.id), "error": str(error)})
        raise CredentialUnreadable(carrier=adapter.name) from error
    inherited, platform = find_inherited(adapter, row, fields) if fields else ({}, None)
    if not set(adapter.required_fields()) <= {*fields, *inherited}:
        text = None if fields else _("The credential that this was booked with was deleted.")
        raise CredentialUnreadable(text, carrier=adapter.name)
    return UsableFields({**inherited, **fields}, inherited, platform if inherited else None)


def find_inherited(
    adapter: type[CarrierAdapter], row: Credential, fields: Mapping[str, str]
) -> tuple[dict[str, str], Credential | None]:
    """Return the fields that a merchant's credential with these own fields inherits, and the platform's credential.

    Inherited are the adapter's ``inherited_fields`` that it leaves empty, from the platform's active credential for the
    carrier and mode.
    """
    missing = [name for name in adapter.inherited_fields if not fields.get(name)]
    if not missing or row.merchant_id is None:
        return {}, None
    rows = Credential.objects.filter(merchant__isnull=True, mode=row.mode, carrier=row.carrier, is_active=True)
    platform = rows.first()
    values = (decrypt_fields(platform) or {}) if platform else {}
    return {name: values[name] for name in missing if values.get(name)}, platform


def validate_fields(
    adapter: type[CarrierAdapter], row: Credential, fields: Mapping[str, object], stored: Mapping[str, str]
) -> dict[str, str]:
    """Return the stored fields of a credential with the given ones merged in.

    Raises: ``ValidationFailed`` naming each invalid ``credentials.<field>``.
    """
    merged = dict(stored) | dict(fields)
    problems: dict[str, list[str]] = {}
    inherited, _platform = find_inherited(adapter, row, merged)
    required = [name for name in adapter.required_fields() if name not in inherited]
    schema = {**adapter.credential_schema, "required": required}
    for violation in Draft202012Validator(schema).iter_errors(merged):
        for name in _violating_fields(violation, merged):
            texts = problems.setdefault(f"credentials.{name}", [])
            text = _describe_violation(violation)
            if text not in texts:  # jsonschema reports each missing field, and each report lists all required ones
                texts.append(text)
    if problems:
        raise ValidationFailed(details=problems)
    return merged


def _violating_fields(violation: ValidationError, fields: Mapping[str, object]) -> list[str]:
    match violation.validator:
        case "required":
            return [name for name in violation.validator_value if name not in fields]
        case "additionalProperties":
            return [name for name in fields if name not in violation.schema["properties"]]
    return [str(violation.path[0])] if violation.path else ["credentials"]


def _describe_violation(violation: ValidationError) -> str:
    """Return what is expected, and never the value itself: it may be a secret."""
    expected = violation.validator_value
    match violation.validator:
        case "required":
            return _("This field is required.")
        case "additionalProperties":
            return _("The carrier has no such field.")
        case "enum":
            return _("One of these is expected: %s") % ", ".join(expected)
        case "minLength":
            return _("A text of at least %d characters is expected.") % expected
    return _("A text of 1 to %d characters is expected.") % MAX_FIELD_LENGTH
