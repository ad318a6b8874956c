"""Manifests: closed days, with the files that the carrier made of them."""

from __future__ import annotations

import uuid

from django.db import models
from django.utils import timezone

from apikeys.db.tenancy import Row, TenantRow
from carriers.models import Credential
from shipping.models.shipments import Shipment


class Manifest(TenantRow):
    """A day of shipments that was closed at its carrier."""

    carrier = models.CharField(max_length=20)
    credential = models.ForeignKey(Credential, on_delete=models.PROTECT, related_name="+")
    store = models.ForeignKey("apikeys.Store", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    day = models.DateField(help_text="The calendar day where the parcels are.")
    shipments = models.ManyToManyField(Shipment, related_name="manifests", blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["merchant", "mode", "id"], name="manifest_by_tenant")]

    def __str__(self) -> str:
        return f"{self.carrier} {self.day}"


def manifest_path(file: ManifestFile, filename: str) -> str:
    """Return a new storage path."""
    return f"manifests/{file.manifest_id}/{uuid.uuid4()}/{filename}"


class ManifestFile(Row):
    """A file of a closed day."""

    manifest = models.ForeignKey(Manifest, on_delete=models.CASCADE, related_name="files")
    format = models.CharField(max_length=8)
    file = models.FileField(upload_to=manifest_path, max_length=200)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.format} of {self.manifest}"
