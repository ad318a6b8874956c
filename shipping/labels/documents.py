"""Label and manifest files: stored with the booking, or fetched later if the carrier sent only their URLs."""

from __future__ import annotations

import logging
import uuid
from dataclasses import replace
from datetime import timedelta

from django.conf import settings
from django.core.files.base import ContentFile
from django.db import transaction
from django.utils import timezone

from apikeys.db import leases
from apikeys.db.leases import Lease, Leases, Schedule
from apikeys.http import correlation
from carriers.credentials import opening
from carriers.types import BookedShipment, Document
from carriers.types.errors import CarrierError
from shipping.common import refs
from shipping.models import Label, Shipment

log = logging.getLogger(__name__)
# Longer than a download can take.
LEASES = Schedule(Label, lasts=lambda: timedelta(minutes=2), until="fetch_at")
# Allows one change of an order at a time. The lease lasts longer than a request can take.
CHANGES = Leases(
    Shipment,
    lasts=lambda: timedelta(seconds=settings.REQUEST_DEADLINE_S + settings.CARRIER_TIMEOUT_S),
    until="changing_until",
    fence="",
)
_RETRY_AFTER = timedelta(minutes=1)
_GIVE_UP_AFTER = timedelta(days=2)


def build_label(shipment_id: uuid.UUID, booked: BookedShipment) -> Label:
    """Store the files of a label and return its row, unsaved.

    The files come first: a file without a row is only waste, a row without its file is a lost label.
    """
    found = {document.kind: document for document in reversed(booked.documents)}
    file, manifest = (found.get(kind, Document(kind=kind, format="PDF")) for kind in ("label", "manifest"))
    label = Label(shipment_id=shipment_id, format=file.format, size=file.size)
    # A URL that is too long is dropped: its beginning would be of no use.
    max_length = Label._meta.get_field("carrier_url").max_length
    label.carrier_url, label.manifest_url = (
        document.url if len(document.url) <= max_length else "" for document in (file, manifest)
    )
    if file.content:
        _save_label_file(label, file.content)
    if manifest.content:
        _save_manifest(label, manifest.content)
    if _is_incomplete(label):
        label.fetch_at = timezone.now()
    return label


def fetch_missing(*, limit: int = 20) -> int:
    """Fetch the files that are due. Returns the number of labels completed. A worker task."""
    _discard_after_lost_changes(limit)
    completed = 0
    for lease in LEASES.acquire_each(Label.objects.order_by("fetch_at"), limit=limit):
        with correlation.scope():
            completed += _fetch(lease)
    return completed


def discard_files(shipment: Shipment) -> None:
    """Discard a label that shows an outdated address, because the carrier draws a new one. Call in a transaction."""
    label = Label.objects.filter(shipment=shipment).exclude(carrier_url="").first()
    if label is None:
        return
    old = [(file.storage, file.name) for file in (label.file, label.manifest) if file]
    label.file, label.manifest, label.created_at = "", "", timezone.now()
    label.fetch_at = leases.now()  # not after the time by which ``refetch`` takes it
    label.save(update_fields=["file", "manifest", "created_at", "fetch_at"])
    transaction.on_commit(lambda: [files.delete(name) for files, name in old])


def refetch(shipment: Shipment) -> None:
    """Fetch discarded files at once. The worker fetches what is not available yet."""
    if lease := LEASES.acquire(Label.objects.filter(shipment=shipment)):
        _fetch(lease)


def _discard_after_lost_changes(limit: int) -> None:
    """Discard the labels of orders whose change ended with its process: the carrier may have drawn a new label."""
    lost = Shipment.objects.filter(CHANGES.abandoned())
    for row in list(lost.order_by("changing_until")[:limit]):
        with transaction.atomic():
            if lost.filter(id=row.id).update(changing_until=None):
                discard_files(row)


def _fetch(lease: Lease) -> bool:
    label = Label.objects.select_related("shipment__credential").get(id=lease.pk)
    shipment = label.shipment
    try:
        adapter = opening.open_adapter(shipment.credential, merchant_id=shipment.merchant_id, subject_id=shipment.id)
        urls = {"label_url": label.carrier_url, "manifest_url": label.manifest_url}
        ref = refs.shipment_ref(shipment)
        ref = replace(ref, carrier_state={**urls, **ref.carrier_state})
        if not label.file:
            _save_label_file(label, adapter.documents(ref, ["label"])[0].content)
        if label.manifest_url and not label.manifest:
            _save_manifest(label, adapter.documents(ref, ["manifest"])[0].content)
    except CarrierError as error:
        log.warning("label file not fetched", extra={"shipment": str(shipment.id), "error": str(error)})
    except Exception:  # one label that cannot be stored must not stop the others
        log.exception("label file not stored", extra={"shipment": str(shipment.id)})
    is_incomplete = _is_incomplete(label)
    gives_up = timezone.now() - label.created_at > _GIVE_UP_AFTER
    again = timezone.now() + _RETRY_AFTER if is_incomplete and not gives_up else None
    # Changes nothing if the order was changed during the call: this is not its label then.
    stored = lease.update(file=label.file.name or "", manifest=label.manifest.name or "", fetch_at=again)
    return stored and not is_incomplete


def _is_incomplete(label: Label) -> bool:
    return (not label.file and bool(label.carrier_url)) or (not label.manifest and bool(label.manifest_url))


def _save_label_file(label: Label, content: bytes) -> None:
    label.file.save(f"label.{label.format.lower()}", ContentFile(content), save=False)


def _save_manifest(label: Label, content: bytes) -> None:
    label.manifest.save("manifest.pdf", ContentFile(content), save=False)
