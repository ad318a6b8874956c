"""The one function that speaks HTTP to a carrier.

Pooled connections, timeouts, a size cap, a call-log row whatever happens, and repetition only of what is safe to
repeat: reads after any failure, writes only after a refused connection or a 429, when nothing can have happened. It
refuses to run inside a database transaction, which a slow carrier would hold open.
"""

from __future__ import annotations

import json as jsonlib
import logging
import random
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import requests
from django.conf import settings
from django.db import connection, transaction
from django.utils.translation import gettext as _
from requests.adapters import HTTPAdapter
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from apikeys import correlation, events, usage
from apikeys.models import UsageDay
from apikeys.requests import seconds_left
from apikeys.tenancy import Tenant
from carriers import errors, metrics
from carriers.adapters import adapter_class
from carriers.events import CALL_FAILED
from carriers.masking import concealed, masked
from carriers.models import CarrierCall, Credential

log = logging.getLogger(__name__)
Outcome = CarrierCall.Outcome

# Shared by all threads: requests are prepared outside of it, so it carries neither cookies nor credentials.
_session = requests.Session()
_session.trust_env = False
for _scheme in ("http://", "https://"):
    _session.mount(_scheme, HTTPAdapter(pool_connections=20, pool_maxsize=50, max_retries=0))

_slots = threading.BoundedSemaphore(settings.CARRIER_CONCURRENCY)
_SLOT_WAIT_S = 1.0
_MAX_RETRY_AFTER_S = 5.0
_CHUNK = 65_536


class TransactionOpen(RuntimeError):
    """A programming error: a carrier was called inside a database transaction."""


