"""Statuses and booking states of shipments."""

from __future__ import annotations

from django.db import models

from carriers.types import Status


class StatusChoices(models.TextChoices):
    """The values of ``carriers.types.Status`` as model choices."""

    CREATED = Status.CREATED.value, "Created"
    PICKED_UP = Status.PICKED_UP.value, "Picked up"
    IN_TRANSIT = Status.IN_TRANSIT.value, "In transit"
    AT_PICKUP_POINT = Status.AT_PICKUP_POINT.value, "At pickup point"
    OUT_FOR_DELIVERY = Status.OUT_FOR_DELIVERY.value, "Out for delivery"
    DELIVERED = Status.DELIVERED.value, "Delivered"
    EXCEPTION = Status.EXCEPTION.value, "Exception"
    RETURNED = Status.RETURNED.value, "Returned"
    CANCELLED = Status.CANCELLED.value, "Cancelled"
    NDR = Status.NDR.value, "Non-delivery report"
    RTO = Status.RTO.value, "Return to origin"
    LOST = Status.LOST.value, "Lost"
    DAMAGED = Status.DAMAGED.value, "Damaged"
    INFO = Status.INFO.value, "Information"
    UNKNOWN = Status.UNKNOWN.value, "Unknown"


class BookingState(models.TextChoices):
    """State of the purchase at the carrier; not a status."""

    NONE = "none", "self-tracked"  # created by the merchant's own checkpoints, never bought
    PENDING = "pending", "pending"  # requested, no answer yet
    BOOKED = "booked", "booked"
    FAILED = "failed", "failed"
    NEEDS_REVIEW = "needs_review", "needs review"  # only a person can find out


# Booked and self-tracked shipments have a status and are units.
UNIT_STATES = (BookingState.NONE, BookingState.BOOKED)
# It is not known whether the carrier has booked these.
UNSETTLED = (BookingState.PENDING, BookingState.NEEDS_REVIEW)
