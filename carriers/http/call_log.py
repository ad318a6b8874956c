"""Log each HTTP exchange with a carrier: a row, a log line, metrics, usage counters and an event for a failure."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit

import requests
from django.db import transaction

from apikeys.access import usage
from apikeys.audit import events
from apikeys.db.tenancy import Tenant
from apikeys.http import correlation
from apikeys.models import UsageDay
from carriers.adapters.registry import adapter_class
from carriers.http import metrics
from carriers.http.answers import Answer
from carriers.http.environments import base_urls
from carriers.http.masking import find_personal_values, mask_body, mask_url
from carriers.models import CarrierCall, Credential
from carriers.models.event_types import CALL_FAILED

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Caller:
    """On whose behalf a carrier is called, for the call log. ``subject_id``: a shipment or pickup.

    ``inherited`` are the platform's fields among those of a merchant's credential, and ``key_owner`` is the platform's
    credential that they are taken from.
    """

    credential: Credential
    merchant_id: uuid.UUID | None
    carrier_name: str
    subject_id: uuid.UUID | None = None
    inherited: Mapping[str, str] = field(default_factory=dict)
    key_owner: Credential | None = None

    @property
    def rate_owner(self) -> Credential:
        """The credential that the carrier's limits per key count."""
        return self.key_owner or self.credential


def collect_secrets(caller: Caller, headers: Mapping[str, str]) -> list[str]:
    """Return what we send and a carrier may repeat in an error: the credential's secrets and the access token."""
    credential = caller.credential
    fields, adapter = credential.fields or {}, adapter_class(credential.carrier)
    names = set(adapter.secret_fields())
    if not credential.merchant_id:
        names |= set(adapter.required_fields())  # merchants must not learn the platform's identity at a carrier either
    authorization = headers.get("Authorization", "")
    own = [fields[name] for name in names if name in fields]
    return [*own, *caller.inherited.values(), authorization, authorization.partition(" ")[2]]


def log_call(
    caller: Caller,
    operation: str,
    request: requests.PreparedRequest,
    answer: Answer | None,
    *,
    outcome: str,
    problem: str,
    attempt: int,
    seconds: float,
    secrets: list[str],
    is_file: bool,
) -> None:
    """Log one exchange, with secrets and personal data masked. A file's content and URL parameters are not logged."""
    credential = caller.credential
    metrics.observe(credential.carrier, operation, answer.status if answer else outcome, seconds)
    sent_type = request.headers.get("Content-Type", "").lower()
    url, shown = request.url, ""
    if is_file:  # the parameters of its URL may be the key to the file
        url, shown = request.url.partition("?")[0], f"<a file of {len(answer.content)} bytes>" if answer else ""
    elif answer:
        shown = mask_body(
            answer.content,
            content_type=answer.headers.get("content-type", "").lower(),
            secrets=secrets,
            people=find_personal_values(request.body or b"", sent_type),
        )
    masked_url = mask_url(url, secrets=secrets)
    row = CarrierCall(
        credential_id=credential.id,
        merchant_id=caller.merchant_id,
        mode=credential.mode,
        carrier=credential.carrier,
        operation=operation,
        subject_id=caller.subject_id,
        method=request.method,
        url=masked_url[:500],
        request_body=mask_body(request.body or b"", content_type=sent_type, secrets=secrets),
        status=answer.status if answer else None,
        outcome=outcome,
        response_body=shown,
        error=problem[:300],
        attempt=attempt,
        duration_ms=round(seconds * 1000),
        correlation_id=correlation.current(),
    )
    _write_line(row, masked_url, environment=credential.environment, seconds=seconds)
    failed = outcome != CarrierCall.Outcome.OK
    tenant = Tenant(row.merchant_id, row.mode) if row.merchant_id else None
    if tenant:
        usage.count(UsageDay.Kind.CREDENTIAL, row.credential_id, tenant, failed=failed)
    try:
        with transaction.atomic():
            row.save(force_insert=True)
            if failed:
                data = {name: getattr(row, name) for name in ("carrier", "operation", "outcome", "status")}
                data["call_id"] = str(row.id)
                events.record(CALL_FAILED, tenant=tenant, subject_id=row.subject_id, data=data)
    except Exception:  # the carrier has acted: its answer must not be lost with the log row
        log.exception("call not logged", extra={"operation": operation, "outcome": outcome})


def _write_line(row: CarrierCall, masked_url: str, *, environment: str, seconds: float) -> None:
    """Log the exchange as ``pickit_api_call`` with the documented fields. ``endpoint`` is below the API's base URL.

    The request's and answer's bodies are only in the row.
    """
    level = logging.INFO if row.outcome in (CarrierCall.Outcome.OK, CarrierCall.Outcome.REFUSED) else logging.WARNING
    if not log.isEnabledFor(level):
        return
    head, _, query = masked_url.partition("?")
    bases = [one for one in base_urls(adapter_class(row.carrier), environment).values() if head.startswith(f"{one}/")]
    extra = {
        "endpoint": head.removeprefix(max(bases, key=len)) if bases else urlsplit(head).path,
        "params": dict(parse_qsl(query, keep_blank_values=True)),
        "response_time": round(seconds, 3),
        "status_code": row.status,
        "method": row.method,
        "operation": row.operation,
        "environment": environment,
        "outcome": row.outcome,
        "attempt": row.attempt,
        "call_id": str(row.id),
        "credential_id": str(row.credential_id),
        "merchant_id": str(row.merchant_id) if row.merchant_id else None,
        "subject_id": str(row.subject_id) if row.subject_id else None,
    }
    if row.error:
        extra["error"] = row.error
    log.log(level, "%s_api_call", row.carrier, extra=extra)
