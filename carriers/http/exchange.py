"""One operation at a carrier: an HTTP request, repeated where that is safe."""

from __future__ import annotations

import logging
import math
import random
import time

import requests
from django.conf import settings
from django.utils.translation import gettext as _

from apikeys.http.guards import seconds_left
from carriers.adapters.operations import is_read
from carriers.http import call_log, circuit_breaker, connection_pool, metrics, rate_limits
from carriers.http.answers import Answer
from carriers.http.call_log import Caller
from carriers.http.masking import hide_secrets
from carriers.models import CarrierCall
from carriers.types import errors

log = logging.getLogger(__name__)
Outcome = CarrierCall.Outcome

_session = connection_pool.create_session()
_MAX_RETRY_AFTER_S = 5.0
_CHUNK = 65_536


class Exchange:
    """One operation, with its repetitions, which depend on its effect."""

    def __init__(
        self,
        caller: Caller,
        operation: str,
        prepared: requests.PreparedRequest,
        *,
        is_file: bool = False,
        give_up: float = math.inf,
    ) -> None:
        """``give_up``: an earlier end than the call's own, as of ``time.monotonic``."""
        self.caller, self.operation, self.prepared = caller, operation, prepared
        self.is_read, self.is_file = is_read(operation), is_file
        self.too_large = False
        limits = (settings.CARRIER_TIMEOUT_S, seconds_left())  # of the call, and of the request that it serves
        self.give_up = min(give_up, time.monotonic() + min(limit for limit in limits if limit is not None))
        self.secrets = call_log.collect_secrets(caller, prepared.headers)

    def request_permission(self) -> circuit_breaker.Permission:
        """Return the circuit breaker's permission. Raises: ``CarrierUnavailable`` while it is open."""
        try:
            return circuit_breaker.request_permission(self.caller.credential, self.operation)
        except circuit_breaker.Open as error:
            text = _("Not sent: the last calls of this operation failed.")
            raise self.unavailable(text, error.retry_after_s, code="breaker_open") from error

    def run(self, permission: circuit_breaker.Permission) -> Answer:
        """Send the request, and again where that is safe; return any answer below 500 except 429."""
        for attempt in range(1, settings.CARRIER_MAX_RETRIES + 2):
            last = attempt > settings.CARRIER_MAX_RETRIES or permission.is_probe
            answer, error = self._attempt(attempt, permission)
            if error is None:
                return answer
            error.answer = answer
            retry_after = answer.retry_after_s if answer else None
            if last or not self._may_repeat(error, retry_after) or not self._pause(attempt, retry_after):
                raise error
            try:
                permission = circuit_breaker.request_permission(self.caller.credential, self.operation)
            except circuit_breaker.Open as opened:
                raise error from opened
        raise AssertionError("unreachable")

    def unavailable(self, reason: str, retry_after_s: int | None = None, code: str = "") -> errors.CarrierUnavailable:
        """Return the error for a call that is not sent."""
        return errors.CarrierUnavailable(
            carrier=self.caller.carrier_name, carrier_code=code, carrier_message=reason, retry_after_s=retry_after_s
        )

    def _attempt(
        self, attempt: int, permission: circuit_breaker.Permission
    ) -> tuple[Answer | None, errors.CarrierError | None]:
        try:
            self._wait_for_turn()
            started, left = time.monotonic(), self._left()
            answer, outcome, problem = self._send_and_classify()
        except BaseException:
            permission.release()
            raise
        call_log.log_call(
            self.caller,
            self.operation,
            self.prepared,
            answer,
            outcome=outcome,
            problem=problem,
            attempt=attempt,
            seconds=time.monotonic() - started,
            secrets=self.secrets,
            is_file=self.is_file,
        )
        self._report_to_breaker(permission, outcome, problem, left)
        self._pause_endpoint(answer)
        if answer is not None and outcome in (Outcome.OK, Outcome.REFUSED) and answer.status != 429:
            return answer, None
        return answer, self._error(answer, outcome, problem)

    def _wait_for_turn(self) -> None:
        """Wait for the credential's turn at the endpoint, for a bounded time. Raises: ``CarrierRateLimited``."""
        most_s = max(0.0, min(settings.CARRIER_BUDGET_WAIT_S, self._left()))
        try:
            wait = rate_limits.reserve_turn(self.caller.rate_owner, self.operation, most_s=most_s)
        except rate_limits.RateExceeded as error:
            metrics.observe_exceeded(self.caller.credential.carrier, self.operation)
            rate = _("%(limit)d requests per %(per)s") % {"limit": error.rate.limit, "per": error.rate.per}
            raise errors.CarrierRateLimited(
                carrier=self.caller.carrier_name,
                carrier_code="budget_spent",
                details={"limit": [_("This credential has used up its rate at the carrier: %s.") % rate]},
                retry_after_s=error.retry_after_s,
            ) from error
        if wait > 0:
            metrics.observe_wait(self.caller.credential.carrier, self.operation, wait)
            time.sleep(wait)

    def _send_and_classify(self) -> tuple[Answer | None, str, str]:
        """Send the request once; return the answer, the outcome and the problem, for the log."""
        try:
            answer = self._send_once()
        except connection_pool.TooLarge as error:
            self.too_large = True
            return None, Outcome.BROKEN, str(error)
        except requests.RequestException as error:
            name = type(error).__name__
            if connection_pool.is_never_sent(error):
                return None, Outcome.UNREACHABLE, name
            return None, (Outcome.TIMEOUT if connection_pool.is_timeout(error) else Outcome.BROKEN), name
        except Exception as error:  # urllib3 or requests failed on the answer itself: the carrier may have acted
            name = type(error).__name__  # not its text, which may quote a header
            log.error("answer not readable", extra={"operation": self.operation, "error": name})
            return None, Outcome.BROKEN, name
        return answer, answer.outcome, f"HTTP {answer.status}" if answer.outcome == Outcome.FAILED else ""

    def _send_once(self) -> Answer:
        left = self._left()
        if left <= 0:
            raise requests.ConnectTimeout("the request's deadline has passed")
        # The socket's limit also covers headers and chunk sizes, which the limit on the content below does not count.
        connection_pool.set_limits(deadline=self.give_up, max_bytes=2 * settings.CARRIER_MAX_ANSWER_BYTES + _CHUNK)
        timeout = (min(settings.CARRIER_CONNECT_TIMEOUT_S, left), left)
        response = _session.send(self.prepared, timeout=timeout, allow_redirects=False, stream=True)
        try:
            content = bytearray()
            for chunk in response.iter_content(_CHUNK):
                content += chunk
                if len(content) > settings.CARRIER_MAX_ANSWER_BYTES:
                    raise connection_pool.TooLarge("the answer is larger than CARRIER_MAX_ANSWER_BYTES")
            headers = {name.lower(): value for name, value in response.headers.items()}
            # Secrets are masked in refusals only: in a 2xx the same text can be a value that the answer needs.
            shown = hide_secrets(bytes(content), self.secrets) if response.status_code >= 300 else bytes(content)
            return Answer(response.status_code, headers, shown)
        finally:
            response.close()

    def _left(self) -> float:
        return self.give_up - time.monotonic()

    def _report_to_breaker(
        self, permission: circuit_breaker.Permission, outcome: str, problem: str, left: float
    ) -> None:
        """Report the outcome to the circuit breaker, unless a late request left the carrier too little time."""
        had_time = left >= min(settings.CARRIER_CONNECT_TIMEOUT_S, settings.CARRIER_TIMEOUT_S) / 2
        try:
            if outcome in (Outcome.OK, Outcome.REFUSED):
                permission.record_answer()
            elif had_time or outcome == Outcome.FAILED:
                permission.record_failure(f"{outcome}: {problem}")
            else:
                permission.release()
        except Exception:  # the carrier has acted: its answer must not be lost
            log.exception(
                "outcome not recorded in the circuit breaker", extra={"operation": self.operation, "outcome": outcome}
            )

    def _pause_endpoint(self, answer: Answer | None) -> None:
        """Pause the endpoint for the credential after a 429 with ``Retry-After``: other calls would get a 429 too."""
        if answer is None or answer.status != 429 or answer.retry_after_s is None:
            return
        try:
            rate_limits.pause(self.caller.rate_owner, self.operation, answer.retry_after_s)
        except Exception:  # the carrier's answer must not be lost
            log.exception("endpoint not paused", extra={"operation": self.operation})

    def _error(self, answer: Answer | None, outcome: str, problem: str) -> errors.CarrierError:
        facts = {"carrier": self.caller.carrier_name, "carrier_code": str(answer.status) if answer else outcome}
        if answer is not None:  # without an answer there is no message of the carrier's
            facts["carrier_message"] = problem
        if answer is not None and answer.status == 429:
            details = {"limit": [_("The carrier's own limit.")]}
            return errors.CarrierRateLimited(details=details, retry_after_s=answer.retry_after_s or 1, **facts)
        if outcome == Outcome.UNREACHABLE:
            return errors.CarrierUnavailable(**facts)
        if not self.is_read:
            return errors.OutcomeUnknown(**facts)
        if outcome == Outcome.TIMEOUT:
            return errors.CarrierTimeout(**facts)
        return errors.CarrierUnavailable(retry_after_s=answer.retry_after_s if answer else None, **facts)

    def _may_repeat(self, error: errors.CarrierError, retry_after: int | None) -> bool:
        if retry_after is not None and retry_after > _MAX_RETRY_AFTER_S:
            return False
        if isinstance(error, errors.CarrierRateLimited):
            return True
        if isinstance(error, errors.CarrierTimeout):
            return False  # all the time is used up
        if self.too_large:
            return False  # the next answer would be as large
        return self.is_read or error.carrier_code == Outcome.UNREACHABLE

    def _pause(self, attempt: int, retry_after: int | None) -> bool:
        """Wait before the next attempt; return False, without waiting, if the deadline comes first."""
        backoff = settings.CARRIER_RETRY_DELAY_S * 2 ** (attempt - 1) * random.uniform(0.8, 1.2)
        wait = (retry_after or 0) + backoff
        if wait >= self._left():
            return False
        time.sleep(wait)
        return True
