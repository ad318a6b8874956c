"""Shipments and everything that hangs on them."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any, ClassVar, NamedTuple

from django.db import models
from django.db.models.fields.files import FieldFile
from django.db.models.functions import Coalesce
from django.utils import timezone

from apikeys.db.tenancy import Mode
from apikeys.db.tenancy import Row
from apikeys.db.tenancy import TenantQuerySet
from apikeys.db.tenancy import TenantRow
from apikeys.db.tenancy import new_id
from carriers.adapters.registry import adapter_class
from carriers.models import Credential
from carriers.types import Status


class StatusChoices(models.TextChoices):
    """``carriers.types.Status`` as a model's choices."""

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
    UNKNOWN = Status.UNKNOWN.value, "Unknown"


class BookingState(models.TextChoices):
    """How far the purchase at the carrier got; not a status."""

    NONE = "none", "self-tracked"  # made by the merchant's own checkpoints, never bought
    PENDING = "pending", "pending"  # asked, no answer yet
    BOOKED = "booked", "booked"
    FAILED = "failed", "failed"
    NEEDS_REVIEW = "needs_review", "needs review"  # nobody but a person can tell


# Booked and self-tracked shipments have a status and are units.
UNIT_STATES = (BookingState.NONE, BookingState.BOOKED)
# Of these nobody knows yet what the carrier has.
UNSETTLED = (BookingState.PENDING, BookingState.NEEDS_REVIEW)


class Warehouse(TenantRow):
    """A place of departure of the merchant's, and where returns go."""

    store = models.ForeignKey("apikeys.Store", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    name = models.CharField(max_length=100)
    address = models.JSONField(default=dict)
    return_address = models.JSONField(null=True, blank=True, help_text="Where returns go; empty: the place itself.")
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["merchant", "mode", "name"],
                condition=models.Q(is_active=True),
                name="warehouse_name_per_tenant",
            )
        ]
        indexes = [models.Index(fields=["merchant", "mode", "id"], name="warehouse_by_tenant")]

    def __str__(self) -> str:
        return self.name


