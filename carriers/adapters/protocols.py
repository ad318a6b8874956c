"""The interfaces that an adapter uses: a transport for HTTP requests, and a source of access tokens."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Protocol, TypeVar

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
        json: Any = None,
    ) -> CarrierResponse:
        """Send a request and return any response below 500 except 429.

        The effect of ``operation`` decides whether the request is repeated.

        Raises:
            CarrierUnavailable: never sent, refused by an open circuit breaker, or a read that was answered with 5xx.
            CarrierTimeout: a read without a response in time.
            CarrierRateLimited: the carrier's 429, or the adapter's ``rates`` are used up.
            OutcomeUnknown: a write or purchase whose outcome is in doubt.
        """

    def fetch(
        self, operation: str, url: str, *, hosts: Collection[str], headers: Mapping[str, str] | None = None
    ) -> CarrierResponse:
        """Download a file from a URL that the carrier gave, repeated as a read; its content is not logged.

        Allowed are ``https`` URLs on one of ``hosts`` ("host" or "host:port"), and ``http`` for a sandbox on loopback.
        Any other is not requested and raises ``CarrierUnavailable``. A redirect is returned, not followed.
        """

    def several(self, calls: Sequence[Callable[[], T]]) -> list[T | errors.CarrierError]:
        """Run calls of this transport concurrently, a few at a time; return the result or the error of each."""


class TokenSource(Protocol):
    """The access token of a credential (``carriers.credentials.tokens``)."""

    def current(self) -> str:
        """Return a token that is valid now; log in if there is none."""

    def renew(self, refused: str) -> str:
        """Return a token other than the ``refused`` one."""
