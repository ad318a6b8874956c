"""The one function that speaks HTTP to a carrier.

Pooled connections, time and size caps, the account's budget, a breaker, a call-log row whatever happens, and repetition
only of what is safe to repeat: reads after any failure, writes only after a refused connection or a 429, when nothing
can have happened. It refuses to run inside a database transaction, which a slow carrier would hold open. What it
promises stands in ``docs/reliability.md``.
"""

from __future__ import annotations

import json as jsonlib
import logging
import random
import time
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from datetime import UTC
from decimal import Decimal
from email.utils import parsedate_to_datetime
from math import ceil
from typing import Any, TypeVar
from urllib.parse import urlsplit

import requests
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError, ReadTimeoutError

from apikeys.access import usage
from apikeys.audit import events
from apikeys.db.tenancy import Tenant
from apikeys.http import correlation
from apikeys.http.guards import seconds_left
from apikeys.models import UsageDay
from carriers.adapters.registry import adapter_class
from carriers.http import circuit_breaker, connection_pool, metrics, rate_limits, slots
from carriers.http.masking import concealed, masked, masked_url, personal_values
from carriers.models import CarrierCall, Credential, Environment
from carriers.models.event_types import CALL_FAILED
from carriers.types import errors

log = logging.getLogger(__name__)
Outcome = CarrierCall.Outcome

_session = connection_pool.session()
_MAX_RETRY_AFTER_S = 5.0
_CHUNK = 65_536
_SIDE_BY_SIDE = 5
T = TypeVar("T")
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


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
        body = b"" if json is None else jsonlib.dumps(json, default=_number).encode()
        kind = {"Content-Type": "application/json"} if body else {}
        sent = {**(headers or {}), "Accept": "application/json", **kind, **_correlation()}
        prepared = requests.Request(method, url, headers=sent, params=params, data=body or None).prepare()
        return self._run(_Exchange(self.caller, operation, prepared, safe=safe))

    def fetch(
        self, operation: str, url: str, *, hosts: Collection[str], headers: Mapping[str, str] | None = None
    ) -> Answer:
        """See the protocol for what is raised when."""
        try:
            prepared = requests.Request("GET", url, headers={**(headers or {}), **_correlation()}).prepare()
        except (requests.RequestException, ValueError) as error:
            raise self._foreign(operation) from error
        if not self._is_at(prepared.url, hosts):
            raise self._foreign(operation)
        return self._run(_Exchange(self.caller, operation, prepared, safe=True, is_file=True))

    def several(self, calls: Sequence[Callable[[], T]]) -> list[T | errors.CarrierError]:
        """See the protocol. Each call runs with the caller's deadline, correlation id and actor."""
        # Threads have connections of their own and would not see the rows of a test's transaction either.
        if _in_transaction() or (len(calls) > 1 and connection.in_atomic_block):
            raise TransactionOpen(f"several calls at {self.caller.carrier_name} inside a transaction")
        if len(calls) < 2:
            return [_outcome_of(call) for call in calls]
        with ThreadPoolExecutor(min(_SIDE_BY_SIDE, len(calls)), thread_name_prefix="carrier") as pool:
            running = [pool.submit(copy_context().run, _in_a_thread, call) for call in calls]
            return [one.result() for one in running]

    def _run(self, exchange: _Exchange) -> Answer:
        if _in_transaction():
            raise TransactionOpen(f"{exchange.operation} at {self.caller.carrier_name} inside a transaction")
        permit = exchange.admit()
        try:
            with slots.calling():
                return exchange.run(permit)
        except slots.Full as error:
            permit.unused()
            text = _("Too many requests to carriers are running.")
            raise exchange.unavailable(text, retry_after_s=5, code="busy") from error

    def _is_at(self, url: str, hosts: Collection[str]) -> bool:
        """``https`` in production; the sandbox's loopback may speak ``http``."""
        parts = urlsplit(url)
        host = parts.netloc.lower().removesuffix(":443" if parts.scheme == "https" else ":80")
        is_sandbox = self.caller.credential.environment == Environment.SANDBOX
        plain = parts.scheme == "http" and is_sandbox and parts.hostname in _LOOPBACK
        return (parts.scheme == "https" or plain) and host in {name.lower() for name in hosts}

    def _foreign(self, operation: str) -> errors.CarrierUnavailable:
        log.warning("file not at the carrier's", extra={"operation": operation, "carrier": self.caller.carrier_name})
        return errors.CarrierUnavailable(
            carrier=self.caller.carrier_name,
            carrier_code="unreadable_answer",
            carrier_message=_("%s: the file is not at the carrier's own address") % operation,
        )


def _in_transaction() -> bool:
    """Whether a transaction is open, apart from the one that Django's ``TestCase`` wraps around each test.

    ``transaction.atomic(durable=True)`` decides it the same way.
    """
    blocks = connection.atomic_blocks
    return bool(blocks) and not blocks[-1]._from_testcase


def _outcome_of(call: Callable[[], T]) -> T | errors.CarrierError:
    try:
        return call()
    except errors.CarrierError as error:
        return error