class WarehouseRegistration(models.Model):
    """What one carrier's account calls a warehouse."""

    class State(models.TextChoices):
        PENDING = "pending", "pending"  # asked, no answer yet
        REGISTERED = "registered", "registered"
        FAILED = "failed", "failed"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    warehouse = models.ForeignKey(Warehouse, on_delete=models.CASCADE, related_name="registrations")
    credential = models.ForeignKey(Credential, on_delete=models.PROTECT, related_name="+")
    state = models.CharField(max_length=10, choices=State.choices, default=State.PENDING)
    carrier_warehouse_id = models.CharField(max_length=64, blank=True)
    failure = models.JSONField(null=True, blank=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["warehouse", "credential"], name="warehouse_once_per_credential"),
            # Whoever changed the one place would send the other's vans elsewhere.
            models.UniqueConstraint(
                fields=["credential", "carrier_warehouse_id"],
                condition=~models.Q(carrier_warehouse_id=""),
                name="carrier_warehouse_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.warehouse} at {self.credential}"


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
        indexes = [models.Index(fields=["id"], condition=models.Q(voided_at__isnull=True), name="orphan_not_voided")]

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


def label_path(label: Label, filename: str) -> str:
    """Where the file goes; a new name each time, so a rolled-back booking never overwrites another's file."""
    return f"labels/{label.shipment_id}/{uuid.uuid4()}/{filename}"


LABEL_TYPES = {"PDF": "application/pdf", "PNG": "image/png", "ZPL": "application/zpl"}
MANIFEST_TYPE = "application/pdf"


class Download(NamedTuple):
    """A stored file as it is handed out; ``file`` is empty until the carrier gives it out."""

    file: FieldFile
    content_type: str
    name: str


class Label(models.Model):
    """The printable file of a shipment."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    shipment = models.OneToOneField(Shipment, on_delete=models.CASCADE, related_name="label")
    format = models.CharField(max_length=8)
    size = models.CharField(max_length=8)
    file = models.FileField(
        upload_to=label_path, max_length=200, blank=True, help_text="Empty until the carrier gives it out."
    )
    carrier_url = models.CharField(max_length=2000, blank=True)
    manifest = models.FileField(upload_to=label_path, max_length=200, blank=True)
    manifest_url = models.CharField(max_length=2000, blank=True)
    fetch_at = models.DateTimeField(null=True, blank=True, help_text="When to ask the carrier for a missing file.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        indexes = [models.Index(fields=["fetch_at"], condition=models.Q(fetch_at__isnull=False), name="label_to_fetch")]

    def __str__(self) -> str:
        return f"label of {self.shipment}"

    @property
    def content_type(self) -> str:
        """Of its file."""
        return LABEL_TYPES.get(self.format, "application/octet-stream")

    @property
    def file_name(self) -> str:
        """As it is downloaded."""
        return f"{self.shipment.tracking_number}.{self.format.lower()}"

    @property
    def has_manifest(self) -> bool:
        """Whether the carrier gave out a manifest, fetched already or not yet."""
        return bool(self.manifest or self.manifest_url)

    def download(self, kind: str) -> Download:
        """The ``label`` or the ``manifest``."""
        if kind == "manifest":
            return Download(self.manifest, MANIFEST_TYPE, f"{self.shipment.tracking_number}-manifest.pdf")
        return Download(self.file, self.content_type, self.file_name)


class Checkpoint(TenantRow):
    """One scan or event on a shipment; never changed, but for the status of one whose code nobody knew."""

    class Source(models.TextChoices):
        MERCHANT = "merchant", "merchant"
        CARRIER = "carrier", "carrier"
        WAYBILL = "waybill", "Waybill"

    shipment = models.ForeignKey(Shipment, on_delete=models.PROTECT, related_name="checkpoints")
    source = models.CharField(max_length=8, choices=Source.choices)
    status = models.CharField(max_length=16, choices=StatusChoices.choices)
    code = models.CharField(max_length=64, help_text="The carrier's own code; the status where the merchant posted it.")
    description = models.CharField(max_length=500, blank=True)
    location = models.CharField(max_length=200, blank=True)
    details = models.JSONField(default=dict, blank=True)
    occurred_at = models.DateTimeField()
    occurred_text = models.CharField(max_length=64, blank=True, help_text="The time as it was told.")
    tz_assumed = models.BooleanField(default=False, help_text="The told time had no offset.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["occurred_at", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["shipment", "code", "occurred_at"],
                condition=models.Q(source="carrier"),
                name="carrier_scan_once",
            ),
            models.UniqueConstraint(
                fields=["shipment", "status", "occurred_at", "location"],
                condition=models.Q(source="merchant"),
                name="merchant_checkpoint_once",
            ),
        ]
        indexes = [
            models.Index(fields=["shipment", "occurred_at", "id"], name="checkpoint_by_time"),
            models.Index(fields=["code", "shipment"], condition=models.Q(status="unknown"), name="checkpoint_unknown"),
        ]

    def __str__(self) -> str:
        return f"{self.status} at {self.occurred_at:%Y-%m-%d %H:%M}"


PLACES = [(None, "not placed yet"), *(one for one in StatusChoices.choices if one[0] != StatusChoices.UNKNOWN)]


class StatusCode(Row):
    """A carrier's code that its adapter did not know when it was met, and the status that operations gave it."""

    carrier = models.CharField(max_length=20, editable=False)
    code = models.CharField(max_length=64, editable=False)
    status = models.CharField(
        max_length=16,
        choices=PLACES,
        null=True,
        help_text="Of every scan with this code that is unknown, old or to come. A scan that has one keeps it.",
    )
    example = models.CharField(max_length=500, blank=True, editable=False, help_text="As the carrier put it once.")
    first_seen_at = models.DateTimeField(default=timezone.now, editable=False)
    placed_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["carrier", "code"], name="status_code_once_per_carrier"),
            models.CheckConstraint(condition=~models.Q(status="unknown"), name="status_code_placed_as_a_known_one"),
        ]
        indexes = [models.Index(fields=["id"], condition=models.Q(status__isnull=True), name="status_code_to_place")]

    def __str__(self) -> str:
        return f"{self.carrier} {self.code}"


class Quote(TenantRow):
    """An offer with a price that a merchant was given."""

    carrier = models.CharField(max_length=20)
    credential = models.ForeignKey(Credential, on_delete=models.PROTECT, related_name="+")
    carrier_quote_id = models.CharField(max_length=64, blank=True)
    service_type = models.CharField(max_length=40)
    total_price = models.DecimalField(max_digits=16, decimal_places=4)
    currency = models.CharField(max_length=3)
    breakdown = models.JSONField(default=dict)
    transit_days = models.PositiveSmallIntegerField(null=True)
    estimated_delivery = models.DateTimeField(null=True)
    request = models.JSONField(default=dict)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["merchant", "mode", "id"], name="quote_by_tenant")]

    def __str__(self) -> str:
        return f"{self.carrier} {self.service_type}: {self.total_price} {self.currency}"


