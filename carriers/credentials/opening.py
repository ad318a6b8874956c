"""Open a carrier's adapter with a credential."""

from __future__ import annotations

import uuid
from typing import Any

from carriers.adapters.base import CarrierAdapter
from carriers.adapters.registry import adapter_class
from carriers.credentials.fields import require_fields
from carriers.credentials.tokens import StoredTokens
from carriers.http.call_log import Caller
from carriers.http.environments import base_urls
from carriers.http.transport import HttpTransport
from carriers.models import Credential

_NO_TRANSPORT: Any = None


def open_adapter(
    credential: Credential, *, merchant_id: uuid.UUID | None = None, subject_id: uuid.UUID | None = None
) -> CarrierAdapter:
    """Return the carrier's adapter, which calls the carrier with this credential.

    Args:
        merchant_id: the merchant that the call log names; default: the credential's.
        subject_id: the shipment or pickup that the call log names.

    Raises: ``CredentialUnreadable``.
    """
    kind = adapter_class(credential.carrier)
    usable = require_fields(credential)
    caller = Caller(
        credential,
        merchant_id or credential.merchant_id,
        kind.name,
        subject_id,
        inherited=usable.inherited,
        key_owner=usable.platform,
    )
    adapter = kind(
        fields=usable.fields,
        environment=credential.environment,
        urls=base_urls(kind, credential.environment),
        http=HttpTransport(caller),
    )
    if kind.logs_in():
        adapter.tokens = StoredTokens(
            credential,
            carrier=kind.name,
            margin=kind.token_margin,
            fetch=adapter.fetch_token,
            platform=usable.platform,
        )
    return adapter


def open_without_credential(carrier: str) -> CarrierAdapter:
    """Return an adapter that can only parse what the carrier has sent. It cannot call the carrier."""
    return adapter_class(carrier)(fields={}, environment="", urls={}, http=_NO_TRANSPORT)