@dataclass(frozen=True)
class Answer:
    """A carrier's whole answer (``carriers.adapters.base.CarrierResponse``)."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    def json(self) -> Any:
        """Raises ``ValueError`` for what is not JSON."""
        return jsonlib.loads(self.content, parse_float=Decimal)


@dataclass(frozen=True)
class Caller:
    """For whom a carrier is called; goes on the call-log row."""

    credential: Credential
    merchant_id: uuid.UUID | None
    carrier_name: str
    subject_id: uuid.UUID | None = None


class HttpTransport:
    """``carriers.adapters.base.Transport`` over ``requests``."""

    def __init__(self, caller: Caller) -> None:
        self.caller = caller

    def send(
        self,
        operation: str,
        method: str,
        url: str,
        *,
        safe: bool,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
    ) -> Answer:
        """See the protocol for what is raised when."""
        if connection.in_atomic_block:
            raise TransactionOpen(f"{operation} at {self.caller.carrier_name} inside a transaction")
        exchange = _Exchange(self.caller, operation, method, url, safe, dict(headers or {}), params, json)
        if not _slots.acquire(timeout=_SLOT_WAIT_S):
            raise exchange.unavailable(_("Too many requests to carriers are running."), retry_after_s=5)
        try:
            return exchange.run()
        finally:
            _slots.release()


class _Exchange:
    """One operation with its repetitions."""

    def __init__(
        self,
        caller: Caller,
        operation: str,
        method: str,
        url: str,
        safe: bool,
        headers: dict[str, str],
        params: Mapping[str, Any] | None,
        json: Any,
    ) -> None:
        self.caller, self.operation, self.safe = caller, operation, safe
        self.give_up = time.monotonic() + _time_left()
        self.body = b"" if json is None else jsonlib.dumps(json, default=_number).encode()
        headers |= {"Accept": "application/json", correlation.HEADER: correlation.current() or str(uuid.uuid4())}
        if json is not None:
            headers["Content-Type"] = "application/json"
        self.prepared = requests.Request(method, url, headers=headers, params=params, data=self.body or None).prepare()
        self.secrets = _secrets(caller.credential, headers)

    def run(self) -> Answer:
        for attempt in range(1, settings.CARRIER_MAX_RETRIES + 2):
            last = attempt > settings.CARRIER_MAX_RETRIES
            result = self._attempt(attempt)
            if isinstance(result, Answer):
                return result
            if last or not self._may_repeat(result) or not self._pause(attempt, result.retry_after_s):
                raise result
        raise AssertionError("unreachable")

    def unavailable(self, reason: str, retry_after_s: int | None = None) -> errors.CarrierUnavailable:
        return errors.CarrierUnavailable(
            carrier=self.caller.carrier_name, carrier_message=reason, retry_after_s=retry_after_s
        )

    def _attempt(self, attempt: int) -> Answer | errors.CarrierError:
        started = time.monotonic()
        answer: Answer | None = None
        try:
            answer = self._exchange()
            outcome, problem = _judge(answer)
        except _TooLarge as error:
            outcome, problem = Outcome.BROKEN, str(error)
        except requests.Timeout as error:
            outcome, problem = (Outcome.UNREACHABLE if _never_left(error) else Outcome.TIMEOUT), type(error).__name__
        except requests.RequestException as error:
            outcome, problem = (Outcome.UNREACHABLE if _never_left(error) else Outcome.BROKEN), type(error).__name__
        self._log(attempt, started, answer, outcome, problem)
        if answer is not None and outcome in (Outcome.OK, Outcome.REFUSED) and answer.status != 429:
            return answer
        return self._error(answer, outcome, problem)

    def _exchange(self) -> Answer:
        left = self.give_up - time.monotonic()
        if left <= 0:
            raise requests.ConnectTimeout("the request's deadline has passed")
        timeout = (min(settings.CARRIER_CONNECT_TIMEOUT_S, left), left)
        response = _session.send(self.prepared, timeout=timeout, allow_redirects=False, stream=True)
        try:
            content = concealed(self._read(response), self.secrets)
            return Answer(response.status_code, _lower(response.headers), content)
        finally:
            response.close()

    def _read(self, response: requests.Response) -> bytes:
        content = bytearray()
        for chunk in response.iter_content(_CHUNK):
            content += chunk
            if len(content) > settings.CARRIER_MAX_ANSWER_BYTES:
                raise _TooLarge("the answer is larger than CARRIER_MAX_ANSWER_BYTES")
            if time.monotonic() > self.give_up:
                raise requests.ReadTimeout("the answer did not end in time")
        return bytes(content)

    def _error(self, answer: Answer | None, outcome: str, problem: str) -> errors.CarrierError:
        words = {"carrier": self.caller.carrier_name, "carrier_code": str(answer.status) if answer else outcome}
        if answer is not None:  # a carrier that said nothing has no words
            words["carrier_message"] = problem
        if answer is not None and answer.status == 429:
            details = {"limit": [_("The carrier's own limit.")]}
            return errors.CarrierRateLimited(details=details, retry_after_s=_retry_after(answer), **words)
        if outcome == Outcome.UNREACHABLE:
            return errors.CarrierUnavailable(**words)
        if not self.safe:
            return errors.OutcomeUnknown(**words)
        return errors.CarrierTimeout(**words) if outcome == Outcome.TIMEOUT else errors.CarrierUnavailable(**words)

    def _may_repeat(self, error: errors.CarrierError) -> bool:
        if isinstance(error, errors.CarrierRateLimited):
            return (error.retry_after_s or 1) <= _MAX_RETRY_AFTER_S
        if isinstance(error, errors.CarrierTimeout):
            return False  # the whole time is used up
        return self.safe or error.carrier_code == Outcome.UNREACHABLE

    def _pause(self, attempt: int, retry_after_s: int | None) -> bool:
        wait = retry_after_s or settings.CARRIER_RETRY_DELAY_S * 2 ** (attempt - 1) * random.uniform(0.8, 1.2)
        if time.monotonic() + wait >= self.give_up:
            return False
        time.sleep(wait)
        return True

    def _log(self, attempt: int, started: float, answer: Answer | None, outcome: str, problem: str) -> None:
        duration = time.monotonic() - started
        metrics.observe(self.caller.credential.carrier, self.operation, answer.status if answer else outcome, duration)
        row = CarrierCall(
            credential_id=self.caller.credential.id,
            merchant_id=self.caller.merchant_id,
            mode=self.caller.credential.mode,
            carrier=self.caller.credential.carrier,
            operation=self.operation,
            subject_id=self.caller.subject_id,
            method=self.prepared.method,
            url=concealed(self.prepared.url.encode(), self.secrets).decode()[:500],
            request_body=masked(concealed(self.body, self.secrets)),
            status=answer.status if answer else None,
            outcome=outcome,
            response_body=masked(answer.content) if answer else "",
            error=problem[:300],
            attempt=attempt,
            duration_ms=round(duration * 1000),
            correlation_id=correlation.current(),
        )
        failed = outcome != Outcome.OK
        if row.merchant_id:
            usage.count(UsageDay.Kind.CREDENTIAL, row.credential_id, Tenant(row.merchant_id, row.mode), failed=failed)
        try:
            with transaction.atomic():
                row.save(force_insert=True)
                if failed:
                    _tell_of_failure(row)
        except Exception:  # the carrier has acted: losing the log row must not lose the answer
            log.exception("call-log row not written", extra={"operation": self.operation, "outcome": outcome})


def _tell_of_failure(row: CarrierCall) -> None:
    tenant = Tenant(row.merchant_id, row.mode) if row.merchant_id else None
    data = {
        "carrier": row.carrier,
        "operation": row.operation,
        "outcome": row.outcome,
        "status": row.status,
        "call_id": str(row.id),
    }
    events.record(CALL_FAILED, tenant=tenant, subject_id=row.subject_id, data=data)


def _secrets(credential: Credential, headers: Mapping[str, str]) -> list[str]:
    """What we send and the carrier may give back in an error: the account's secrets and the access token."""
    fields = credential.fields or {}
    held = [fields[name] for name in adapter_class(credential.carrier).secret_fields() if name in fields]
    return [*held, *headers.get("Authorization", "").split(" ")[1:]]


class _TooLarge(Exception):
    pass


def _time_left() -> float:
    """The shorter of the call's own timeout and what is left of the request's deadline."""
    left = seconds_left()
    return settings.CARRIER_TIMEOUT_S if left is None else min(settings.CARRIER_TIMEOUT_S, left)


def _judge(answer: Answer) -> tuple[str, str]:
    if answer.status >= 500:
        return Outcome.FAILED, f"HTTP {answer.status}"
    return (Outcome.REFUSED if answer.status >= 300 else Outcome.OK), ""


def _never_left(error: requests.RequestException) -> bool:
    """No connection came about, so the carrier has seen nothing."""
    if isinstance(error, requests.ConnectTimeout):
        return True
    reason = getattr(error.args[0] if error.args else None, "reason", None)
    return isinstance(reason, NewConnectionError | ConnectTimeoutError)


def _retry_after(answer: Answer) -> int:
    text = answer.headers.get("retry-after", "")
    return max(1, int(text[:6])) if text.isascii() and text.isdigit() else 1


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _number(value: Any) -> float:
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(type(value).__name__)
