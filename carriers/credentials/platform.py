"""Store the platform's credentials from environment variables."""

from __future__ import annotations

from collections.abc import Mapping

from apikeys.db.tenancy import Mode
from apikeys.http.errors import ValidationFailed
from carriers.adapters.registry import ADAPTERS
from carriers.credentials.fields import decrypt_fields
from carriers.credentials.rotation import was_replaced
from carriers.credentials.storage import save_credential
from carriers.models import Credential, Environment

# Values of the documents' examples, which no carrier has given to anyone.
_PLACEHOLDERS = {"your-client-id", "your-client-secret", "your-webhook-secret", "<password>"}


def save_platform_credentials(environment: Mapping[str, str]) -> tuple[list[Credential], dict[str, list[str]]]:
    """Store the platform's production credentials from the documented variables, if their values are new.

    A credential that staff have switched off is left alone, and so is a secret that the carrier has since replaced.
    Returns: the stored credentials, and the problems by name of the variable.
    """
    stored, problems = [], {}
    for adapter in ADAPTERS.values():
        variables = adapter.environment_names  # name of the variable -> field
        if placeholders := [name for name in variables if environment.get(name) in _PLACEHOLDERS]:
            problems |= {name: ["This is the placeholder of the documents."] for name in placeholders}
            continue
        fields = {field: environment[name] for name, field in variables.items() if environment.get(name)}
        row = Credential.objects.filter(merchant=None, mode=Mode.LIVE, carrier=adapter.slug).first()
        before = decrypt_fields(row) if row else {}
        if row and not row.is_active and before != {}:
            continue
        if row and before and adapter.identity(before) == adapter.identity(before | fields):
            fields = {name: value for name, value in fields.items() if not was_replaced(row, name, value)}
        if all((before or {}).get(name) == value for name, value in fields.items()):
            continue
        key = {"mode": Mode.LIVE, "carrier": adapter.slug, "environment": Environment.PRODUCTION}
        try:
            stored.append(save_credential(tenant=None, **key, fields=fields))
        except ValidationFailed as error:
            names = {f"credentials.{field}": name for name, field in variables.items()}
            problems |= {names.get(field, field): texts for field, texts in error.details.items()}
    return stored, problems
