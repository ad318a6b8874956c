"""Rows and statements of posted checkpoints. The fields of a row are the columns of its statement, in order."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import QuerySet

from apikeys.db.prepared import Insert, Select, Update
from carriers.adapters.registry import adapter_class
from shipping.models import BookingState, Checkpoint, Shipment


class Unit(NamedTuple):
    """The columns of a shipment that the state machine reads and writes."""

    id: uuid.UUID
    tracking_number: str
    store_id: uuid.UUID | None = None
    carrier: str = ""
    booking_state: str = BookingState.NONE.value
    order_id: str = ""
    status: str = ""
    location: str = ""
    checkpoint_count: int = 0
    first_at: datetime | None = None
    last_at: datetime | None = None
    picked_up_at: datetime | None = None
    delivered_at: datetime | None = None
    estimated_delivery: datetime | None = None
    estimated_at: datetime | None = None
    promised_delivery: datetime | None = None

    @property
    def carrier_name(self) -> str:
        """The carrier's display name; empty for a self-tracked unit."""
        return adapter_class(self.carrier).name if self.carrier else ""


class NewUnitRow(NamedTuple):
    """The columns that a new unit has besides those of ``Unit``; none of them has a default in the database."""

    merchant: uuid.UUID
    mode: str
    reference: str
    created_at: datetime
    updated_at: datetime
    frees_order: bool = False
    sequence: int = 1
    carrier_shipment_id: str = ""
    customer_reference: str = ""
    service_type: str = ""
    recipient: str = ""
    pickup_point_id: str = ""
    currency: str = ""
    origin: Mapping[str, Any] = {}
    destination: Mapping[str, Any] = {}
    request: Mapping[str, Any] = {}
    carrier_details: Mapping[str, Any] = {}


class UnitChange(NamedTuple):
    """The columns of an existing unit that a new checkpoint changes, with its primary key first."""

    id: uuid.UUID
    status: str
    location: str
    checkpoint_count: int
    first_at: datetime | None
    last_at: datetime | None
    picked_up_at: datetime | None
    delivered_at: datetime | None
    estimated_delivery: datetime | None
    estimated_at: datetime | None
    promised_delivery: datetime | None
    updated_at: datetime


class CheckpointRow(NamedTuple):
    """The columns of a new checkpoint."""

    id: uuid.UUID
    merchant: uuid.UUID
    mode: str
    shipment: uuid.UUID
    source: str
    status: str
    code: str
    location: str
    description: str
    details: Mapping[str, Any]
    occurred_at: datetime
    occurred_text: str
    tz_assumed: bool
    created_at: datetime


def select_units(merchant_id: uuid.UUID, mode: str) -> QuerySet[Shipment]:
    """Select and lock a merchant's shipments, always in the same order, so that two writers cannot deadlock.

    Ordered by id alone, SQLite would read all of the merchant's shipments instead of using the index of numbers.
    """
    rows = Shipment.objects.select_for_update().filter(merchant_id=merchant_id, mode=mode)
    return rows.order_by("tracking_number", "id")


select_unit = Select(
    lambda merchant_id, mode, number: select_units(merchant_id, mode).filter(tracking_number__any_case=number)[:10],
    Unit._fields,
    [uuid.UUID(int=1), "mode", "a number"],
)
insert_units = Insert(Shipment, *Unit._fields, *NewUnitRow._fields)
update_units = Update(Shipment, *UnitChange._fields[1:])
insert_checkpoints = Insert(Checkpoint, *CheckpointRow._fields)
