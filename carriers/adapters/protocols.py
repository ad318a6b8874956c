"""The interfaces that an adapter uses: a transport for HTTP requests, and a source of access tokens."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from carriers.adapters.apis import Body
from carriers.types import errors

T = TypeVar("T")


class CarrierResponse(Protocol):
    """A carrier's response below 500, complete and within the size cap."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    def json(self) -> Any:
        """Return the body as JSON, numbers with a fraction as ``Decimal``. Raises ``ValueError``."""


class Transport(Protocol):
    """Sends HTTP requests to a carrier (``carriers.http.transport``)."""

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
    ) -> CarrierResponse:
        """Send a request and return any response below 500 except 429.

        The effect of ``operation`` decides whether the request is repeated. A URL outside the base URLs of the
        credential's environment, and a write or purchase that would not be a test in the sandbox or would be one in
        production, are not sent: ``CarrierRejected``.

        Raises:
            CarrierUnavailable: never sent, refused by an open circuit breaker, or a read that was answered with 5xx.
            CarrierTimeout: a read without a response in time.
            CarrierRateLimited: the carrier's 429, or the adapter's ``rates`` are used up.
            OutcomeUnknown: a write or purchase whose outcome is in doubt.
        """

    def fetch(self, operation: str, url: str, *, headers: Mapping[str, str] | None = None) -> CarrierResponse:
        """Download a file from a URL that the carrier gave, repeated as a read; its content is not logged.

        Allowed are ``https`` URLs on the hosts of the credential's base URLs and of ``Api.file_hosts``, and ``http``
        for a sandbox on loopback. Any other is not requested and raises ``CarrierUnavailable``. Up to three redirects
        among these hosts are followed; ``headers`` are dropped when the host changes.
        """

    def several(self, calls: Sequence[Callable[[], T]]) -> list[T | errors.CarrierError]:
        """Run calls of this transport concurrently, a few at a time; return the result or the error of each."""


class TokenSource(Protocol):
    """The access tokens of a credential, by kind (``carriers.credentials.tokens``)."""

    def current(self, kind: str = "main") -> str:
        """Return a token that is valid now; log in if there is none."""

    def renew(self, kind: str, refused: str) -> str:
        """Return a token other than the ``refused`` one."""
