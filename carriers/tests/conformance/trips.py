"""Runs the operations of an adapter against the simulated carrier, and keeps what was refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from carriers import types
from carriers.adapters.base import CarrierAdapter
from carriers.adapters.operations import LOGIN, OPERATIONS, Effect
from carriers.tests.conformance.network import SandboxNetwork
from carriers.types.errors import CarrierError

SHIP_AT = datetime.now(UTC).replace(hour=10, minute=0, second=0, microsecond=0) + timedelta(days=1)
URL, SECRET = "https://shipping.example.com/hooks/1", "a-long-random-secret"
# Operations that a carrier's adapter may have and that no exchange can cover, with the reason.
LISTED: dict[str, dict[str, str]] = {"ups": {}, "bring": {}}


@dataclass
class Trip:
    """One adapter on a network.

    Attributes:
        operations: those that were called.
        problems: orders that the adapter refuses, and refusals of the simulated carrier.
        routes: countries of origin and destination, and whether it was no return.
    """

    network: SandboxNetwork
    adapter: CarrierAdapter
    operations: set[str] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)
    routes: set[tuple[str, str, bool]] = field(default_factory=set)

    def has(self, operation: str) -> bool:
        return operation in OPERATIONS and operation in vars(type(self.adapter))

    def do(self, operation: str, *args: Any, **kwargs: Any) -> Any:
        """Call an operation and return its result, or None if it is refused or the adapter lacks it."""
        if not self.has(operation):
            return None
        self.operations.add(operation)
        try:
            return getattr(self.adapter, operation)(*args, **kwargs)
        except CarrierError as error:
            self.problems.append(f"{operation}: {type(error).__name__} {error.carrier_code} {error.carrier_message}")
        return None

    def buy(self, name: str, order: types.Order) -> types.ShipmentRef | None:
        """Buy a label and return the shipment; of the first one of a route, read files and track, and look it up."""
        order = replace(order, reference=f"WB-{name.upper()}"[:25], order_id=name)
        if found := self.adapter.problems(order):
            self.problems.append(f"{name}: {found}")
            return None
        booked = self.do("create_return" if order.return_of else "create_label", order)
        if booked is None:
            self.problems.append(f"{name} was not bought")
            return None
        ref = types.ShipmentRef(
            reference=order.reference,
            order=order,
            booked_at=booked.created_at,
            ship_at=order.ship_at or booked.created_at,
            tracking_number=booked.tracking_number,
            carrier_shipment_id=booked.carrier_shipment_id,
            parcels=booked.parcels,
            carrier_state=booked.carrier_state,
        )
        if len(ref.parcels) != len(order.packages):
            self.problems.append(f"{name}: {len(ref.parcels)} numbers of {len(order.packages)} parcels")
        route = (order.origin.country, order.destination.country, order.return_of is None)
        if route not in self.routes:
            self.routes.add(route)
            self.do("documents", ref, ("label", "invoice"))
            self.do("track", [ref])
            if not self.do("find_by_reference", ref):
                self.problems.append(f"{name} is not found by its reference")
        return ref

    def price(self, order: types.Order) -> None:
        """Ask for the price of a service; at the first order of a route, of all services, and how long they take."""
        self.do("quote", order)
        if (order.origin.country, order.destination.country, True) not in self.routes:
            self.do("quote", replace(order, service_type=None))
            self.do("transit_times", order)


def missing(trips: Sequence[Trip]) -> list[str]:
    """Return the operations of an adapter that no trip covers and that are not listed."""
    adapter = trips[0].adapter
    known = {name for trip in trips for name in trip.operations} | set(LISTED[adapter.slug])
    return [name for name in adapter.capabilities() if OPERATIONS[name] is not Effect.LOCAL and name not in known]


def report(trips: Sequence[Trip]) -> str:
    """Return one line about what was covered."""
    adapter = trips[0].adapter
    names = {name for trip in trips for name in trip.operations} | ({LOGIN} if adapter.logs_in() else set())
    documents = {name: document for trip in trips for name, document in trip.network.covered.items()}
    sampled = [name for name, document in documents.items() if document.startswith("samples/")]
    listed = {name: reason for trip in trips for name, reason in trip.network.listed.items()} | LISTED[adapter.slug]
    return (
        f"{adapter.name}: {len(names)} operations ({', '.join(sorted(names))}), "
        f"{sum(len(trip.network.exchanges) for trip in trips)} requests of {len(documents)} documented calls; "
        f"known from samples only: {', '.join(sampled) or 'none'}; without document: "
        + ("; ".join(f"{name} ({reason})" for name, reason in listed.items()) or "none")
    )
