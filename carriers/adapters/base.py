"""What every carrier can be asked, and the one way in which an adapter asks it.

An adapter knows neither the database nor Django requests: credential values, a source of tokens and the transport come
in, canonical dataclasses go out. What it does not override is unsupported and says so; capabilities are computed from
that.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, ClassVar, Protocol, TypeVar
from urllib.parse import quote as percent
from urllib.parse import urlsplit

from apikeys.http.errors import NotAuthenticated
from carriers import types
from carriers.adapters.records import UNREADABLE, read_time, storable
from carriers.types import errors

T = TypeVar("T")


class CarrierResponse(Protocol):
    """An answer below 500 from a carrier, whole and within the size cap."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    def json(self) -> Any:
        """The body as JSON, numbers with a fraction as ``Decimal``. Raises ``ValueError``."""


class Transport(Protocol):
    """The one function that speaks HTTP to a carrier (``carriers.http.transport``)."""

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
    ) -> CarrierResponse:
        """Send and return any answer below 500 except 429.

        ``safe`` marks an operation that may be repeated. Raises ``CarrierUnavailable`` (never reached, not asked after
        failures in a row, or 5xx to a safe operation), ``CarrierTimeout`` (safe), ``CarrierRateLimited`` (the carrier's
        429, or the budget that ``rates`` gives) or ``OutcomeUnknown`` (anything that leaves a purchase in doubt).
        """

    def fetch(
        self, operation: str, url: str, *, hosts: Collection[str], headers: Mapping[str, str] | None = None
    ) -> CarrierResponse:
        """Download a file whose URL the carrier gave, as ``send`` does a safe read, but log nothing of what is in it.

        Only over ``https`` from one of ``hosts`` ("host" or "host:port"; ``http`` for a sandbox on loopback); anything
        else is never asked and raises ``CarrierUnavailable``. A redirect is returned, not followed.
        """

    def several(self, calls: Sequence[Callable[[], T]]) -> list[T | errors.CarrierError]:
        """Run calls of this transport side by side, a few at once; what each gave, or the error that it raised."""


class TokenSource(Protocol):
    """Hands out the credential's access token (``carriers.credentials.tokens``)."""

    def current(self) -> str:
        """A token that is valid now, fetched if need be."""

    def renew(self, refused: str) -> str:
        """A token other than the ``refused`` one."""


_FUTURE = timedelta(minutes=5)  # so far a carrier's clock may be ahead of ours
# The operations that a merchant can ask for; their names stand in logs, limits and capabilities.
OPERATIONS = (
    "quote",
    "create_label",
    "find_by_reference",
    "cancel",
    "track",
    "proof_of_delivery",
    "schedule_pickup",
    "cancel_pickup",
    "pickup_points",
    "pickup_point",
    "coverage",
    "label_file",
    "register_warehouse",
    "create_return",
    "update_order",
    "reports",
    "rotate_credentials",
    "verify_webhook",
    "parse_webhook",
)


