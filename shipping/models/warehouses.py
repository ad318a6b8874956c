"""Warehouses and their registrations at carriers."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from apikeys.db.search import CaseKey
from apikeys.db.tenancy import TenantRow, new_id
from carriers.models import Credential


class Warehouse(TenantRow):
    """A merchant's address that shipments leave from, and optionally another one for returns."""

    store = models.ForeignKey("apikeys.Store", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    name = models.CharField(max_length=100)
    address = models.JSONField(default=dict)
    return_address = models.JSONField(
        null=True, blank=True, help_text="Address for returns; empty: the warehouse's own address."
    )
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
        indexes = [
            models.Index(CaseKey("name"), name="warehouse_name_prefix"),
            models.Index(fields=["merchant", "mode", "id"], name="warehouse_by_tenant"),
        ]

    def __str__(self) -> str:
        return self.name


class WarehouseRegistration(models.Model):
    """A warehouse as registered with a carrier, under one credential."""

    class State(models.TextChoices):
        PENDING = "pending", "pending"  # requested, no answer yet
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
            # Two warehouses under one carrier id: changing one would redirect the other's pickups.
            models.UniqueConstraint(
                fields=["credential", "carrier_warehouse_id"],
                condition=~models.Q(carrier_warehouse_id=""),
                name="carrier_warehouse_once",
            ),
        ]
        indexes = [
            models.Index(CaseKey("carrier_warehouse_id"), name="registration_number_prefix"),
        ]

    def __str__(self) -> str:
        return f"{self.warehouse} at {self.credential}"
