"""The interface of all carrier adapters.

An adapter knows neither the database nor Django requests: it receives the credential's fields, a source of tokens and
the transport, and takes and returns canonical dataclasses (``carriers.types``). An operation that it does not override
is unsupported; its capabilities are computed from that.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any, ClassVar

from carriers import types
from carriers.adapters.operations import CHECK, LOGIN, OPERATIONS
from carriers.adapters.records import lookup_key
from carriers.adapters.webhooks import WebhookReader
from carriers.types import errors

_PERIODS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}


def schema(*, required: Sequence[str], **fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON Schema of a carrier's credentials, for ``credential_schema``."""
    return {"type": "object", "properties": fields, "required": list(required), "additionalProperties": False}


def text_field(
    title: str, description: str = "", *, secret: bool = False, choices: Sequence[str] = (), pattern: str = ""
) -> dict[str, Any]:
    """Return one field of a credential's schema.

    A secret field is never shown again. Its minimum length makes it safe to mask wherever the carrier repeats it.
    """
    described = {"type": "string", "title": title, "minLength": 6 if secret else 1, "maxLength": 500}
    more = {"description": description, "writeOnly": secret, "enum": list(choices), "pattern": pattern or r"\S"}
    return described | {name: value for name, value in more.items() if value}


@dataclass(frozen=True)
class Rate:
    """A number of requests per ``second``, ``minute``, ``hour`` or ``day``: a token bucket of that size.

    It is refilled evenly. ``operations`` share it; empty: only the operation under whose name it is declared.
    """

    limit: int
    per: str
    operations: tuple[str, ...] = ()

    @property
    def period_s(self) -> int:
        """The period in seconds."""
        return _PERIODS[self.per]


@dataclass(frozen=True)
class Lookup:
    """When a purchase without an answer is looked up by its reference."""

    quiet: timedelta  # a purchase that is not found for this long has failed
    every: timedelta  # between two lookups
    watch: timedelta  # a label that appears until then is voided


