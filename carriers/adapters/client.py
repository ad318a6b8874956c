"""How every adapter sends requests: with the credential, and with errors that fit the operation's effect."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, ClassVar
from urllib.parse import quote, urlsplit

from carriers.adapters import skipping
from carriers.adapters.apis import Api, Auth, Basic, Bearer, Body, HeaderKey, QueryKey, auth_fields
from carriers.adapters.operations import LOGIN, OPERATIONS, Effect, is_read
from carriers.adapters.protocols import CarrierResponse, TokenSource, Transport
from carriers.adapters.records import UNREADABLE, to_storable
from carriers.adapters.refusals import Refusal, find_refusal
from carriers.adapters.xml import parse_xml
from carriers.types import errors

_MIN_SECRET_LENGTH = 6  # of a shorter one, the text occurs by chance
ACCEPT = {"json": "application/json", "xml": "application/xml", "bytes": "*/*", "empty": "application/json"}


class CarrierClient:
    """The base of ``CarrierAdapter``: requests, downloads and their errors."""

    slug: ClassVar[str]
    name: ClassVar[str]
    apis: ClassVar[Mapping[str, Api]]  # by name; "main" is the one of operations that ``api_of`` does not name
    api_of: ClassVar[Mapping[str, str]] = {}  # operation -> name of its API
    # For a carrier whose environments share a host, or differ by a flag in the request: a write or purchase is sent
    # only if ``is_test`` is true in the sandbox and false in production.
    test_flag: ClassVar[bool] = False

    def __init__(
        self,
        *,
        fields: Mapping[str, str],
        environment: str,
        urls: Mapping[str, str],
        http: Transport,
        tokens: TokenSource | None = None,
    ) -> None:
        """Make an adapter of one credential.

        Args:
            environment: ``sandbox`` or ``production``.
            urls: base URLs by name of the API.
        """
        self.fields = fields
        self.environment = environment
        self.urls = {api: url.rstrip("/") for api, url in urls.items()}
        self.http = http
        self.tokens = tokens

    @classmethod
    def is_test(cls, operation: str, body: Body | None) -> bool | None:
        """Return whether the carrier takes this write or purchase for a test. Needed with ``test_flag``.

        None: a write that costs nothing and for which the carrier has no flag.
        """
        return False

    def auth_of(self, api: str) -> Sequence[Auth] | None:
        """Return how requests to an API are authenticated, or None if the credential lacks the fields.

        Adapters override it to choose by the fields that are set.
        """
        found = self.apis[api].auth
        return found if all(self.fields.get(name) for auth in found for name in auth_fields(auth)) else None

    def _request(
        self,
        operation: str,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Body | None = None,
        headers: Mapping[str, str] | None = None,
        auth: Sequence[Auth] | None = None,
        expect: str = "json",
        api: str = "",
    ) -> Any:
        """Send a request, with tokens that are renewed once after a 401, and return the content of a 2xx.

        Args:
            path: below the API's base URL.
            headers: besides those of the API; "{id32}" and "{id36}" are replaced in them too.
            auth: instead of ``auth_of``.
            expect: ``json``, ``xml`` (see ``parse_xml``), ``bytes`` or ``empty``, which returns None.
            api: instead of ``api_of``, for an operation that calls several.

        Raises what the transport raises, ``_refusal`` for 3xx and 4xx, ``_unreadable`` for a 2xx of another form, and
        ``_refused`` for JSON of a 2xx that refuses. A purchase is read first (``_reading``): what was sold counts.
        """
        api = api or self.api_of.get(operation, "main")
        auth = self._need_auth(operation, api) if auth is None else auth
        sent = {"params": params, "body": body, "headers": headers, "accept": ACCEPT[expect]}
        tokens = self._current_tokens(auth)
        response = self._send(operation, method, api, path, auth=auth, tokens=tokens, **sent)
        if response.status == 401 and tokens:
            tokens = self._renew_tokens(tokens)
            response = self._send(operation, method, api, path, auth=auth, tokens=tokens, **sent)
        # These come from a gateway: the carrier behind it may have acted.
        if not is_read(operation) and (response.status == 408 or 300 <= response.status < 400):
            raise self._unreadable(operation, f"HTTP {response.status}")
        if response.status >= 300:
            raise self._refusal(operation, response)
        return self._content(operation, response, expect)

    def _content(self, operation: str, response: CarrierResponse, expect: str) -> Any:
        if expect == "bytes":
            return response.content
        if expect == "empty" and not response.content.lstrip().startswith((b"{", b"[")):
            return None
        try:
            answer = parse_xml(response.content) if expect == "xml" else response.json()
        except UNREADABLE as error:
            if expect == "empty":
                return None
            raise self._unreadable(operation, f"the answer is not {expect.upper()}") from error
        is_purchase = OPERATIONS[operation] is Effect.PURCHASE
        if (not is_purchase or expect == "empty") and (refusal := find_refusal(answer)):
            raise self._refused(operation, refusal)
        return None if expect == "empty" else answer

    def _send(
        self,
        operation: str,
        method: str,
        api: str,
        path: str,
        *,
        auth: Sequence[Auth] = (),
        tokens: Mapping[str, str] = MappingProxyType({}),
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Body | None = None,
        accept: str = ACCEPT["json"],
    ) -> CarrierResponse:
        """Send one request; an error for a 429 or 5xx gets the carrier's code and message."""
        keys = {one.param: self.fields[one.field] for one in auth if isinstance(one, QueryKey)}
        try:
            return self.http.send(
                operation,
                method,
                self.urls[api] + path,
                headers={**self.apis[api].headers, **(headers or {}), **self._auth_headers(auth, tokens)},
                params={**(params or {}), **keys} if keys else params,
                body=body,
                accept=accept,
            )
        except errors.CarrierError as error:
            if error.answer is not None and error.answer.content.lstrip().startswith((b"{", b"<?xml")):
                refusal = self._refusal(operation, error.answer)
                error.carrier_code = refusal.carrier_code
                error.carrier_message = refusal.carrier_message or error.carrier_message
            raise

    def _login(
        self,
        path: str,
        body: Body,
        *,
        auth: Sequence[Auth] = (),
        headers: Mapping[str, str] | None = None,
        api: str = "",
    ) -> Any:
        """Send a login by POST and return the JSON of its 2xx.

        Raises ``CarrierAuthentication`` for a refusal of the credential; a 404, for example, is an error in the path.
        """
        api = api or self.api_of.get(LOGIN, "main")
        response = self._send(LOGIN, "POST", api, path, auth=auth, headers=headers, body=body)
        if response.status < 300:
            with self._reading(LOGIN):
                answer = response.json()
                found = find_refusal(answer)
            if not found:
                return answer
            code, message = found.code, self._without_secrets(found.message)
        else:
            refusal = self._refusal(LOGIN, response)
            if response.status not in (400, 401, 403):
                raise refusal
            code, message = refusal.carrier_code, refusal.carrier_message
        raise errors.CarrierAuthentication(carrier=self.name, carrier_code=code, carrier_message=message)

    def _download(self, operation: str, url: str) -> bytes:
        """Return a file from one of the carrier's hosts, also after redirects among them.

        The authentication, with a token that is renewed once after a 401, is sent to a base URL's host only: on
        ``file_hosts`` the URL itself grants access.
        """
        with self._reading(operation):
            host = urlsplit(url).netloc
        api = next((name for name in self.urls if urlsplit(self.urls[name]).netloc == host), "")
        auth = (self.auth_of(api) or ()) if api else ()
        tokens = self._current_tokens(auth)
        response = self.http.fetch(operation, url, headers=self._file_headers(api, auth, tokens))
        if response.status == 401 and tokens:
            headers = self._file_headers(api, auth, self._renew_tokens(tokens))
            response = self.http.fetch(operation, url, headers=headers)
        if response.status >= 300:
            raise self._refusal(operation, response)
        return response.content

    def _file_headers(self, api: str, auth: Sequence[Auth], tokens: Mapping[str, str]) -> dict[str, str]:
        return {**self.apis[api].headers, **self._auth_headers(auth, tokens)} if api else {}

    def _need_auth(self, operation: str, api: str) -> Sequence[Auth]:
        auth = self.auth_of(api)
        if auth is None:
            raise self._unsupported(operation)
        return auth

    def _current_tokens(self, auth: Sequence[Auth]) -> dict[str, str]:
        kinds = [one.kind for one in auth if isinstance(one, Bearer)]
        return {kind: self.tokens.current(kind) for kind in kinds} if self.tokens else {}

    def _renew_tokens(self, refused: Mapping[str, str]) -> dict[str, str]:
        return {kind: self.tokens.renew(kind, token) for kind, token in refused.items()}

    def _auth_headers(self, auth: Sequence[Auth], tokens: Mapping[str, str]) -> dict[str, str]:
        headers = {}
        for one in auth:
            match one:
                case Bearer(kind, scheme) if kind in tokens:
                    headers["Authorization"] = f"{scheme} {tokens[kind]}".strip()
                case Basic(user, password):
                    pair = f"{self.fields[user]}:{self.fields[password]}".encode()
                    headers["Authorization"] = f"Basic {b64encode(pair).decode()}"
                case HeaderKey(header, field):
                    headers[header] = self.fields[field]
        return headers

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
        message = self._without_secrets(refusal.message)
        error = kind(carrier=self.name, carrier_code=refusal.code or "refused", carrier_message=message)
        error.has_carriers_words = True
        return error

    def _without_secrets(self, text: str) -> str:
        """Return words of a 2xx without the credential's secrets. The transport masks those of other answers."""
        names = {*self.secret_fields(), *self.inherited_fields}
        for value in sorted((self.fields.get(name, "") for name in names), key=len, reverse=True):
            text = text.replace(value, "***") if len(value) >= _MIN_SECRET_LENGTH else text
        return text

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