class Pickup(TenantRow):
    """A collection at the merchant's door."""

    class State(models.TextChoices):
        PENDING = "pending", "pending"  # asked, no answer yet
        SCHEDULED = "scheduled", "scheduled"
        COMPLETED = "completed", "completed"
        CANCELLED = "cancelled", "cancelled"
        FAILED = "failed", "failed"
        NEEDS_REVIEW = "needs_review", "needs review"

    carrier = models.CharField(max_length=20)
    credential = models.ForeignKey(Credential, on_delete=models.PROTECT, related_name="+")
    store = models.ForeignKey("apikeys.Store", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    state = models.CharField(max_length=12, choices=State.choices, default=State.PENDING)
    carrier_pickup_id = models.CharField(max_length=64, blank=True)
    confirmation_number = models.CharField(max_length=64, blank=True)
    scheduled_date = models.DateTimeField()
    window_start = models.CharField(max_length=5)
    window_end = models.CharField(max_length=5)
    address = models.JSONField(default=dict)
    packages_count = models.PositiveIntegerField()
    total_weight_kg = models.DecimalField(max_digits=10, decimal_places=3, null=True)
    request = models.JSONField(default=dict)
    carrier_details = models.JSONField(default=dict, blank=True)
    failure = models.JSONField(null=True, blank=True)
    shipments = models.ManyToManyField(Shipment, related_name="pickups", blank=True)
    completed_at = models.DateTimeField(null=True, blank=True)
    cancelled_at = models.DateTimeField(null=True, blank=True)
    cancel_reason = models.CharField(max_length=500, null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["credential", "carrier_pickup_id"],
                condition=~models.Q(carrier_pickup_id=""),
                name="pickup_once_per_credential",
            )
        ]
        indexes = [
            models.Index(fields=["merchant", "mode", "id"], name="pickup_by_tenant"),
            models.Index(fields=["merchant", "mode", "carrier_pickup_id"], name="pickup_by_carrier_id"),
            models.Index(fields=["merchant", "mode", "confirmation_number"], name="pickup_by_confirmation"),
            models.Index(fields=["created_at"], condition=models.Q(state="pending"), name="pickup_pending"),
        ]

    def __str__(self) -> str:
        return self.confirmation_number or str(self.id)


class _Tally(models.Model):
    """Rows of figures by key; a total is the sum of all rows of its key. Appended by triggers (``counting``)."""

    id = models.BigAutoField(primary_key=True)
    # No constraints: a row counts what a shipment's own constraints have let in.
    merchant = models.ForeignKey(
        "apikeys.Merchant", on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    mode = models.CharField(max_length=4, choices=Mode.choices)
    store = models.ForeignKey(
        "apikeys.Store",
        null=True,
        blank=True,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )
    carrier = models.CharField(max_length=20, blank=True)
    is_folded = models.BooleanField(default=False, help_text="The worker's sum of many rows.")

    objects: Any = TenantQuerySet.as_manager()
    KEYS: ClassVar[tuple[str, ...]]
    SUMS: ClassVar[tuple[str, ...]]

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return " ".join(str(getattr(self, name)) for name in (*self.KEYS, *self.SUMS))


class UnitTally(_Tally):
    """How many units, of what status."""

    KEYS = ("merchant_id", "mode", "store_id", "carrier", "status")
    SUMS = ("units", "checkpoints", "delivered", "delivery_seconds")

    status = models.CharField(max_length=16, choices=StatusChoices.choices, blank=True)
    units = models.BigIntegerField()
    checkpoints = models.BigIntegerField()
    delivered = models.BigIntegerField()
    delivery_seconds = models.BigIntegerField(help_text="From the first checkpoint to delivery, of all delivered.")

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "unit tallies"
        indexes = [
            models.Index(fields=["merchant", "mode"], name="unit_tally_by_tenant"),
            models.Index(fields=["id"], condition=models.Q(is_folded=False), name="unit_tally_to_fold"),
        ]


class DeliveryTally(_Tally):
    """How many deliveries, by day and lane, and how long they took."""

    KEYS = (
        "merchant_id", "mode", "store_id", "carrier", "origin_country", "destination_country", "day", "transit_days"
    )  # fmt: skip
    SUMS = ("deliveries", "transit_seconds", "promised", "on_time")

    origin_country = models.CharField(max_length=2, blank=True)
    destination_country = models.CharField(max_length=2, blank=True)
    day = models.DateField(help_text="Of delivery, in UTC.")
    transit_days = models.PositiveSmallIntegerField(help_text="Begun days from pickup to delivery.")
    deliveries = models.BigIntegerField()
    transit_seconds = models.BigIntegerField()
    promised = models.BigIntegerField(help_text="Of which an estimate was known.")
    on_time = models.BigIntegerField(help_text="Delivered no later than first estimated.")

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "delivery tallies"
        indexes = [
            models.Index(fields=["merchant", "mode", "day"], name="delivery_tally_by_day"),
            models.Index(fields=["id"], condition=models.Q(is_folded=False), name="delivery_tally_to_fold"),
        ]
