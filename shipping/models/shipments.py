"""Shipments, their parcels, and orphaned labels."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import models, transaction
from django.db.models.functions import Coalesce
from django.utils import timezone

from apikeys.db.search import CaseKey
from apikeys.db.tenancy import TenantRow, new_id
from carriers.adapters.registry import adapter_class
from carriers.models import Credential
from carriers.types import is_suspect_estimate, is_suspect_time
from shipping.models.search import SEARCHED_FIELDS, store_search_rows
from shipping.models.states import BookingState, StatusChoices
from shipping.models.warehouses import Warehouse

_RETURNING = (StatusChoices.RTO, StatusChoices.RETURNED)


class Shipment(TenantRow):
    """A shipment that is bought at a carrier, or a unit that the merchant tracks by posting checkpoints."""

    store = models.ForeignKey("apikeys.Store", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    carrier = models.CharField(max_length=20, blank=True)
    credential = models.ForeignKey(Credential, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    booking_state = models.CharField(max_length=12, choices=BookingState.choices, default=BookingState.NONE)
    status = models.CharField(max_length=16, choices=StatusChoices.choices, blank=True)
    tracking_number = models.CharField(max_length=50, blank=True)
    reference = models.CharField(
        max_length=40,
        unique=True,
        help_text="Our unique reference. It is sent to the carrier, and reconciliation looks the booking up by it.",
    )
    carrier_shipment_id = models.CharField(max_length=64, blank=True)
    waybill_number = models.CharField(
        max_length=16,
        null=True,
        blank=True,
        help_text="A number of Waybill's own generator; the shipment can be looked up by it too.",
    )
    order_id = models.CharField(max_length=100, blank=True)
    frees_order = models.BooleanField(
        default=False, help_text="Failed or cancelled once: the order can be bought again, whatever is scanned later."
    )
    sequence = models.PositiveSmallIntegerField(default=1, help_text="Number of the shipment within its order.")
    customer_reference = models.CharField(max_length=100, blank=True)
    service_type = models.CharField(max_length=40, blank=True)
    origin = models.JSONField(default=dict, blank=True)
    destination = models.JSONField(default=dict, blank=True)
    recipient = models.CharField(max_length=200, blank=True, help_text="The recipient's name, for search.")
    pickup_point_id = models.CharField(max_length=64, blank=True)
    warehouse = models.ForeignKey(Warehouse, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    return_of = models.ForeignKey(
        "self",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="returns",
        help_text="The shipment that this one returns.",
    )
    request = models.JSONField(default=dict, blank=True, help_text="The merchant's validated request.")
    ship_at = models.DateTimeField(
        null=True, editable=False, help_text="When the parcels are handed over, as ordered; empty: at once."
    )
    carrier_state = models.JSONField(
        null=True, editable=False, help_text="Data that the carrier's adapter needs again; never shown to merchants."
    )
    carrier_details = models.JSONField(default=dict, blank=True, help_text="Data that only this carrier returns.")
    total_price = models.DecimalField(max_digits=16, decimal_places=4, null=True, blank=True)
    currency = models.CharField(max_length=3, blank=True)
    failure = models.JSONField(null=True, blank=True, help_text="Why the booking failed, as returned to the merchant.")
    pending_reason = models.JSONField(
        null=True,
        blank=True,
        help_text="The carrier's code and message, if its answer left the purchase in doubt.",
    )
    cancellation = models.JSONField(null=True, blank=True)
    estimated_delivery = models.DateTimeField(null=True, blank=True)
    estimated_at = models.DateTimeField(null=True, blank=True, help_text="When the carrier made the estimate.")
    promised_delivery = models.DateTimeField(null=True, blank=True, help_text="The carrier's first estimate.")
    promised_at = models.DateTimeField(null=True, editable=False, help_text="When the carrier made its first estimate.")
    picked_up_at = models.DateTimeField(null=True, blank=True, help_text="Time of the first pickup scan.")
    delivered_at = models.DateTimeField(null=True, blank=True)
    location = models.CharField(max_length=200, blank=True, help_text="Location of the last checkpoint.")
    checkpoint_count = models.PositiveIntegerField(default=0)
    first_at = models.DateTimeField(null=True, blank=True, help_text="Time of the first checkpoint.")
    last_at = models.DateTimeField(null=True, blank=True, help_text="Time of the last checkpoint.")
    reconcile_at = models.DateTimeField(
        null=True, blank=True, help_text="When reconciliation looks the booking up next."
    )
    poll_at = models.DateTimeField(
        null=True, blank=True, help_text="When to poll the carrier unless it has sent a report by then."
    )
    reread_at = models.DateTimeField(
        null=True, editable=False, help_text="When a webhook last requested that the carrier be polled in any case."
    )
    scanned_after_cancel_at = models.DateTimeField(
        null=True, editable=False, help_text="Time of the last scan that shows a movement after the cancellation."
    )
    cancel_alarm_at = models.DateTimeField(
        null=True, editable=False, help_text="When such a scan arrived, until operations staff have handled it."
    )
    changing_until = models.DateTimeField(
        null=True, editable=False, help_text="Until when a request may be changing the order at its carrier."
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["merchant", "mode", "carrier", "tracking_number"],
                condition=~models.Q(tracking_number=""),
                name="tracking_number_per_tenant_and_carrier",
            ),
            models.UniqueConstraint(
                fields=["merchant", "mode", "waybill_number"],
                condition=models.Q(waybill_number__isnull=False, frees_order=False),
                name="waybill_number_once",
            ),
            models.UniqueConstraint(
                fields=["merchant", "mode", "store", "order_id", "sequence"],
                condition=~models.Q(order_id="") & models.Q(frees_order=False) & models.Q(store__isnull=False),
                name="order_bought_once_per_store",
            ),
            models.UniqueConstraint(
                fields=["merchant", "mode", "order_id", "sequence"],
                condition=~models.Q(order_id="") & models.Q(frees_order=False) & models.Q(store__isnull=True),
                name="order_bought_once",
            ),
        ]
        indexes = [
            models.Index("merchant", "mode", CaseKey("tracking_number"), name="shipment_by_number"),
            models.Index(fields=["merchant", "mode", "id"], name="shipment_by_tenant"),
            models.Index(
                fields=["merchant", "mode", "carrier_shipment_id"],
                condition=~models.Q(carrier_shipment_id=""),
                name="shipment_by_carrier_id",
            ),
            models.Index(
                fields=["merchant", "mode", "waybill_number"],
                condition=models.Q(waybill_number__isnull=False),
                name="shipment_by_waybill_number",
            ),
            models.Index(fields=["merchant", "mode", "status", "id"], name="shipment_by_status"),
            models.Index("merchant", "mode", CaseKey("order_id"), name="shipment_by_order"),
            models.Index(fields=["merchant", "mode", "carrier", "id"], name="shipment_by_carrier"),
            models.Index(
                fields=["merchant", "mode", "store", "id"],
                condition=models.Q(store__isnull=False),
                name="shipment_by_store",
            ),
            models.Index("merchant", "mode", Coalesce("first_at", "created_at"), name="shipment_by_first_time"),
            models.Index("merchant", "mode", Coalesce("last_at", "created_at"), name="shipment_by_last_time"),
            models.Index("credential", CaseKey("tracking_number"), name="shipment_by_credential"),
            models.Index(
                fields=["reconcile_at"], condition=models.Q(reconcile_at__isnull=False), name="shipment_to_reconcile"
            ),
            models.Index(
                fields=["changing_until"],
                condition=models.Q(changing_until__isnull=False),
                name="shipment_being_changed",
            ),
            models.Index(
                fields=["id"], condition=models.Q(cancel_alarm_at__isnull=False), name="shipment_cancel_alarm"
            ),
            models.Index(fields=["poll_at"], condition=models.Q(poll_at__isnull=False), name="shipment_to_poll"),
            models.Index(
                fields=["booking_state", "id"],
                condition=models.Q(booking_state__in=["pending", "needs_review"]),
                name="shipment_unsettled",
            ),
        ]

    def __str__(self) -> str:
        return self.tracking_number or self.order_id or str(self.id)

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save the row and, if a searched column may have changed, its search row."""
        fields = kwargs.get("update_fields")
        if fields is not None and SEARCHED_FIELDS.isdisjoint(fields):
            super().save(*args, **kwargs)
            return
        with transaction.atomic(savepoint=False):
            super().save(*args, **kwargs)
            store_search_rows([self])

    @property
    def carrier_name(self) -> str:
        """Return the carrier's display name, or an empty string for a self-tracked unit."""
        return adapter_class(self.carrier).name if self.carrier else ""

    @property
    def is_returning(self) -> bool:
        """Return whether the parcel returns to the sender, or has returned."""
        return self.status in _RETURNING

    @property
    def delivery_time(self) -> Any:
        """Return the delivery time, else the estimate, else None. A parcel that returns has none."""
        return None if self.is_returning else self.delivered_at or self.estimated_delivery

    def is_suspect(self, moment: datetime, *, received_at: datetime) -> bool:
        """Return whether a time that the carrier reports of this shipment cannot be right."""
        return is_suspect_time(moment, booked_at=self.created_at, received_at=received_at)

    def estimate(self, moment: datetime | None, *, reported_at: datetime) -> list[str]:
        """Store a carrier's delivery estimate and return the names of the changed fields.

        The latest estimate counts and the first is the promise, in every order of arrival; of two made at the same
        time, the later delivery. One that cannot be right is ignored.
        """
        if not moment or is_suspect_estimate(moment, booked_at=self.created_at, reported_at=reported_at):
            return []
        changed = self._promise(moment, reported_at)
        known = (self.estimated_at, self.estimated_delivery)
        if None not in known and (reported_at, moment) <= known:
            return changed
        self.estimated_at = reported_at
        if moment == self.estimated_delivery:  # repeated: the shipment has not changed
            return [*changed, "estimated_at"]
        self.estimated_delivery = moment
        return [*changed, "estimated_delivery", "estimated_at", "updated_at"]

    def _promise(self, moment: datetime, reported_at: datetime) -> list[str]:
        """Store an estimate that was made before all others and return the names of the changed fields."""
        if self.promised_delivery and (
            self.promised_at is None  # stored before this column was
            or reported_at > self.promised_at
            or (reported_at == self.promised_at and moment <= self.promised_delivery)
        ):
            return []
        self.promised_delivery, self.promised_at = moment, reported_at
        return ["promised_delivery", "promised_at"]


