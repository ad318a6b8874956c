"""Counts of units and deliveries."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models

from apikeys.db.tenancy import Mode, TenantQuerySet
from shipping.models.states import StatusChoices


class _Tally(models.Model):
    """Counts by key. A total is the sum of all rows of its key. Triggers append the rows (``triggers``)."""

    id = models.BigAutoField(primary_key=True)
    # No constraints: the shipment's own have checked these values.
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
    is_folded = models.BooleanField(default=False, help_text="The sum of many rows, made by the worker.")

    objects: Any = TenantQuerySet.as_manager()
    KEYS: ClassVar[tuple[str, ...]]
    SUMS: ClassVar[tuple[str, ...]]

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return " ".join(str(getattr(self, name)) for name in (*self.KEYS, *self.SUMS))


class UnitTally(_Tally):
    """Number of units by status."""

    KEYS = ("merchant_id", "mode", "store_id", "carrier", "status")
    SUMS = ("units", "checkpoints", "delivered", "delivery_seconds")

    status = models.CharField(max_length=16, choices=StatusChoices.choices, blank=True)
    units = models.BigIntegerField()
    checkpoints = models.BigIntegerField()
    delivered = models.BigIntegerField()
    delivery_seconds = models.BigIntegerField(
        help_text="From first checkpoint to delivery, summed over delivered units."
    )

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "unit tallies"
        indexes = [
            models.Index(fields=["merchant", "mode"], name="unit_tally_by_tenant"),
            models.Index(fields=["id"], condition=models.Q(is_folded=False), name="unit_tally_to_fold"),
        ]


class DeliveryTally(_Tally):
    """Number of deliveries by day and route, and their transit times."""

    KEYS = (
        "merchant_id", "mode", "store_id", "carrier", "origin_country", "destination_country", "day", "transit_days"
    )  # fmt: skip
    SUMS = ("deliveries", "transit_seconds", "promised", "on_time")

    origin_country = models.CharField(max_length=2, blank=True)
    destination_country = models.CharField(max_length=2, blank=True)
    day = models.DateField(help_text="Day of delivery in UTC.")
    transit_days = models.PositiveSmallIntegerField(help_text="Started days from pickup to delivery.")
    deliveries = models.BigIntegerField()
    transit_seconds = models.BigIntegerField()
    promised = models.BigIntegerField(help_text="Deliveries with an estimate.")
    on_time = models.BigIntegerField(help_text="Delivered by the first estimate.")

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "delivery tallies"
        indexes = [
            models.Index(fields=["merchant", "mode", "day"], name="delivery_tally_by_day"),
            models.Index(fields=["id"], condition=models.Q(is_folded=False), name="delivery_tally_to_fold"),
        ]