def _in_a_thread(call: Callable[[], T]) -> T | errors.CarrierError:
    try:
        return _outcome_of(call)
    finally:
        connection.close()


class _Exchange:
    """One operation with its repetitions."""

    def __init__(
        self,
        caller: Caller,
        operation: str,
        prepared: requests.PreparedRequest,
        *,
        safe: bool,
        is_file: bool = False,
    ) -> None:
        self.caller, self.operation, self.prepared = caller, operation, prepared
        self.safe, self.is_file = safe, is_file
        self.too_large = False
        self.give_up = time.monotonic() + _time_left()
        self.secrets = _secrets(caller.credential, prepared.headers)

    def admit(self) -> circuit_breaker.Permit:
        try:
            return circuit_breaker.admit(self.caller.credential, self.operation)
        except circuit_breaker.Open as error:
            text = _("Not asked, after failures in a row.")
            raise self.unavailable(text, error.retry_after_s, code="breaker_open") from error

    def run(self, permit: circuit_breaker.Permit) -> Answer:
        for attempt in range(1, settings.CARRIER_MAX_RETRIES + 2):
            last = attempt > settings.CARRIER_MAX_RETRIES or permit.is_probe
            answer, error = self._attempt(attempt, permit)
            if error is None:
                return answer
            error.answer = answer
            told = _retry_after(answer) if answer else None
            if last or not self._may_repeat(error, told) or not self._pause(attempt, told):
                raise error
            permit = self._admit_again(error)
        raise AssertionError("unreachable")

    def unavailable(self, reason: str, retry_after_s: int | None = None, code: str = "") -> errors.CarrierUnavailable:
        return errors.CarrierUnavailable(
            carrier=self.caller.carrier_name, carrier_code=code, carrier_message=reason, retry_after_s=retry_after_s
        )

    def _admit_again(self, before: errors.CarrierError) -> circuit_breaker.Permit:
        try:
            return circuit_breaker.admit(self.caller.credential, self.operation)
        except circuit_breaker.Open as error:
            raise before from error

    def _attempt(
        self, attempt: int, permit: circuit_breaker.Permit
    ) -> tuple[Answer | None, errors.CarrierError | None]:
        try:
            self._wait_for_turn()
            started, left = time.monotonic(), self._left()
            answer, outcome, problem = self._outcome()
        except BaseException:
            permit.unused()
            raise
        self._log(attempt, started, answer, outcome, problem)
        self._settle(permit, outcome, problem, left)
        self._hold_back_others(answer)
        if answer is not None and outcome in (Outcome.OK, Outcome.REFUSED) and answer.status != 429:
            return answer, None
        return answer, self._error(answer, outcome, problem)

    def _outcome(self) -> tuple[Answer | None, str, str]:
        try:
            answer = self._exchange()
        except connection_pool.TooLarge as error:
            self.too_large = True
            return None, Outcome.BROKEN, str(error)
        except requests.RequestException as error:
            name = type(error).__name__
            if _never_left(error):
                return None, Outcome.UNREACHABLE, name
            return None, (Outcome.TIMEOUT if _is_timeout(error) else Outcome.BROKEN), name
        except Exception as error:  # an answer that the library itself stumbles over: the carrier may have acted
            name = type(error).__name__  # its words may quote a header
            log.error("answer not readable", extra={"operation": self.operation, "error": name})
            return None, Outcome.BROKEN, name
        return answer, *_judge(answer)

    def _wait_for_turn(self) -> None:
        """Wait, a little, for the account's turn at the carrier. Raises ``CarrierRateLimited``."""
        most_s = max(0.0, min(settings.CARRIER_BUDGET_WAIT_S, self._left()))
        try:
            wait = rate_limits.take(self.caller.credential, self.operation, most_s=most_s)
        except rate_limits.Refused as error:
            rate = _("%(limit)d requests per %(per)s") % {"limit": error.rate.limit, "per": error.rate.per}
            raise errors.CarrierRateLimited(
                carrier=self.caller.carrier_name,
                carrier_code="budget_spent",
                details={"limit": [_("This account's budget at the carrier is spent: %s.") % rate]},
                retry_after_s=error.retry_after_s,
            ) from error
        if wait > 0:
            time.sleep(wait)

    def _exchange(self) -> Answer:
        left = self._left()
        if left <= 0:
            raise requests.ConnectTimeout("the request's deadline has passed")
        # Headers and the sizes of chunks come on top of what is counted below.
        connection_pool.end_at(self.give_up, most=2 * settings.CARRIER_MAX_ANSWER_BYTES + _CHUNK)
        timeout = (min(settings.CARRIER_CONNECT_TIMEOUT_S, left), left)
        response = _session.send(self.prepared, timeout=timeout, allow_redirects=False, stream=True)
        try:
            content = self._read(response)
            # What is no refusal stays whole: a secret may be a word that an order's answer needs.
            shown = concealed(content, self.secrets) if response.status_code >= 300 else content
            return Answer(response.status_code, _lower(response.headers), shown)
        finally:
            response.close()

    def _read(self, response: requests.Response) -> bytes:
        content = bytearray()
        for chunk in response.iter_content(_CHUNK):
            content += chunk
            if len(content) > settings.CARRIER_MAX_ANSWER_BYTES:
                raise connection_pool.TooLarge("the answer is larger than CARRIER_MAX_ANSWER_BYTES")
        return bytes(content)

    def _left(self) -> float:
        return self.give_up - time.monotonic()

    def _settle(self, permit: circuit_breaker.Permit, outcome: str, problem: str, left: float) -> None:
        """Tell the breaker. A carrier that was given too little time by a late request has not failed."""
        had_time = left >= min(settings.CARRIER_CONNECT_TIMEOUT_S, settings.CARRIER_TIMEOUT_S) / 2
        try:
            if outcome in (Outcome.OK, Outcome.REFUSED):
                permit.answered()
            elif had_time or outcome == Outcome.FAILED:
                permit.failed(f"{outcome}: {problem}")
            else:
                permit.unused()
        except Exception:  # the carrier has acted: what it said must not be lost over this
            log.exception("breaker not written", extra={"operation": self.operation, "outcome": outcome})

    def _hold_back_others(self, answer: Answer | None) -> None:
        """Whoever else calls with this account would get the same 429."""
        told = _retry_after(answer) if answer and answer.status == 429 else None
        if told is None:
            return
        try:
            rate_limits.hold(self.caller.credential, self.operation, told)
        except Exception:  # the carrier's answer must not be lost over this
            log.exception("budget not held back", extra={"operation": self.operation})

    def _error(self, answer: Answer | None, outcome: str, problem: str) -> errors.CarrierError:
        words = {"carrier": self.caller.carrier_name, "carrier_code": str(answer.status) if answer else outcome}
        if answer is not None:  # a carrier that said nothing has no words
            words["carrier_message"] = problem
        if answer is not None and answer.status == 429:
            details = {"limit": [_("The carrier's own limit.")]}
            return errors.CarrierRateLimited(details=details, retry_after_s=_retry_after(answer) or 1, **words)
        if outcome == Outcome.UNREACHABLE:
            return errors.CarrierUnavailable(**words)
        if not self.safe:
            return errors.OutcomeUnknown(**words)
        if outcome == Outcome.TIMEOUT:
            return errors.CarrierTimeout(**words)
        return errors.CarrierUnavailable(retry_after_s=_retry_after(answer) if answer else None, **words)

    def _may_repeat(self, error: errors.CarrierError, told: int | None) -> bool:
        if told is not None and told > _MAX_RETRY_AFTER_S:
            return False
        if isinstance(error, errors.CarrierRateLimited):
            return True
        if isinstance(error, errors.CarrierTimeout):
            return False  # the whole time is used up
        if self.too_large:
            return False  # it would be as large again
        return self.safe or error.carrier_code == Outcome.UNREACHABLE

    def _pause(self, attempt: int, told: int | None) -> bool:
        backoff = settings.CARRIER_RETRY_DELAY_S * 2 ** (attempt - 1) * random.uniform(0.8, 1.2)
        wait = (told or 0) + backoff
        if wait >= self._left():
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
            url=self._logged_url(),
            request_body=masked(self.prepared.body or b"", secrets=self.secrets),
            status=answer.status if answer else None,
            outcome=outcome,
            response_body=self._logged_answer(answer) if answer else "",
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

    def _logged_url(self) -> str:
        """A file's URL may be a key to the file by its query."""
        url = self.prepared.url.partition("?")[0] if self.is_file else self.prepared.url
        return masked_url(url, secrets=self.secrets)[:500]

    def _logged_answer(self, answer: Answer) -> str:
        if self.is_file:
            return f"<a file of {len(answer.content)} bytes>"
        people = personal_values(self.prepared.body or b"")
        return masked(answer.content, secrets=self.secrets, people=people)


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
    fields, kind = credential.fields or {}, adapter_class(credential.carrier)
    # Who the platform is at a carrier is no merchant's affair.
    names = kind.secret_fields() if credential.merchant_id else {*kind.secret_fields(), *kind.required_fields()}
    held = [fields[name] for name in names if name in fields]
    given = headers.get("Authorization", "")
    return [*held, given, given.partition(" ")[2]]


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


def _is_timeout(error: requests.RequestException) -> bool:
    """Also in the middle of an answer, where ``requests`` calls it a lost connection."""
    return isinstance(error, requests.Timeout) or any(isinstance(one, ReadTimeoutError) for one in error.args)


def _retry_after(answer: Answer) -> int | None:
    """Seconds, told as such or as a date; None where the carrier says nothing readable."""
    text = answer.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return max(1, min(999_999, int(text[:18])))
    try:
        moment = parsedate_to_datetime(text)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return max(1, min(999_999, ceil((moment - timezone.now()).total_seconds())))
    except (ValueError, OverflowError):
        return None


def _correlation() -> dict[str, str]:
    return {correlation.HEADER: correlation.current() or str(uuid.uuid4())}


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _number(value: Any) -> float:
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(type(value).__name__)
