"""Osprey Freight, a carrier that does not exist and sends nothing: its adapter has the operations that others lack."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any, ClassVar

from carriers import types
from carriers.adapters.apis import Api
from carriers.adapters.base import CarrierAdapter, schema, text_field
from carriers.types.errors import CarrierUnavailable, OutcomeUnknown

FILES = {"PDF": b"%PDF-1.4 manifest", "HTML": b"<script>alert(1)</script>"}
ZONE_TIME = datetime.fromisoformat("2026-12-02T17:00:00+01:00")


class OspreyAdapter(CarrierAdapter):
    slug = "osprey"
    name = "Osprey Freight"
    apis = {"main": Api(sandbox="https://test.osprey.example", production="https://osprey.example", auth=())}
    credential_schema = schema(required=("key",), key=text_field("API key", secret=True))
    services = {"EXP": "Express", "ECO": "Economy"}
    default_service = "ECO"
    max_parcels = 5
    served_options = ("signature", "carrier")
    options_schema: ClassVar = {
        "type": "object",
        "properties": {"tail_lift": {"type": "boolean"}},
        "additionalProperties": False,
    }
    is_silent: ClassVar[bool] = False  # closes days and does not answer
    requests: ClassVar[list[Any]] = []

    def check_credential(self) -> None:
        """Accept every key."""

    def quote(self, order: types.Order) -> Sequence[types.Offer]:
        self.requests.append(order)
        price = {"total_price": Decimal(9), "currency": "EUR", "breakdown": {"base_rate": Decimal(9)}}
        return [
            types.Offer(service_type="ECO", price_kind="list", co2e_kg=Decimal("0.25"), **price),
            types.Offer(service_type="EXP", service_name="Express before noon", **price),
        ]

    def transit_times(self, order: types.Order) -> Sequence[types.TransitTime]:
        self.requests.append(order)
        late = types.TransitTime(service_type="ECO")
        return [types.TransitTime(service_type="EXP", days=2, delivers_at=ZONE_TIME, book_until=ZONE_TIME), late]

    def check_address(self, address: types.Address) -> types.AddressCheck:
        better = replace(address, street="Storgata 12", residential=True)
        return types.AddressCheck(ok=False, residential=None, suggestions=(better,))

    def pickup_windows(self, request: types.PickupRequest) -> Sequence[types.PickupWindow]:
        self.requests.append(request)
        day = date(2026, 12, 2)
        return [
            types.PickupWindow(day=day, start="09:00", end="12:00", book_until=ZONE_TIME),
            types.PickupWindow(day=day),
        ]

    def pickup_points(self, search: types.PointSearch) -> Sequence[types.PickupPoint]:
        self.requests.append(search)
        return [types.PickupPoint(id="OS-1", name="Kiosk", address=types.Address(country=search.country, city="Oslo"))]

    def pickup_point(self, point_id: str, country: str) -> types.PickupPoint:
        return types.PickupPoint(id=point_id, address=types.Address(country=country))

    def create_label(self, order: types.Order) -> types.BookedShipment:
        """Sell a label for each parcel, the second parcel's file later, and a customs invoice."""
        self.requests.append(order)
        number = f"OS-{order.order_id}"
        boxes = range(1, len(order.packages) + 1)
        later = [types.Document(kind="label", format="PDF", url="https://osprey.example/2", parcel=2)]
        invoice = types.Document(kind="invoice", format="HTML", content=FILES["HTML"], copies=3)
        first = types.Document(kind="label", format="PDF", content=FILES["PDF"], parcel=1, size="4x6")
        return types.BookedShipment(
            reference=order.reference,
            tracking_number=f"{number}-1",
            created_at=order.ordered_at or ZONE_TIME,
            parcels=tuple(
                types.ParcelRef(number=box, tracking_number=f"{number}-{box}", reference=f"{order.reference}-{box}")
                for box in boxes
            ),
            documents=(first, *later[: len(boxes) - 1], invoice),
        )

    def documents(self, ref: types.ShipmentRef, kinds: Collection[str]) -> Sequence[types.Document]:
        raise CarrierUnavailable(carrier=self.name)

    def close_day(self, day: date, refs: Sequence[types.ShipmentRef]) -> types.Manifest:
        self.requests.append((day, refs))
        if self.is_silent:
            raise OutcomeUnknown(carrier=self.name, carrier_message="Gateway timeout")
        files = [types.Document(kind="manifest", format=name, content=text) for name, text in FILES.items()]
        closed = tuple(ref.parcels[-1].tracking_number if ref.parcels else ref.tracking_number for ref in refs)
        return types.Manifest(day=day, documents=tuple(files), closed=closed)