def account(*, required: Sequence[str], **fields: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON Schema of a carrier's account, for ``credential_schema``."""
    return {"type": "object", "properties": fields, "required": list(required), "additionalProperties": False}


def text_field(
    title: str, description: str = "", *, secret: bool = False, choices: Sequence[str] = (), pattern: str = ""
) -> dict[str, Any]:
    """One field of an account; a secret one is never shown again, and long enough to be masked where it is repeated."""
    described = {"type": "string", "title": title, "minLength": 6 if secret else 1, "maxLength": 500}
    more = {"description": description, "writeOnly": secret, "enum": list(choices), "pattern": pattern or r"\S"}
    return described | {name: value for name, value in more.items() if value}


_PERIODS = {"second": 1, "minute": 60, "hour": 3600}


@dataclass(frozen=True)
class Rate:
    """So many requests per ``second``, ``minute`` or ``hour``, refilled evenly (a token bucket of that size).

    ``operations`` share it; empty: the one that it is listed under.
    """

    limit: int
    per: str
    operations: tuple[str, ...] = ()

    @property
    def period_s(self) -> int:
        return _PERIODS[self.per]


class CarrierAdapter:
    """Base of all adapters. Subclasses set the tables at the top and override what their carrier can."""

    slug: ClassVar[str]
    name: ClassVar[str]
    base_urls: ClassVar[Mapping[str, str]]  # by environment: sandbox, production
    # What an account consists of, as JSON Schema (2020-12): an object of texts, those that are secret ``writeOnly``.
    credential_schema: ClassVar[Mapping[str, Any]] = account(required=())
    # Documented names of environment variables -> fields of the platform's own account in production.
    environment_names: ClassVar[Mapping[str, str]] = {}
    # The carrier's own codes of its services -> how a merchant reads them; empty: whatever it takes.
    services: ClassVar[Mapping[str, str]] = {}
    # What a service type looks like where the words are ours: the carrier would not notice another. Empty: it notices.
    service_pattern: ClassVar[str] = ""
    # How goods can be paid for; a carrier that collects no cash would hand them over for nothing.
    payment_methods: ClassVar[tuple[types.PaymentMethod, ...]] = (types.PaymentMethod.PREPAID,)
    # The only currencies of its amounts, where its requests do not name one; empty: any.
    currencies: ClassVar[tuple[str, ...]] = ()
    # The only countries between which it carries; empty: it says itself where it does not go.
    countries: ClassVar[tuple[str, ...]] = ()
    label_formats: ClassVar[tuple[str, ...]] = ("PDF",)
    label_sizes: ClassVar[tuple[str, ...]] = ("4x6",)
    report_kinds: ClassVar[tuple[str, ...]] = ()
    created_code: ClassVar[str] = "created"  # the carrier's code of a fresh booking's scan, which we write ourselves
    cancelled_code: ClassVar[str] = "cancelled"  # likewise, of a cancellation that its track does not show yet
    zone: ClassVar[tzinfo] = UTC  # of times that the carrier tells without an offset
    webhook_max_age: ClassVar[timedelta] = timedelta(minutes=5)
    token_margin: ClassVar[timedelta] = timedelta(seconds=60)  # a token is renewed this long before it expires
    # What the carrier allows an account, by endpoint: an operation, a name for several, or "*" for all together.
    rates: ClassVar[Mapping[str, Rate]] = {}
    # Hosts ("host" or "host:port") besides the base URL's from which the carrier gives out labels and manifests.
    file_hosts: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self, *, fields: Mapping[str, str], base_url: str, http: Transport, tokens: TokenSource | None = None
    ) -> None:
        self.fields = fields
        self.base_url = base_url.rstrip("/")
        self.http = http
        self.tokens = tokens

    @classmethod
    def capabilities(cls) -> tuple[str, ...]:
        """The operations that this adapter overrides, in the order of ``OPERATIONS``."""
        return tuple(name for name in OPERATIONS if getattr(cls, name) is not getattr(CarrierAdapter, name))

    def need(self, operation: str) -> None:
        """Raises ``CarrierUnsupported`` where the carrier cannot do this, before anything is reserved for it."""
        if operation not in self.capabilities():
            raise self._unsupported(operation)

    @classmethod
    def logs_in(cls) -> bool:
        """Whether the carrier gives out access tokens; any other takes the account's key with each request."""
        return cls.fetch_token is not CarrierAdapter.fetch_token

    @classmethod
    def credential_fields(cls) -> tuple[str, ...]:
        """The names of all fields of an account, as ``credential_schema`` lists them."""
        return tuple(cls.credential_schema["properties"])

    @classmethod
    def required_fields(cls) -> tuple[str, ...]:
        """Without these no account is stored."""
        return tuple(cls.credential_schema["required"])

    @classmethod
    def secret_fields(cls) -> tuple[str, ...]:
        """Never shown again and masked wherever the carrier repeats them."""
        described = cls.credential_schema["properties"]
        return tuple(name for name, field in described.items() if field.get("writeOnly"))

    @classmethod
    def identity(cls, fields: Mapping[str, str]) -> dict[str, str]:
        """What tells one account from another: its required fields that are no secrets, else all required ones."""
        required, secret = cls.required_fields(), cls.secret_fields()
        names = [name for name in required if name not in secret] or required
        return {name: fields.get(name, "") for name in names}

    # What a carrier can be asked. All raise the errors of ``carriers.types.errors``.

    def fetch_token(self) -> types.Token:
        """Log in with the credential's fields."""
        raise self._unsupported("fetch_token")

    def check_account(self) -> types.Token | None:
        """A real call that only a valid account gets through: a log-in, else what the adapter puts in its place.

        The token that it brought, where it brings one.
        """
        return self.fetch_token()

    def ping(self) -> None:
        """A cheap read that shows whether the carrier's API works; here a look-up of what nobody has bought."""
        self.find_by_reference("waybill-ping")

    def quote(self, order: types.Order) -> Sequence[types.Offer]:
        """Prices for the route, best first; at least one, else ``NotServiceable``."""
        raise self._unsupported("quote")

    def create_label(self, order: types.Order) -> types.BookedLabel:
        """Buy. Raises ``OutcomeUnknown`` when it may have been bought nevertheless."""
        raise self._unsupported("create_label")

    def find_by_reference(self, reference: str) -> Sequence[types.BookedLabel]:
        """All that was bought under our reference, oldest first; voided ones are marked ``cancelled``."""
        raise self._unsupported("find_by_reference")

    def cancel(self, tracking_number: str, reason: str) -> types.Cancellation:
        """Call a shipment off. Raises ``CarrierCannotCancel`` when it is too late."""
        raise self._unsupported("cancel")

    def track(self, tracking_numbers: Sequence[str]) -> Mapping[str, types.Track]:
        """Histories by number; one that the carrier does not know, or could not tell of just now, is absent.

        Raises what went wrong where it could tell of none.
        """
        raise self._unsupported("track")

    def proof_of_delivery(self, tracking_number: str) -> types.ProofOfDelivery:
        """Raises ``CarrierNotFound`` before delivery."""
        raise self._unsupported("proof_of_delivery")

    def schedule_pickup(self, request: types.PickupRequest) -> types.BookedPickup:
        """Book a collection. Raises ``OutcomeUnknown`` when it may have been booked nevertheless."""
        raise self._unsupported("schedule_pickup")

    def cancel_pickup(self, carrier_pickup_id: str, reason: str) -> datetime:
        """Call a collection off; since when it is. Raises ``CarrierCannotCancel`` when it is too late."""
        raise self._unsupported("cancel_pickup")

    def pickup_points(
        self, *, latitude: float, longitude: float, radius_km: float, limit: int
    ) -> Sequence[types.PickupPoint]:
        """Active points, nearest first."""
        raise self._unsupported("pickup_points")

    def pickup_point(self, point_id: str) -> types.PickupPoint:
        """One point with everything known of it. Raises ``CarrierNotFound``."""
        raise self._unsupported("pickup_point")

    def coverage(self, *, postal_code: str, city: str, country: str) -> types.Coverage:
        """Whether and how the carrier serves a place."""
        raise self._unsupported("coverage")

    def label_file(self, url: str) -> bytes:
        """The file behind a booked label's URL at the carrier, for when it could not be had with the booking."""
        raise self._unsupported("label_file")

    def register_warehouse(self, request: types.WarehouseRequest) -> types.RegisteredWarehouse:
        """Make a place of departure known to the carrier, or change what it knows."""
        raise self._unsupported("register_warehouse")

    def create_return(self, order: types.Order) -> types.BookedLabel:
        """Buy a way back. Raises ``OutcomeUnknown`` when it may have been bought nevertheless."""
        raise self._unsupported("create_return")

    def update_order(self, request: types.OrderUpdate) -> types.UpdatedOrder:
        """Change an order after booking; may be repeated, since it says what shall be."""
        raise self._unsupported("update_order")

    def reports(self, request: types.ReportRequest) -> types.Report:
        """The carrier's own figures."""
        raise self._unsupported("reports")

    def rotate_credentials(self) -> Mapping[str, str]:
        """Have the carrier make a new secret: the account's fields that change.

        The old one must work on for a while, for this answer can be lost. Raises ``OutcomeUnknown``.
        """
        raise self._unsupported("rotate_credentials")

    def verify_webhook(self, *, headers: Mapping[str, str], body: bytes, now: Any) -> None:
        """Check signature and age on the raw bytes (``headers`` in lower case, ``now`` an aware datetime).

        Raises ``NotAuthenticated`` for anything that is missing, malformed, wrong or older than ``webhook_max_age``.
        """
        raise self._unsupported("verify_webhook")

    def parse_webhook(self, body: bytes) -> types.WebhookNews:
        """Read a verified body. Raises ``ValueError`` with the reason when it cannot be read."""
        raise self._unsupported("parse_webhook")

    # How an adapter asks.

    def _ask(
        self,
        operation: str,
        method: str,
        path: str,
        *,
        safe: bool,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
    ) -> Any:
        """Send with the token, renew it once after a 401, return the JSON of a 2xx.

        Raise what ``_refusal`` says for the rest.
        """
        response = self._send_authorized(operation, method, path, safe=safe, params=params, json=json)
        # A gateway that gave up waiting or points elsewhere says nothing of what the carrier did.
        if not safe and (response.status == 408 or 300 <= response.status < 400):
            raise self._unreadable(safe, f"{operation}: HTTP {response.status}")
        if response.status >= 300:
            raise self._refusal(operation, response)
        try:
            return response.json()
        except UNREADABLE as error:
            raise self._unreadable(safe, f"{operation}: the answer is not JSON") from error

    def _path(self, template: str, *names: str) -> str:
        """Fill callers' names into a path, percent-encoded.

        Raises ``CarrierNotFound`` for a name that would change the path: HTTP clients resolve dots, encoded or not.
        """
        if any(name in ("", ".", "..") for name in names):
            raise errors.CarrierNotFound(carrier=self.name)
        return template.format(*(percent(name, safe="", errors="replace") for name in names))

    @contextmanager
    def _reading(self, operation: str, *, safe: bool) -> Iterator[None]:
        """What cannot be read inside is harmless for a read and an unknown outcome for a write."""
        try:
            yield
        except UNREADABLE as error:
            raise self._unreadable(safe, f"{operation}: {error}"[:300]) from error

    def _send_authorized(
        self, operation: str, method: str, path: str, *, safe: bool, params: Any, json: Any
    ) -> CarrierResponse:
        token = self.tokens.current() if self.tokens else ""
        sent = {"safe": safe, "params": params, "json": json}
        response = self._send(operation, method, path, headers=self._auth_headers(token), **sent)
        if response.status != 401 or not self.tokens:
            return response
        token = self.tokens.renew(token)
        return self._send(operation, method, path, headers=self._auth_headers(token), **sent)

    def _send(self, operation: str, method: str, path: str, **sent: Any) -> CarrierResponse:
        """As the transport does; a 429 or 5xx with what the carrier said of it."""
        try:
            return self.http.send(operation, method, self.base_url + path, **sent)
        except errors.CarrierError as error:
            if error.answer is not None and error.answer.content.lstrip().startswith(b"{"):
                said = self._refusal(operation, error.answer)
                error.carrier_code = said.carrier_code
                error.carrier_message = said.carrier_message or error.carrier_message
            raise

    def _login_refused(self, response: CarrierResponse) -> errors.CarrierError:
        """A log-in that was not answered with a token: the account's fault, unless its address is wrong."""
        refusal = self._refusal("token", response)
        if response.status not in (400, 401, 403):
            return refusal
        return errors.CarrierAuthentication(
            carrier=self.name, carrier_code=refusal.carrier_code, carrier_message=refusal.carrier_message
        )

    def _verify_hmac(
        self, timestamp: str, signature: str, *, headers: Mapping[str, str], body: bytes, now: datetime
    ) -> None:
        """``verify_webhook`` for a hex HMAC-SHA256 of ``{timestamp}.{body}`` under the field ``webhook_secret``.

        ``timestamp`` and ``signature`` are the names of the headers, in lower case.
        """
        secret, told_at = self.fields.get("webhook_secret") or "", headers.get(timestamp, "")
        given = headers.get(signature, "").encode("utf-8", "replace")
        signed = told_at.encode("utf-8", "replace") + b"." + body
        expected = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest().encode()
        if not secret or not hmac.compare_digest(expected, given):
            raise NotAuthenticated
        try:
            age = now - read_time(told_at, zone=self.zone)[0]
        except ValueError as error:
            raise NotAuthenticated from error
        if not -_FUTURE <= age <= self.webhook_max_age:
            raise NotAuthenticated

    def _download(self, operation: str, url: str) -> bytes:
        """A file at the carrier's own hosts.

        The token, renewed once after a 401, goes to the base URL's host alone: others have the file's URL as the key.
        """
        own = urlsplit(self.base_url).netloc
        with self._reading(operation, safe=True):
            at = urlsplit(url).netloc
        hosts, tokens = (own, *self.file_hosts), self.tokens if at == own else None
        token = tokens.current() if tokens else ""
        response = self.http.fetch(operation, url, hosts=hosts, headers=self._auth_headers(token))
        if response.status == 401 and tokens:
            headers = self._auth_headers(tokens.renew(token))
            response = self.http.fetch(operation, url, hosts=hosts, headers=headers)
        if response.status >= 300:
            raise self._refusal(operation, response)
        return response.content

    def _auth_headers(self, token: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {token}"} if token else {}

    def _refusal(self, operation: str, response: CarrierResponse) -> errors.CarrierError:
        """The carrier's 3xx or 4xx answer as one of our errors. Carriers override this with their own codes."""
        return errors.CarrierRejected(
            carrier=self.name,
            carrier_code=str(response.status),
            carrier_message=storable(response.content[:500].decode("utf-8", "replace")),
        )

    def _unreadable(self, safe: bool, reason: str) -> errors.CarrierError:
        """An answer that cannot be read: harmless for a read, an unknown outcome for a write."""
        kind = errors.CarrierUnavailable if safe else errors.OutcomeUnknown
        return kind(carrier=self.name, carrier_code="unreadable_answer", carrier_message=reason)

    def _unsupported(self, operation: str) -> errors.CarrierUnsupported:
        return errors.CarrierUnsupported(
            f"{self.name} does not support {operation.replace('_', ' ')}.", carrier=self.name, carrier_code=operation
        )
