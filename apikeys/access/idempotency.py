"""What is repeated: one mechanism for every creating POST that carries an ``Idempotency-Key``.

An INSERT claims the key before any work. The same request again is answered from what the first one made, with
``Idempotent-Replayed: true``; another request under the key is 422; while the first still runs the caller waits a
little, then gets 409 with Retry-After. A key is kept for 24 hours.

Work that a repetition must never do again (a purchase) *binds* its subject in the very transaction that reserves it.
From then on any repetition renders the subject's current state, even when the first process was killed; before that, a
killed holder's key is taken over after its lease.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import time
import uuid
from collections.abc import Callable
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
from apikeys.http.errors import IdempotencyMismatch, InProgress, ValidationFailed, WaybillError
from apikeys.http.rendering import error_body, to_json
from apikeys.models import IdempotencyRecord

REPLAYED = "Idempotent-Replayed"
_POLL_S = 0.1
_State = IdempotencyRecord.State
LEASES = Leases(IdempotencyRecord, lasts=lambda: settings.IDEMPOTENCY_LEASE)


@dataclass
class Claim:
    """This request's lease on its key."""

    lease: Lease
    subject: uuid.UUID | None = None


_claim: ContextVar[Claim | None] = ContextVar("idempotency_claim", default=None)

RenderSubject = Callable[[Any, Request, uuid.UUID], Response]


def idempotent(
    render_subject: RenderSubject | None = None,
) -> Callable[[Callable[..., Response]], Callable[..., Response]]:
    """Decorate a view's method. ``render_subject(view, request, id)`` answers a repetition from the bound subject."""

    def decorate(handle: Callable[..., Response]) -> Callable[..., Response]:
        @functools.wraps(handle)
        def answer(view: Any, request: Request, *args: Any, **kwargs: Any) -> Response:
            key = _key(request)
            if key is None:
                return handle(view, request, *args, **kwargs)
            held = _acquire(request._request.tenant, key, _fingerprint(request))
            if isinstance(held, Claim):
                return _first(held, functools.partial(handle, view, request, *args, **kwargs))
            return _replay(held, view, request, render_subject)

        answer.is_idempotent = True
        return answer

    return decorate


def bind(subject: uuid.UUID) -> None:
    """Tie the running request's key to what it is about to make. Call inside the transaction that reserves it.

    Raises ``InProgress`` when another request has taken the key over meanwhile, which rolls the reservation back.
    """
    claim = _claim.get()
    if claim is None:
        return
    if not claim.lease.rows.filter(subject=None).update(subject=subject):
        raise InProgress(retry_after_s=2)
    claim.subject = subject


def forget_old() -> int:
    """Delete the keys older than ``IDEMPOTENCY_KEEP``; how many."""
    return IdempotencyRecord.objects.filter(created_at__lt=timezone.now() - settings.IDEMPOTENCY_KEEP).delete()[0]


def _key(request: Request) -> str | None:
    given = request.headers.get("Idempotency-Key")
    if given is None:
        return None
    # The IETF draft makes it a quoted string; bare ones are taken as well.
    key = given[1:-1] if len(given) >= 2 and given[0] == given[-1] == '"' else given
    if not 1 <= len(key) <= 255 or not key.isascii() or not key.isprintable():
        raise ValidationFailed(details={"Idempotency-Key": [_("Send 1 to 255 printable ASCII characters.")]})
    return key


def _fingerprint(request: Request) -> str:
    # A line of NDJSON that could not be read stands in the data as its error.
    body = orjson.dumps(request.data, default=str, option=orjson.OPT_SORT_KEYS)
    tenant = request._request.tenant
    what = f"{request.method} {request.path} {tenant.store_id}\n".encode() + body
    # Keyed, since a body may hold a secret short enough to be guessed from a plain hash.
    return hmac.new(settings.API_KEY_PEPPER.encode(), what, hashlib.sha256).hexdigest()


def _acquire(tenant: Tenant, key: str, fingerprint: str) -> Claim | IdempotencyRecord:
    """A claim for the first; the finished record for a repetition. Raises ``InProgress`` after a bounded wait."""
    give_up = time.monotonic() + settings.IDEMPOTENCY_WAIT_S
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
        if record is None:  # released between the two statements
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
        if time.monotonic() >= give_up:
            raise InProgress(retry_after_s=2)
        time.sleep(_POLL_S)


def _first(claim: Claim, handle: Callable[[], Response]) -> Response:
    token = _claim.set(claim)
    try:
        response = handle()
    except WaybillError as error:
        if claim.subject is None or error.retryable:
            _release(claim)
        else:
            _keep(claim, error.status, error_body(error))
        raise
    except BaseException:
        # The row decides: what bound the key may have been rolled back, and a commit whose answer was lost may stand.
        if not _release_unbound(claim):
            _keep(claim, None, None)
        raise
    finally:
        _claim.reset(token)
    _keep(claim, response.status_code, response.data)
    return response


def _release(claim: Claim) -> None:
    """An attempt that did nothing may be made again under its key."""
    claim.lease.rows.delete()


def _release_unbound(claim: Claim) -> bool:
    return bool(claim.lease.rows.filter(subject=None).delete()[0])


def _keep(claim: Claim, status: int | None, body: Any) -> None:
    """With a subject a success is rendered anew on each replay; an error is kept as it was."""
    rendered_anew = status is None or (claim.subject is not None and status < 400)
    claim.lease.update(
        state=_State.DONE,
        response_status=None if rendered_anew else status,
        response_body=None if rendered_anew else to_json(body),
    )


def _replay(record: IdempotencyRecord, view: Any, request: Request, render_subject: RenderSubject | None) -> Any:
    if record.response_status is not None:
        response = HttpResponse(
            bytes(record.response_body), status=record.response_status, content_type="application/json"
        )
    elif render_subject is not None and record.subject is not None:
        response = render_subject(view, request, record.subject)
    else:
        raise InProgress(retry_after_s=2)
    response[REPLAYED] = "true"
    return response
