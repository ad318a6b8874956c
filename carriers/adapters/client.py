"""How every adapter sends requests: with the credential's token, and with errors that fit the operation's effect."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar
from urllib.parse import quote, urlsplit

from carriers.adapters import skipping
from carriers.adapters.operations import LOGIN, OPERATIONS, Effect, is_read
from carriers.adapters.protocols import CarrierResponse, TokenSource, Transport
from carriers.adapters.records import UNREADABLE, to_storable
from carriers.adapters.refusals import Refusal, find_refusal
from carriers.types import errors


class CarrierClient:
    """The base of ``CarrierAdapter``: requests, downloads and their errors."""

    slug: ClassVar[str]
    name: ClassVar[str]
    # Hosts ("host" or "host:port") besides the base URL's that serve the carrier's labels and manifests.
    file_hosts: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self, *, fields: Mapping[str, str], base_url: str, http: Transport, tokens: TokenSource | None = None
    ) -> None:
        self.fields = fields
        self.base_url = base_url.rstrip("/")
        self.http = http
        self.tokens = tokens

    def _request(
        self,
        operation: str,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
    ) -> Any:
        """Send a request with the token, renewed once after a 401, and return the JSON of a 2xx.

        Raises what the transport raises, ``_refusal`` for 3xx and 4xx, ``_unreadable`` for a 2xx without JSON, and
        ``_refused`` for a 2xx that refuses. A purchase is read first (``_reading``): what was sold counts.
        """
        token = self.tokens.current() if self.tokens else ""
        sent = {"params": params, "json": json}
        response = self._send(operation, method, path, headers=self._auth_headers(token), **sent)
        if response.status == 401 and self.tokens:
            token = self.tokens.renew(token)
            response = self._send(operation, method, path, headers=self._auth_headers(token), **sent)
        # These come from a gateway: the carrier behind it may have acted.
        if not is_read(operation) and (response.status == 408 or 300 <= response.status < 400):
            raise self._unreadable(operation, f"HTTP {response.status}")
        if response.status >= 300:
            raise self._refusal(operation, response)
        try:
            answer = response.json()
        except UNREADABLE as error:
            raise self._unreadable(operation, "the answer is not JSON") from error
        if OPERATIONS[operation] is not Effect.PURCHASE and (refusal := find_refusal(answer)):
            raise self._refused(operation, refusal)
        return answer

    def _send(self, operation: str, method: str, path: str, **sent: Any) -> CarrierResponse:
        """Send a request without a token; an error for a 429 or 5xx gets the carrier's code and message."""
        try:
            return self.http.send(operation, method, self.base_url + path, **sent)
        except errors.CarrierError as error:
            if error.answer is not None and error.answer.content.lstrip().startswith(b"{"):
                refusal = self._refusal(operation, error.answer)
                error.carrier_code = refusal.carrier_code
                error.carrier_message = refusal.carrier_message or error.carrier_message
            raise

    def _login(self, path: str, json: Any) -> CarrierResponse:
        """Send a login by POST and return its 2xx.

        Raises ``CarrierAuthentication`` for a refusal of the credential; a 404, for example, is an error in the path.
        """
        response = self._send(LOGIN, "POST", path, json=json)
        if response.status < 300:
            with self._reading(LOGIN):
                found = find_refusal(response.json())
            if not found:
                return response
            code, message = found
        else:
            refusal = self._refusal(LOGIN, response)
            if response.status not in (400, 401, 403):
                raise refusal
            code, message = refusal.carrier_code, refusal.carrier_message
        raise errors.CarrierAuthentication(carrier=self.name, carrier_code=code, carrier_message=message)

    def _download(self, operation: str, url: str) -> bytes:
        """Return a file from one of the carrier's hosts.

        The token, renewed once after a 401, is sent to the base URL's host only: on ``file_hosts`` the URL itself
        grants access.
        """
        own = urlsplit(self.base_url).netloc
        with self._reading(operation):
            host = urlsplit(url).netloc
        hosts, tokens = (own, *self.file_hosts), self.tokens if host == own else None
        token = tokens.current() if tokens else ""
        response = self.http.fetch(operation, url, hosts=hosts, headers=self._auth_headers(token))
        if response.status == 401 and tokens:
            headers = self._auth_headers(tokens.renew(token))
            response = self.http.fetch(operation, url, hosts=hosts, headers=headers)
        if response.status >= 300:
            raise self._refusal(operation, response)
        return response.content

    def _path(self, template: str, *names: str) -> str:
        """Fill values into a path, percent-encoded.

        Raises ``CarrierNotFound`` for a value that would change the path: HTTP clients resolve dots, encoded or not.
        """
        if any(name in ("", ".", "..") for name in names):
            raise errors.CarrierNotFound(carrier=self.name)
        return template.format(*(quote(name, safe="", errors="replace") for name in names))

    @contextmanager
    def _reading(self, operation: str, answer: Any = None) -> Iterator[None]:
        """Turn errors of reading a response into the error that fits the operation's effect.

        Args:
            answer: the JSON of a purchase. If it cannot be read, it may be a refusal.
        """
        try:
            with skipping.reading(self.slug, operation):
                yield
        except UNREADABLE as error:
            if refusal := find_refusal(answer):
                raise self._refused(operation, refusal) from error
            raise self._unreadable(operation, str(error)) from error

    def _auth_headers(self, token: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {token}"} if token else {}

    def _refusal(self, operation: str, response: CarrierResponse) -> errors.CarrierError:
        """Return the error for a 3xx or 4xx. Adapters override this with their carrier's codes."""
        return errors.CarrierRejected(
            carrier=self.name,
            carrier_code=str(response.status),
            carrier_message=to_storable(response.content[:500].decode("utf-8", "replace")),
        )

    def _refused(self, operation: str, refusal: Refusal) -> errors.CarrierError:
        """Return the error for a refusal inside a success: the documented one, else by the operation's effect.

        No carrier states that such a refusal of a purchase sold nothing, unless its code is documented.
        """
        kind = self._documented_refusal(refusal.code)
        if kind is None:
            is_purchase = OPERATIONS[operation] is Effect.PURCHASE
            kind = errors.OutcomeUnknown if is_purchase else errors.CarrierRejected
        error = kind(carrier=self.name, carrier_code=refusal.code or "refused", carrier_message=refusal.message)
        error.has_carriers_words = True
        return error

    def _documented_refusal(self, code: str) -> type[errors.CarrierError] | None:
        """Return the error of a documented code; None: not documented. Adapters with codes override this."""
        return None

    def _unreadable(self, operation: str, reason: str) -> errors.CarrierError:
        """Return the error for an unreadable response: nothing happened in a read, anything may have in a write."""
        kind = errors.CarrierUnavailable if is_read(operation) else errors.OutcomeUnknown
        return kind(carrier=self.name, carrier_code="unreadable_answer", carrier_message=f"{operation}: {reason}"[:300])

    def _unsupported(self, operation: str) -> errors.CarrierUnsupported:
        return errors.CarrierUnsupported(
            f"{self.name} does not support {operation.replace('_', ' ')}.", carrier=self.name, carrier_code=operation
        )
