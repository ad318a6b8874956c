"""Files of shipments: labels, manifests, invoices and others."""

from __future__ import annotations

import uuid

from django.db import models
from django.utils import timezone

from apikeys.db.tenancy import new_id
from shipping.models.shipments import Shipment

LABEL_TYPES = {
    "PDF": "application/pdf",
    "PNG": "image/png",
    "GIF": "image/gif",
    "ZPL": "application/zpl",
    "EPL": "application/octet-stream",
}
DOCUMENT_TYPES = LABEL_TYPES | {"TIFF": "image/tiff", "HTML": "text/html"}
MANIFEST_TYPE = "application/pdf"


def document_path(document: Document, filename: str) -> str:
    """Return a new storage path, so that a rolled-back booking never overwrites another document's file."""
    return f"labels/{document.shipment_id}/{uuid.uuid4()}/{filename}"


class Document(models.Model):
    """A file of a shipment, which the carrier made or the merchant has attached to the order."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    shipment = models.ForeignKey(Shipment, on_delete=models.CASCADE, related_name="documents")
    parcel = models.PositiveSmallIntegerField(default=0, help_text="Number of its parcel; 0: the whole shipment.")
    kind = models.CharField(max_length=12, help_text="Label, invoice, cn23, qr, receipt, manifest, pod or other.")
    format = models.CharField(max_length=8)
    size = models.CharField(max_length=8, blank=True, help_text="Of a label: inches such as 4x6, or A4, A5, A6.")
    copies = models.PositiveSmallIntegerField(default=1, help_text="How many to print.")
    by_merchant = models.BooleanField(
        default=False, db_default=False, help_text="The merchant has attached it to the order."
    )
    file = models.FileField(
        upload_to=document_path, max_length=200, blank=True, help_text="Empty until the carrier provides it."
    )
    carrier_url = models.CharField(max_length=2000, blank=True)
    fetch_at = models.DateTimeField(null=True, blank=True, help_text="When to fetch a missing file from the carrier.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["parcel", "id"]
        indexes = [
            models.Index(fields=["fetch_at"], condition=models.Q(fetch_at__isnull=False), name="document_to_fetch")
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.shipment}"

    @property
    def content_type(self) -> str:
        """Return the media type of the file."""
        return DOCUMENT_TYPES.get(self.format, "application/octet-stream")

    @property
    def file_name(self) -> str:
        """Return the file name for downloads."""
        return name_file(self.shipment, self.kind, self.format, self.parcel)


def name_file(shipment: Shipment, kind: str, file_format: str, parcel: int = 0) -> str:
    """Return the name of a shipment's file for downloads."""
    parts = [shipment.tracking_number, "" if kind == "label" else kind, str(parcel or "")]
    return f"{'-'.join(filter(None, parts))}.{file_format.lower()}"
