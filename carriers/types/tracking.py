"""Statuses, scans, tracks and webhook reports."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from carriers.types.orders import Extras


class Status(StrEnum):
    """Where a shipment stands, for the merchant. Stored and written in lower case."""

    CREATED = "created"  # label bought or announced, nothing handed over
    PICKED_UP = "picked_up"  # the carrier has it
    IN_TRANSIT = "in_transit"  # moving between the carrier's places
    AT_PICKUP_POINT = "at_pickup_point"  # waiting for the recipient at a locker or store
    OUT_FOR_DELIVERY = "out_for_delivery"  # on the last vehicle
    DELIVERED = "delivered"  # handed to the recipient (final)
    EXCEPTION = "exception"  # something went wrong; the text says what (a failed attempt, for one)
    RETURNED = "returned"  # back at the sender (final)
    CANCELLED = "cancelled"  # called off before delivery (final)
    NDR = "ndr"  # non-delivery report: the carrier waits for instructions
    RTO = "rto"  # return to origin: on the way back
    LOST = "lost"
    DAMAGED = "damaged"
    UNKNOWN = "unknown"  # a carrier code that no table knows yet


@dataclass(frozen=True, kw_only=True)
class Scan:
    """One thing the carrier says happened to a parcel.

    Identity is (shipment, ``code``, ``occurred_at``). ``occurred_text`` is the carrier's own time text; ``tz_assumed``
    tells that it had no offset. ``details`` keeps locker, hold until, pickup code, attempts, reason, driver, progress
    and the like.
    """

    code: str
    status: Status
    occurred_at: datetime
    occurred_text: str
    tz_assumed: bool = False
    description: str = ""
    location: str = ""
    details: Extras = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Track:
    """A parcel's history at the carrier, oldest scan first."""

    tracking_number: str
    scans: tuple[Scan, ...]
    estimated_delivery: datetime | None = None
    current_location: str = ""
    extras: Extras = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Cancellation:
    """``cancelled_at`` is None where the carrier does not say when."""

    tracking_number: str
    cancelled_at: datetime | None
    reason: str = ""
    refund_status: str = ""
    refund_amount: Decimal | None = None
    extras: Extras = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ProofOfDelivery:
    """Images are data URLs, as the carrier sends them; empty where there is none."""

    tracking_number: str
    delivered_at: datetime | None
    signed_by: str = ""
    signature_image: str = ""
    delivery_photo: str = ""
    location: str = ""
    pickup_code_used: str | None = None
    delivery_type: str = ""
    latitude: float | None = None
    longitude: float | None = None
    notes: str = ""
    extras: Extras = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ReportedScan:
    """A scan out of a webhook, with the number that it is about."""

    tracking_number: str
    scan: Scan
    estimated_delivery: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class ReportedPickup:
    """News about a collection; ``status`` is ``scheduled`` or ``completed``."""

    carrier_pickup_id: str
    status: str
    occurred_at: datetime
    details: Extras = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class WebhookReport:
    """All that one webhook body says. Empty tuples: understood, nothing of interest."""

    event_type: str
    scans: tuple[ReportedScan, ...] = ()
    pickups: tuple[ReportedPickup, ...] = ()
