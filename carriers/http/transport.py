"""Send HTTP requests to carriers: the only module that adapters use for it.

A call uses pooled connections and has limits of time and size, a rate, a circuit breaker and a row in the call log.
Reads are repeated after any failure, writes only if nothing was sent or after a 429, when nothing can have happened. No
call runs inside a database transaction, which a slow carrier would keep open. ``docs/reliability.md`` describes all
guarantees.
"""

from __future__ import annotations

import json as jsonlib
import logging
import math
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from decimal import Decimal
from typing import Any, TypeVar
from urllib.parse import urlencode, urljoin, urlsplit

import requests
from django.db import connection
from django.utils.translation import gettext as _

from apikeys.http import correlation
from carriers.adapters.apis import Body, Form, Json, Multipart, Xml
from carriers.http import environments, slots
from carriers.http.answers import Answer
from carriers.http.call_log import Caller
from carriers.http.exchange import Exchange
from carriers.types import errors

log = logging.getLogger(__name__)

_CONCURRENT_CALLS = 5
_MAX_REDIRECTS = 3
_REDIRECTS = {301, 302, 303, 307, 308}
T = TypeVar("T")


class TransactionOpen(RuntimeError):
    """A programming error: a carrier was called inside a database transaction."""


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
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
        body: Body | None = None,
        accept: str = "application/json",
    ) -> Answer:
        """Send a request. Raises: as the protocol documents."""
        content = _encode(body)
        sent = {**_fill_ids(headers or {}), "Accept": accept, **content.pop("headers", {}), **_correlation_header()}
        prepared = requests.Request(method, url, headers=sent, params=params, **content).prepare()
        environments.check_request(self.caller.credential, operation, prepared.url, body)
        return self._run(Exchange(self.caller, operation, prepared))

    def fetch(self, operation: str, url: str, *, headers: Mapping[str, str] | None = None) -> Answer:
        """Download a file. Raises: as the protocol documents."""
        sent, give_up = _fill_ids(headers or {}), math.inf  # all requests share the deadline of the first
        for _hop in range(_MAX_REDIRECTS + 1):
            prepared = self._prepare_download(operation, url, sent)
            exchange = Exchange(self.caller, operation, prepared, is_file=True, give_up=give_up)
            answer, give_up = self._run(exchange), exchange.give_up
            if answer.status not in _REDIRECTS or not answer.headers.get("location"):
                return answer
            try:
                url = urljoin(prepared.url, answer.headers["location"])
                is_same_host = urlsplit(url).netloc == urlsplit(prepared.url).netloc
            except ValueError as error:
                raise self._foreign_file(operation) from error
            if not is_same_host:
                sent = {}  # the credential is not for another host, and a later hop does not get it back
        raise self._foreign_file(operation, _("%s: the file has too many redirects"))

    def _prepare_download(self, operation: str, url: str, headers: Mapping[str, str]) -> requests.PreparedRequest:
        try:
            prepared = requests.Request("GET", url, headers={**headers, **_correlation_header()}).prepare()
        except (requests.RequestException, ValueError) as error:
            raise self._foreign_file(operation) from error
        if not environments.may_download(self.caller.credential, prepared.url):
            raise self._foreign_file(operation)
        return prepared

    def several(self, calls: Sequence[Callable[[], T]]) -> list[T | errors.CarrierError]:
        """Run calls concurrently, each with this thread's deadline, correlation id and actor. See the protocol."""
        # Threads have connections of their own and would not see the rows of a test's transaction either.
        if _in_transaction() or (len(calls) > 1 and connection.in_atomic_block):
            raise TransactionOpen(f"several calls at {self.caller.carrier_name} inside a transaction")
        if len(calls) < 2:
            return [_result_or_error(call) for call in calls]
        with ThreadPoolExecutor(min(_CONCURRENT_CALLS, len(calls)), thread_name_prefix="carrier") as pool:
            running = [pool.submit(copy_context().run, _run_in_thread, call) for call in calls]
            return [one.result() for one in running]

    def _run(self, exchange: Exchange) -> Answer:
        if _in_transaction():
            raise TransactionOpen(f"{exchange.operation} at {self.caller.carrier_name} inside a transaction")
        permission = exchange.request_permission()
        try:
            with slots.call_slot():
                return exchange.run(permission)
        except slots.Full as error:
            permission.release()
            text = _("Too many requests to carriers are running.")
            raise exchange.unavailable(text, retry_after_s=5, code="busy") from error

    def _foreign_file(self, operation: str, problem: str = "") -> errors.CarrierUnavailable:
        log.warning("file URL not allowed", extra={"operation": operation, "carrier": self.caller.carrier_name})
        return errors.CarrierUnavailable(
            carrier=self.caller.carrier_name,
            carrier_code="unreadable_answer",
            carrier_message=(problem or _("%s: the file is not on a host of the carrier")) % operation,
        )


def _in_transaction() -> bool:
    """Return whether a transaction is open, apart from the one that Django's ``TestCase`` wraps around each test.

    ``transaction.atomic(durable=True)`` decides it the same way.
    """
    blocks = connection.atomic_blocks
    return bool(blocks) and not blocks[-1]._from_testcase


def _result_or_error(call: Callable[[], T]) -> T | errors.CarrierError:
    try:
        return call()
    except errors.CarrierError as error:
        return error


def _run_in_thread(call: Callable[[], T]) -> T | errors.CarrierError:
    try:
        return _result_or_error(call)
    finally:
        connection.close()


def _correlation_header() -> dict[str, str]:
    return {correlation.HEADER: correlation.current() or str(uuid.uuid4())}


def _fill_ids(headers: Mapping[str, str]) -> dict[str, str]:
    """Replace "{id32}" and "{id36}" in headers by our correlation id."""
    if not any("{id" in value for value in headers.values()):
        return dict(headers)
    number = correlation.as_uuid()
    return {name: value.replace("{id32}", number.hex).replace("{id36}", str(number)) for name, value in headers.items()}


def _encode(body: Body | None) -> dict[str, Any]:
    """Return the arguments of ``requests.Request`` for a body."""
    match body:
        case Json(value):
            content = jsonlib.dumps(value, default=_to_float).encode()
            return {"data": content, "headers": {"Content-Type": "application/json"}}
        case Form(fields):
            content = urlencode(fields).encode()
            return {"data": content, "headers": {"Content-Type": "application/x-www-form-urlencoded"}}
        case Xml(content):
            return {"data": content, "headers": {"Content-Type": "application/xml; charset=utf-8"}}
        case Multipart(fields, files):
            parts = {name: (file.name, file.content, file.content_type) for name, file in files.items()}
            return {"data": fields, "files": parts}
    return {}


def _to_float(value: Any) -> float:
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(type(value).__name__)
