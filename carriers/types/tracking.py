"""Statuses, scans, tracks and webhook reports."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from carriers.types.documents import Document
from carriers.types.orders import Extras

# No parcel is older: an earlier time comes from a clock that is not set, or from an empty field.
EARLIEST_TIME = datetime(2000, 1, 1, tzinfo=UTC)
_MAX_AHEAD, _MAX_BEFORE_BOOKING = timedelta(hours=48), timedelta(days=60)
_MAX_ESTIMATE = timedelta(days=366)


def is_suspect_time(moment: datetime, *, booked_at: datetime, received_at: datetime) -> bool:
    """Return whether a time that a carrier reports of a shipment or pickup cannot be right.

    Nothing may depend on such a time: a clock that is ahead by ten years would decide the status for ten years.
    """
    return not _earliest(booked_at) <= moment <= received_at + _MAX_AHEAD


def is_suspect_estimate(moment: datetime, *, booked_at: datetime, reported_at: datetime) -> bool:
    """Return whether an estimated delivery cannot be right."""
    return not _earliest(booked_at) <= moment <= reported_at + _MAX_ESTIMATE


def _earliest(booked_at: datetime) -> datetime:
    return max(EARLIEST_TIME, booked_at - _MAX_BEFORE_BOOKING)


class Status(StrEnum):
    """The status of a shipment, stored and written in lower case."""

    CREATED = "created"  # label bought or announced, nothing handed over
    PICKED_UP = "picked_up"  # the carrier has the parcel
    IN_TRANSIT = "in_transit"  # moving between the carrier's depots
    AT_PICKUP_POINT = "at_pickup_point"  # waiting for the recipient at a locker or store
    OUT_FOR_DELIVERY = "out_for_delivery"  # on the last vehicle
    DELIVERED = "delivered"  # handed to the recipient (final)
    EXCEPTION = "exception"  # a problem that the description explains, such as a failed attempt
    RETURNED = "returned"  # back at the sender (final)
    CANCELLED = "cancelled"  # cancelled before delivery (final)
    NDR = "ndr"  # non-delivery report: the carrier waits for instructions
    RTO = "rto"  # return to origin: travelling back to the sender
    LOST = "lost"
    DAMAGED = "damaged"
    INFO = "info"  # a message that says nothing of where the parcel is; never decides
    UNKNOWN = "unknown"  # a carrier code that is not mapped yet


@dataclass(frozen=True, kw_only=True)
class Scan:
    """A checkpoint that a carrier reports.

    (Shipment, ``parcel``, ``code``, ``occurred_at``, location) identifies it in one source. All sources must
    report the same code and instant.
    """

    code: str  # the carrier's
    status: Status  # mapped from the code
    occurred_at: datetime
    occurred_text: str  # the time as reported
    parcel: str = ""  # its tracking number; empty: the whole shipment
    reason: str = ""  # of an exception: ADDRESS_INCORRECT and others, as in the carrier's status table
    action_required_by: str = ""  # of an exception: who must act; empty: nobody
    tz_assumed: bool = False  # the reported time had no offset
    description: str = ""
    location: str = ""
    details: Extras = field(default_factory=dict)  # locker, pickup code, attempts, reason, driver and others


@dataclass(frozen=True, kw_only=True)
class Track:
    """A parcel's scans at the carrier."""

    tracking_number: str
    scans: tuple[Scan, ...]  # oldest first
    estimated_delivery: datetime | None = None
    current_location: str = ""
    carrier_state: Extras = field(default_factory=dict)  # merged into the shipment's
    extras: Extras = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Cancellation:
    """A cancellation confirmed by the carrier."""

    tracking_number: str
    cancelled_at: datetime | None  # None: not reported
    reason: str = ""
    refund_status: str = ""
    refund_amount: Decimal | None = None
    extras: Extras = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ProofOfDelivery:
    """A proof of delivery."""

    tracking_number: str
    delivered_at: datetime | None
    signed_by: str = ""
    signature_image: str = ""  # data URL
    delivery_photo: str = ""  # data URL
    location: str = ""
    pickup_code_used: str | None = None
    delivery_type: str = ""
    latitude: float | None = None
    longitude: float | None = None
    notes: str = ""
    documents: tuple[Document, ...] = ()  # kind pod
    extras: Extras = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ReportedScan:
    """A scan in a webhook, with its tracking number."""

    tracking_number: str
    scan: Scan
    estimated_delivery: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class ReportedPickup:
    """The state of a pickup in a webhook."""

    carrier_pickup_id: str
    status: str  # scheduled completed
    occurred_at: datetime
    details: Extras = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class WebhookReport:
    """The content of one webhook. Without scans and pickups, it has nothing to store."""

    event_type: str  # the carrier's
    scans: tuple[ReportedScan, ...] = ()
    pickups: tuple[ReportedPickup, ...] = ()
    reread: tuple[str, ...] = ()  # tracking numbers to poll
    handshake: tuple[str, str] | None = None  # ``carrier_id`` of a subscription, secret to activate it


@dataclass(frozen=True, kw_only=True)
class Subscription:
    """An order to a carrier to send us events."""

    carrier_id: str
    numbers: tuple[str, ...] = ()  # empty: the whole credential
    expires_at: datetime | None = None  # None: never
