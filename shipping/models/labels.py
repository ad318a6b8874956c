"""Label files."""

from __future__ import annotations

import uuid
from typing import NamedTuple

from django.db import models
from django.db.models.fields.files import FieldFile
from django.utils import timezone

from apikeys.db.tenancy import new_id
from shipping.models.shipments import Shipment


def label_path(label: Label, filename: str) -> str:
    """Return a new storage path, so that a rolled-back booking never overwrites another label's file."""
    return f"labels/{label.shipment_id}/{uuid.uuid4()}/{filename}"


LABEL_TYPES = {"PDF": "application/pdf", "PNG": "image/png", "ZPL": "application/zpl"}
MANIFEST_TYPE = "application/pdf"


class Download(NamedTuple):
    """A stored file for download. ``file`` is empty until the carrier provides it."""

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
        upload_to=label_path, max_length=200, blank=True, help_text="Empty until the carrier provides it."
    )
    carrier_url = models.CharField(max_length=2000, blank=True)
    manifest = models.FileField(upload_to=label_path, max_length=200, blank=True)
    manifest_url = models.CharField(max_length=2000, blank=True)
    fetch_at = models.DateTimeField(null=True, blank=True, help_text="When to fetch a missing file from the carrier.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        indexes = [models.Index(fields=["fetch_at"], condition=models.Q(fetch_at__isnull=False), name="label_to_fetch")]

    def __str__(self) -> str:
        return f"label of {self.shipment}"

    @property
    def content_type(self) -> str:
        """Return the media type of the file."""
        return LABEL_TYPES.get(self.format, "application/octet-stream")

    @property
    def file_name(self) -> str:
        """Return the file name for downloads."""
        return f"{self.shipment.tracking_number}.{self.format.lower()}"

    @property
    def has_manifest(self) -> bool:
        """Return whether the carrier provides a manifest, fetched or not."""
        return bool(self.manifest or self.manifest_url)

    def download(self, kind: str) -> Download:
        """Return the ``label`` or the ``manifest`` for download."""
        if kind == "manifest":
            return Download(self.manifest, MANIFEST_TYPE, f"{self.shipment.tracking_number}-manifest.pdf")
        return Download(self.file, self.content_type, self.file_name)