class Orphan(TenantRow):
    """A label that a carrier sold under a shipment's reference after its booking had failed, or a second time."""

    shipment = models.ForeignKey(Shipment, on_delete=models.PROTECT, related_name="orphans")
    tracking_number = models.CharField(max_length=64)
    is_harmless = models.BooleanField(
        default=False, help_text="The carrier does not bill an unused label, and cannot void it."
    )
    refusal = models.CharField(max_length=200, blank=True, help_text="Why the carrier refused to void it.")
    voided_at = models.DateTimeField(null=True, blank=True, help_text="When it was known to be void.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["shipment", "tracking_number"], name="orphan_once")]
        indexes = [
            models.Index(CaseKey("tracking_number"), name="orphan_number_prefix"),
            models.Index(fields=["id"], condition=models.Q(voided_at__isnull=True), name="orphan_not_voided"),
        ]

    def __str__(self) -> str:
        return self.tracking_number


class Parcel(models.Model):
    """One box of a shipment."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    shipment = models.ForeignKey(Shipment, on_delete=models.CASCADE, related_name="parcels")
    number = models.PositiveSmallIntegerField(help_text="Position in the shipment, from 1.")
    tracking_number = models.CharField(max_length=64, blank=True, help_text="The carrier's number of this parcel.")
    reference = models.CharField(max_length=64, blank=True, help_text="Our reference of it, as the carrier has it.")
    packaging = models.CharField(max_length=40, blank=True, help_text="The carrier's code; empty: own box.")
    weight_kg = models.DecimalField(max_digits=9, decimal_places=3)
    length_cm = models.DecimalField(max_digits=8, decimal_places=2, null=True, blank=True)
    width_cm = models.DecimalField(max_digits=8, decimal_places=2, null=True, blank=True)
    height_cm = models.DecimalField(max_digits=8, decimal_places=2, null=True, blank=True)
    declared_value = models.DecimalField(max_digits=13, decimal_places=3, null=True, blank=True)
    currency = models.CharField(max_length=3, blank=True)
    description = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["number"]
        constraints = [models.UniqueConstraint(fields=["shipment", "number"], name="parcel_number_per_shipment")]
        indexes = [
            models.Index(CaseKey("tracking_number"), condition=~models.Q(tracking_number=""), name="parcel_by_number")
        ]

    def __str__(self) -> str:
        return f"parcel {self.number} of {self.shipment}"
