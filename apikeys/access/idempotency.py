"""Idempotency keys of creating POST requests (``Idempotency-Key``).

An INSERT claims the key before any work. A repeated request is replayed from the result of the first one, with
``Idempotent-Replayed: true``. Another request with the same key is 422. While the first request runs, a repeated one
waits for a bounded time, then gets 409 with ``Retry-After``. Keys are kept for 24 hours.

Work that must not happen twice (a purchase) *binds* its subject to the key, in the transaction that reserves it. From
then on, a repeated request renders the current state of the subject, even if the first process was killed. Before that,
the key of a killed process is taken over when its lease ends.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import time
import uuid
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import orjson
from django.conf import settings
from django.db import IntegrityError, transaction
from django.http import HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from rest_framework.request import Request
from rest_framework.response import Response

from apikeys.db import leases
from apikeys.db.leases import Lease, Leases
from apikeys.db.tenancy import Tenant
from apikeys.http import request_data
from apikeys.http.errors import IdempotencyMismatch, InProgress, ValidationFailed, WaybillError
from apikeys.http.rendering import error_body, to_json
from apikeys.models import IdempotencyRecord

REPLAYED = "Idempotent-Replayed"
_POLL_S = 0.1
_State = IdempotencyRecord.State
LEASES = Leases(IdempotencyRecord, lasts=lambda: settings.IDEMPOTENCY_LEASE)


@dataclass
class Claim:
    """The lease of the current request on its key."""

    lease: Lease
    subject: uuid.UUID | None = None


_claim: ContextVar[Claim | None] = ContextVar("idempotency_claim", default=None)

RenderSubject = Callable[[Any, Request, uuid.UUID], Response]


def idempotent(
    render_subject: RenderSubject | None = None,
) -> Callable[[Callable[..., Response]], Callable[..., Response]]:
    """Make a view method idempotent for requests with a key.

    Args:
        render_subject: ``(view, request, id)``, renders the bound subject for a repeated request.
    """

    def decorate(handle: Callable[..., Response]) -> Callable[..., Response]:
        @functools.wraps(handle)
        def handle_once(view: Any, request: Request, *args: Any, **kwargs: Any) -> Response:
            key = _read_key(request)
            if key is None:
                return handle(view, request, *args, **kwargs)
            found = _claim_or_find(request._request.tenant, key, _fingerprint(request))
            if isinstance(found, Claim):
                return _handle_first(found, view, functools.partial(handle, view, request, *args, **kwargs))
            return _replay(found, view, request, render_subject)

        handle_once.is_idempotent = True
        return handle_once

    return decorate


def bind(subject: uuid.UUID) -> None:
    """Bind the current request's key to the object that it creates. Call this in the transaction that reserves it.

    Raises: ``InProgress`` if another request has taken over the key. This rolls the reservation back.
    """
    claim = _claim.get()
    if claim is None:
        return
    if not claim.lease.rows.filter(subject=None).update(subject=subject):
        raise InProgress(retry_after_s=2)
    claim.subject = subject


def delete_expired() -> int:
    """Delete keys older than ``IDEMPOTENCY_KEEP`` and return their number."""
    return IdempotencyRecord.objects.filter(created_at__lt=timezone.now() - settings.IDEMPOTENCY_KEEP).delete()[0]


def _read_key(request: Request) -> str | None:
    header = request.headers.get("Idempotency-Key")
    if header is None:
        return None
    # The IETF draft specifies a quoted string. Unquoted keys are accepted too.
    key = header[1:-1] if len(header) >= 2 and header[0] == header[-1] == '"' else header
    if not 1 <= len(key) <= 255 or not key.isascii() or not key.isprintable():
        raise ValidationFailed(details={"Idempotency-Key": [_("Send 1 to 255 printable ASCII characters.")]})
    return key


def _fingerprint(request: Request) -> str:
    # An unreadable line of NDJSON is represented by its error, which ``default`` turns into text.
    body = orjson.dumps(request.data, default=str, option=orjson.OPT_SORT_KEYS)
    tenant = request._request.tenant
    text = f"{request.method} {request.path} {tenant.store_id}\n".encode() + body
    # An HMAC, since a short secret in the body could be guessed from a plain hash.
    return hmac.new(settings.API_KEY_PEPPER.encode(), text, hashlib.sha256).hexdigest()


def _claim_or_find(tenant: Tenant, key: str, fingerprint: str) -> Claim | IdempotencyRecord:
    """Return a claim to the first request, and the finished record to a repeated one.

    Raises: ``IdempotencyMismatch``, or ``InProgress`` if the first request still runs after the wait.
    """
    deadline = time.monotonic() + settings.IDEMPOTENCY_WAIT_S
    while True:
        try:
            with transaction.atomic():
                record = IdempotencyRecord.objects.create(
                    merchant_id=tenant.merchant_id,
                    mode=tenant.mode,
                    key=key,
                    fingerprint=fingerprint,
                    lease_until=leases.now() + settings.IDEMPOTENCY_LEASE,
                )
            return Claim(Lease(LEASES, record.id, record.fence))
        except IntegrityError:
            record = IdempotencyRecord.objects.of(tenant).filter(key=key).annotate(now=leases.now()).first()
        if record is None:  # deleted between the two statements
            continue
        if record.created_at < timezone.now() - settings.IDEMPOTENCY_KEEP:
            IdempotencyRecord.objects.filter(id=record.id, created_at=record.created_at).delete()
            continue
        if record.fingerprint != fingerprint:
            raise IdempotencyMismatch
        if record.state == _State.DONE:
            return record
        if not leases.lasts(record.lease_until, record.now, settings.IDEMPOTENCY_LEASE):
            if record.subject:
                return record
            unchanged = IdempotencyRecord.objects.filter(id=record.id, fence=record.fence)
            if lease := LEASES.acquire(unchanged.filter(state=_State.RUNNING, subject=None)):
                return Claim(lease)
        if time.monotonic() >= deadline:
            raise InProgress(retry_after_s=2)
        time.sleep(_POLL_S)


def _handle_first(claim: Claim, view: Any, handle: Callable[[], Response]) -> Response:
    token = _claim.set(claim)
    try:
        response = handle()
    except WaybillError as error:
        if claim.subject is None or error.retryable:
            claim.lease.rows.delete()  # nothing was done, so the request may be repeated
        else:
            _store_response(claim, error.status, error_body(error))
        raise
    except BaseException:
        # Only the row shows whether the key is bound: the binding may have been rolled back, and a commit may have
        # succeeded although its response was lost.
        if not claim.lease.rows.filter(subject=None).delete()[0]:
            _store_response(claim, None, None)
        raise
    finally:
        _claim.reset(token)
    warnings = view.take_body_warnings()
    request_data.add_warnings(response, warnings)
    _store_response(claim, response.status_code, response.data, warnings)
    return response


def _store_response(claim: Claim, status: int | None, body: Any, warnings: Sequence[Any] = ()) -> None:
    """Store the response for replays.

    Replays of a success with a bound subject render that subject, so only the warnings about the body are stored.
    """
    renders_subject = status is None or (claim.subject is not None and status < 400)
    if renders_subject:
        status, content = None, to_json({"warnings": warnings}) if warnings else None
    else:
        content = to_json(body)
    claim.lease.update(state=_State.DONE, response_status=status, response_body=content)


def _replay(record: IdempotencyRecord, view: Any, request: Request, render_subject: RenderSubject | None) -> Any:
    if record.response_status is not None:
        response = HttpResponse(
            bytes(record.response_body), status=record.response_status, content_type="application/json"
        )
    elif render_subject is not None and record.subject is not None:
        response = render_subject(view, request, record.subject)
        if record.response_body:
            request_data.add_warnings(response, orjson.loads(record.response_body)["warnings"])
    else:
        raise InProgress(retry_after_s=2)
    response[REPLAYED] = "true"
    return response