class CarrierAdapter(WebhookReader):
    """Base of all adapters. Subclasses set the tables and override the operations that their carrier has."""

    # The fields of a credential, as JSON Schema (2020-12): an object of strings; secret ones are ``writeOnly``.
    credential_schema: ClassVar[Mapping[str, Any]] = schema(required=())
    # Fields that a merchant's credential may leave empty: the platform's are used then, which merchants never see.
    inherited_fields: ClassVar[tuple[str, ...]] = ()
    # Documented environment variables -> fields of the platform's production credential.
    environment_names: ClassVar[Mapping[str, str]] = {}
    # The carrier's service codes -> their names for merchants; empty: any code is sent.
    services: ClassVar[Mapping[str, str]] = {}
    # Pattern of service types that we made up: the carrier would not notice a wrong one. Empty: it refuses them.
    service_pattern: ClassVar[str] = ""
    # A carrier that ignores cash on delivery would hand over unpaid goods.
    payment_methods: ClassVar[tuple[types.PaymentMethod, ...]] = (types.PaymentMethod.PREPAID,)
    # The only currencies, for a carrier whose requests do not name one; empty: any.
    currencies: ClassVar[tuple[str, ...]] = ()
    # The only countries of origin and destination; empty: the carrier refuses the others itself.
    countries: ClassVar[tuple[str, ...]] = ()
    # The service of orders that do not name one; empty: labels need a service, quotes ask for all.
    default_service: ClassVar[str] = ""
    # The fields of ``Options`` that the carrier serves; any other is refused before anything is reserved.
    served_options: ClassVar[tuple[str, ...]] = ()
    # Fields of ``Order``, and ``packaging``, that the carrier's requests do not have; an order with one is refused.
    unserved_fields: ClassVar[tuple[str, ...]] = ()
    # JSON Schema (2020-12) of ``options.carrier``: an object of options that only this carrier has.
    options_schema: ClassVar[Mapping[str, Any]] = {"type": "object", "properties": {}, "additionalProperties": False}
    # How many numbers one subscription call takes; 0: a subscription is for the whole credential.
    numbers_per_subscription: ClassVar[int] = 0
    max_parcels: ClassVar[int] = 1
    # The fields of ``PointSearch`` that a search for pickup points needs besides an address or coordinates.
    point_search_fields: ClassVar[tuple[str, ...]] = ("country",)
    # Whether ``Order.pickup_point`` needs its whole address for a label.
    needs_point_address: ClassVar[bool] = False
    # When a purchase without an answer is looked up; None: as the settings say.
    lookup: ClassVar[Lookup | None] = None
    # Whether a label without the recipient's name is refused before the call; others get a warning only.
    needs_recipient_name: ClassVar[bool] = False
    label_formats: ClassVar[tuple[str, ...]] = ("PDF",)
    label_sizes: ClassVar[tuple[str, ...]] = ("4x6",)
    report_kinds: ClassVar[tuple[str, ...]] = ()
    # Pattern of the carrier's tracking numbers in upper case; empty: any number.
    number_pattern: ClassVar[str] = ""
    created_code: ClassVar[str] = "created"  # the carrier's code of the scan that we add at booking
    cancelled_code: ClassVar[str] = "cancelled"  # of the scan that we add for a cancellation not in the track yet
    # The carrier has no cancel operation: a shipment is cancelled here only, until the carrier scans it.
    cancels_locally: ClassVar[bool] = False
    # The status of a return that is delivered; ``delivered`` where the carrier's document has it.
    returns_end_as: ClassVar[types.Status] = types.Status.RETURNED
    token_margin: ClassVar[timedelta] = timedelta(seconds=60)  # tokens are renewed this long before they expire
    # What the carrier allows per credential, by endpoint: an operation, a name for several, or "*" for all together.
    rates: ClassVar[Mapping[str, Rate]] = {}

    @classmethod
    def capabilities(cls) -> tuple[str, ...]:
        """Return the operations that this adapter overrides, in the order of ``OPERATIONS``."""
        names = [name for name in OPERATIONS if name not in (LOGIN, CHECK)]
        return tuple(name for name in names if getattr(cls, name) is not getattr(CarrierAdapter, name))

    def need(self, operation: str) -> None:
        """Raise ``CarrierUnsupported`` before anything is reserved.

        The carrier does not have the operation, or the credential lacks the fields of its API.
        """
        if operation not in self.capabilities():
            raise self._unsupported(operation)
        self._need_auth(operation, self.api_of.get(operation, "main"))

    @classmethod
    def is_number(cls, text: str) -> bool:
        """Return whether a text has the form of the carrier's tracking numbers, in any case, blanks left out."""
        return not cls.number_pattern or bool(re.fullmatch(cls.number_pattern, lookup_key(text)))

    @classmethod
    def logs_in(cls) -> bool:
        """Return whether the carrier issues access tokens; otherwise each request carries the credential's key."""
        return cls.fetch_token is not CarrierAdapter.fetch_token

    @classmethod
    def credential_fields(cls) -> tuple[str, ...]:
        """Return the names of all fields of a credential."""
        return tuple(cls.credential_schema["properties"])

    @classmethod
    def required_fields(cls) -> tuple[str, ...]:
        """Return the fields without which a credential is not stored."""
        return tuple(cls.credential_schema["required"])

    @classmethod
    def secret_fields(cls) -> tuple[str, ...]:
        """Return the fields that are never shown again and masked wherever the carrier repeats them."""
        described = cls.credential_schema["properties"]
        return tuple(name for name, field in described.items() if field.get("writeOnly"))

    @classmethod
    def identity(cls, fields: Mapping[str, str]) -> dict[str, str]:
        """Return the fields that identify the login at the carrier.

        They are the required ones that are not secret, or, if there are none, all required ones.
        """
        required, secret = cls.required_fields(), cls.secret_fields()
        names = [name for name in required if name not in secret] or required
        return {name: fields.get(name, "") for name in names}

    # Operations. All raise the errors of ``carriers.types.errors``.

    def fetch_token(self, kind: str = "main") -> types.Token:
        """Log in with the credential's fields, for a ``Bearer`` of this kind."""
        raise self._unsupported("fetch_token")

    def check_credential(self) -> types.Token | None:
        """Check the credential by logging in. Adapters without logins override this with another request.

        It never looks up a number that nobody booked: some carriers block callers for that.

        Returns: the token of kind "main", if the request gave one.
        """
        return self.fetch_token()

    def check_api(self) -> None:
        """Check that the carrier's API works, by a request about nothing that may be unknown there.

        The default is ``check_credential``. Adapters whose carrier limits logins override it.
        """
        self.check_credential()

    def quote(self, order: types.Order) -> Sequence[types.Offer]:
        """Return offers, best first: at least one. Raises ``NotServiceable``."""
        raise self._unsupported("quote")

    def problems(self, order: types.Order) -> Mapping[str, Sequence[str]]:
        """Return what the carrier would cut or accept wrongly: fields of our request and their problems."""
        return {}

    def transit_times(self, order: types.Order) -> Sequence[types.TransitTime]:
        """Return how long each service takes; empty: the route is not served."""
        raise self._unsupported("transit_times")

    def check_address(self, address: types.Address) -> types.AddressCheck:
        """Check an address, with suggestions."""
        raise self._unsupported("check_address")

    def documents(self, ref: types.ShipmentRef, kinds: Collection[str]) -> Sequence[types.Document]:
        """Return the files of these kinds that the carrier has now, with their content."""
        raise self._unsupported("documents")

    def upload_document(self, document: types.Document, ref: types.ShipmentRef) -> str:
        """Give the carrier a merchant's document and return the carrier's id of it."""
        raise self._unsupported("upload_document")

    def unused_costs(self, order: types.Order) -> bool:
        """Return whether the carrier bills a label that is never used."""
        return False

    def create_label(self, order: types.Order) -> types.BookedShipment:
        """Buy a label. Raises ``OutcomeUnknown`` if the carrier does not confirm it but may have sold it."""
        raise self._unsupported("create_label")

    def find_by_reference(self, ref: types.ShipmentRef) -> Sequence[types.BookedShipment]:
        """Return all shipments bought under our reference, oldest first; voided ones are marked ``cancelled``.

        Their documents may lack, if the carrier has none in a lookup or only ``documents`` fetches them.
        """
        raise self._unsupported("find_by_reference")

    def cancel(
        self, ref: types.ShipmentRef, reason: str, parcels: Sequence[types.ParcelRef] = ()
    ) -> types.Cancellation:
        """Cancel a shipment, or void an unused label. Raises ``CarrierCannotCancel`` if it is too late.

        Args:
            parcels: Cancel these only; empty: the whole shipment.
        """
        raise self._unsupported("cancel")

    def track(self, refs: Sequence[types.ShipmentRef]) -> Mapping[str, types.Track]:
        """Return tracks by leading number, each with the scans of all parcels.

        Those that are unknown to the carrier or could not be fetched are left out. Raises the first error if no track
        could be fetched.
        """
        raise self._unsupported("track")

    def _track_each(
        self, refs: Sequence[types.ShipmentRef], track_one: Callable[[types.ShipmentRef], types.Track | None]
    ) -> dict[str, types.Track]:
        """Return the tracks that ``track_one`` returns, for a carrier that takes one number a call: ``track``."""
        results = self.http.several([partial(track_one, ref) for ref in refs])
        found = {result.tracking_number: result for result in results if isinstance(result, types.Track)}
        failed = [result for result in results if isinstance(result, errors.CarrierError)]
        if failed and not found:
            raise failed[0]
        return found

    def proof_of_delivery(self, ref: types.ShipmentRef) -> types.ProofOfDelivery:
        """Return the proof of delivery. Raises ``CarrierNotFound`` before delivery."""
        raise self._unsupported("proof_of_delivery")

    def schedule_pickup(self, request: types.PickupRequest) -> types.BookedPickup:
        """Book a pickup. Raises ``OutcomeUnknown`` if the carrier does not confirm it but may have booked it."""
        raise self._unsupported("schedule_pickup")

    def find_pickups(self, request: types.PickupRequest) -> Sequence[types.BookedPickup]:
        """Return the booked pickups that can be this request's."""
        raise self._unsupported("find_pickups")

    def pickup_windows(self, request: types.PickupRequest) -> Sequence[types.PickupWindow]:
        """Return the times at which the carrier can pick up."""
        raise self._unsupported("pickup_windows")

    def cancel_pickup(self, ref: types.PickupRef, reason: str) -> datetime:
        """Cancel a pickup and return the time of cancellation. Raises ``CarrierCannotCancel`` if it is too late."""
        raise self._unsupported("cancel_pickup")

    def pickup_points(self, search: types.PointSearch) -> Sequence[types.PickupPoint]:
        """Return active pickup points, nearest first."""
        raise self._unsupported("pickup_points")

    def pickup_point(self, point_id: str, country: str) -> types.PickupPoint:
        """Return one pickup point with all its details. Raises ``CarrierNotFound``."""
        raise self._unsupported("pickup_point")

    def coverage(self, *, postal_code: str, city: str, country: str) -> types.Coverage:
        """Return whether and how the carrier serves a location."""
        raise self._unsupported("coverage")

    def register_warehouse(self, request: types.WarehouseRequest) -> types.RegisteredWarehouse:
        """Register a warehouse at the carrier, or change its registration."""
        raise self._unsupported("register_warehouse")

    def create_return(self, order: types.Order) -> types.BookedShipment:
        """Buy a return. Raises ``OutcomeUnknown`` if the carrier does not confirm it but may have sold it."""
        raise self._unsupported("create_return")

    def update_order(self, request: types.OrderUpdate) -> types.UpdatedOrder:
        """Change a booked order. It may be repeated, as it states the new values and not the difference."""
        raise self._unsupported("update_order")

    def reports(self, request: types.ReportRequest) -> types.Report:
        """Return a report of the carrier."""
        raise self._unsupported("reports")

    def close_day(self, day: date, refs: Sequence[types.ShipmentRef]) -> types.Manifest:
        """Close a day's shipments and return their manifest."""
        raise self._unsupported("close_day")

    def subscribe(self, numbers: Sequence[str], url: str, secret: str) -> Sequence[types.Subscription]:
        """Have the carrier send events of these numbers, or of the whole credential without numbers, to ``url``."""
        raise self._unsupported("subscribe")

    def activate(self, subscription: types.Subscription, secret: str) -> None:
        """Confirm a subscription with the secret of the carrier's handshake."""
        raise self._unsupported("activate")

    def unsubscribe(self, subscription: types.Subscription) -> None:
        """End a subscription. One that has ended already is no error."""
        raise self._unsupported("unsubscribe")

    def rotate_credentials(self) -> Mapping[str, str]:
        """Have the carrier make a new secret, and return the fields that change.

        The old secret must stay valid for a while, since this response can be lost. Raises ``OutcomeUnknown``.
        """
        raise self._unsupported("rotate_credentials")
