"""Shipments, their parcels, and labels that were sold too late."""

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
from shipping.models.search import SEARCHED_FIELDS, store_search_rows
from shipping.models.states import BookingState, StatusChoices
from shipping.models.warehouses import Warehouse


class Shipment(TenantRow):
    """One order's way from origin to destination: bought at a carrier, or tracked by the merchant's own checkpoints."""

    store = models.ForeignKey("apikeys.Store", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    carrier = models.CharField(max_length=20, blank=True)
    credential = models.ForeignKey(Credential, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    booking_state = models.CharField(max_length=12, choices=BookingState.choices, default=BookingState.NONE)
    status = models.CharField(max_length=16, choices=StatusChoices.choices, blank=True)
    tracking_number = models.CharField(max_length=50, blank=True)
    reference = models.CharField(
        max_length=40,
        unique=True,
        help_text="Ours, unique, told to the carrier; what look-ups after a lost answer go by.",
    )
    carrier_shipment_id = models.CharField(max_length=64, blank=True)
    waybill_number = models.CharField(
        max_length=16,
        null=True,
        blank=True,
        help_text="A number of our own generator; the shipment is found by it as well.",
    )
    order_id = models.CharField(max_length=100, blank=True)
    frees_order = models.BooleanField(
        default=False, help_text="Failed or cancelled once: its order may be bought anew, whatever is scanned later."
    )
    sequence = models.PositiveSmallIntegerField(default=1, help_text="An order may travel in several shipments.")
    customer_reference = models.CharField(max_length=100, blank=True)
    service_type = models.CharField(max_length=40, blank=True)
    origin = models.JSONField(default=dict, blank=True)
    destination = models.JSONField(default=dict, blank=True)
    recipient = models.CharField(max_length=200, blank=True, help_text="The recipient's name, for searching.")
    pickup_point_id = models.CharField(max_length=64, blank=True)
    warehouse = models.ForeignKey(Warehouse, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    return_of = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="returns", help_text="What comes back."
    )
    request = models.JSONField(default=dict, blank=True, help_text="What the merchant asked for, as validated.")
    carrier_details = models.JSONField(default=dict, blank=True, help_text="What only this carrier says.")
    total_price = models.DecimalField(max_digits=16, decimal_places=4, null=True, blank=True)
    currency = models.CharField(max_length=3, blank=True)
    failure = models.JSONField(null=True, blank=True, help_text="Why the booking failed, as the merchant was told.")
    cancellation = models.JSONField(null=True, blank=True)
    estimated_delivery = models.DateTimeField(null=True, blank=True)
    estimated_at = models.DateTimeField(null=True, blank=True, help_text="When the carrier estimated so.")
    promised_delivery = models.DateTimeField(null=True, blank=True, help_text="The first estimate that was given.")
    picked_up_at = models.DateTimeField(null=True, blank=True, help_text="The first pickup's time.")
    delivered_at = models.DateTimeField(null=True, blank=True)
    location = models.CharField(max_length=200, blank=True, help_text="Of the last checkpoint.")
    checkpoint_count = models.PositiveIntegerField(default=0)
    first_at = models.DateTimeField(null=True, blank=True, help_text="The first checkpoint's time.")
    last_at = models.DateTimeField(null=True, blank=True, help_text="The last checkpoint's time.")
    reconcile_at = models.DateTimeField(null=True, blank=True, help_text="When to look a lost booking up next.")
    poll_at = models.DateTimeField(
        null=True, blank=True, help_text="When to look whether the carrier has fallen silent, and then to ask it."
    )
    changing_until = models.DateTimeField(
        null=True, editable=False, help_text="A request is changing the order at its carrier, at most until then."
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
            models.Index(fields=["merchant", "mode", "tracking_number"], name="shipment_by_number"),
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
            models.Index(fields=["merchant", "mode", "order_id"], name="shipment_by_order"),
            models.Index(fields=["merchant", "mode", "carrier", "id"], name="shipment_by_carrier"),
            models.Index(
                fields=["merchant", "mode", "store", "id"],
                condition=models.Q(store__isnull=False),
                name="shipment_by_store",
            ),
            models.Index("merchant", "mode", Coalesce("first_at", "created_at"), name="shipment_by_first_time"),
            models.Index("merchant", "mode", Coalesce("last_at", "created_at"), name="shipment_by_last_time"),
            models.Index(fields=["credential", "tracking_number"], name="shipment_by_credential"),
            models.Index(
                fields=["reconcile_at"], condition=models.Q(reconcile_at__isnull=False), name="shipment_to_reconcile"
            ),
            models.Index(
                fields=["changing_until"],
                condition=models.Q(changing_until__isnull=False),
                name="shipment_being_changed",
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
        """The carrier's display name; empty for a self-tracked unit."""
        return adapter_class(self.carrier).name if self.carrier else ""

    @property
    def delivery_time(self) -> Any:
        """When it was delivered, else when it should be, else None."""
        return self.delivered_at or self.estimated_delivery

    def estimate(self, moment: datetime | None, *, told_at: datetime) -> list[str]:
        """Take the carrier's word on when it will be delivered; the names of the fields that this changed.

        The latest word counts, in whatever order they come; of two at one time the later moment.
        """
        known = (self.estimated_at, self.estimated_delivery)
        if not moment or (None not in known and (told_at, moment) <= known):
            return []
        self.estimated_at = told_at
        if moment == self.estimated_delivery:  # said once more, which is no news of the row
            return ["estimated_at"]
        self.estimated_delivery, self.promised_delivery = moment, self.promised_delivery or moment
        return ["estimated_delivery", "estimated_at", "promised_delivery", "updated_at"]


class Orphan(TenantRow):
    """A label that a carrier sold under a shipment's reference and nobody waits for: too late, or once too often."""

    shipment = models.ForeignKey(Shipment, on_delete=models.PROTECT, related_name="orphans")
    tracking_number = models.CharField(max_length=64)
    refusal = models.CharField(max_length=200, blank=True, help_text="Why the carrier would not call it off.")
    voided_at = models.DateTimeField(null=True, blank=True, help_text="Since when it is known to be called off.")
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
    """One package of a shipment."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    shipment = models.ForeignKey(Shipment, on_delete=models.CASCADE, related_name="parcels")
    number = models.PositiveSmallIntegerField(help_text="n of m")
    weight_kg = models.DecimalField(max_digits=9, decimal_places=3)
    length_cm = models.DecimalField(max_digits=8, decimal_places=2, null=True, blank=True)
    width_cm = models.DecimalField(max_digits=8, decimal_places=2, null=True, blank=True)
    height_cm = models.DecimalField(max_digits=8, decimal_places=2, null=True, blank=True)
    declared_value = models.DecimalField(max_digits=12, decimal_places=2, null=True, blank=True)
    currency = models.CharField(max_length=3, blank=True)
    description = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["number"]
        constraints = [models.UniqueConstraint(fields=["shipment", "number"], name="parcel_number_per_shipment")]

    def __str__(self) -> str:
        return f"parcel {self.number} of {self.shipment}"
