"""Check a credential by calling its carrier."""

from __future__ import annotations

import logging
import time

from django.utils import timezone

from apikeys.audit import events
from apikeys.db.tenancy import Tenant
from apikeys.http.rendering import rfc3339
from carriers.credentials import tokens
from carriers.credentials.opening import open_adapter
from carriers.credentials.selection import select_credential
from carriers.models import Credential, CredentialToken
from carriers.models.event_types import CREDENTIAL_TESTED
from carriers.types.errors import CarrierAuthentication, CarrierError, CredentialUnreadable

log = logging.getLogger(__name__)


def check_login(row: Credential) -> dict[str, object]:
    """Log in at the carrier and store the result as ``last_test``.

    The fetched token is kept for the next requests: carriers limit logins.
    Returns: ``ok latency_ms at``, and ``error message`` after a failure.
    """
    started = time.monotonic()
    result: dict[str, object] = {"ok": True, "error": None, "message": None}
    unchanged = Credential.objects.filter(id=row.id, updated_at=row.updated_at)  # no row once its fields change
    kept = tokens.find_token(row.id, "main")
    token_rows = CredentialToken.objects.filter(id=kept.id, fence=kept.fence, credential__updated_at=row.updated_at)
    try:
        token = open_adapter(row).check_credential()
        tokens.record_login(row.id, token_rows)
        if token:
            tokens.store_token(token_rows, token)
    except CarrierError as error:
        if isinstance(error, CarrierAuthentication) and not isinstance(error, CredentialUnreadable):
            tokens.record_refusal(row.id, error, token_rows)
        result |= {"ok": False, "error": error.code, "message": error.carrier_message or str(error)}
    result |= {"latency_ms": round((time.monotonic() - started) * 1000), "at": rfc3339(timezone.now())}
    unchanged.update(last_test=result)
    data = {"carrier": row.carrier, "ok": result["ok"], "error": result["error"]}
    events.record(CREDENTIAL_TESTED, tenant=row.tenant, subject_id=row.id, data=data)
    return result


def check_health(tenant: Tenant, carrier: str) -> dict[str, bool]:
    """Return the documented health checks of the credential that a merchant's requests use.

    The carrier is called. ``webhook_endpoint`` is false if the secret that proves the carrier's webhooks is missing.
    Raises: what ``select_credential`` raises.
    """
    credential = select_credential(tenant, carrier)
    adapter = open_adapter(credential, merchant_id=tenant.merchant_id)
    checks = {"authentication": False, "api_connectivity": False}
    try:
        if adapter.tokens:
            adapter.tokens.current()
            checks["authentication"] = True
        adapter.check_api()
        checks = {"authentication": True, "api_connectivity": True}
    except CarrierError as error:
        log.warning("carrier not healthy", extra={"carrier": adapter.slug, "error": str(error)})
    has_secret = "webhook_secret" not in adapter.credential_fields() or "webhook_secret" in adapter.fields
    return checks | {"webhook_endpoint": has_secret, "database": True}
