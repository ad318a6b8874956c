"""Files of shipments: stored with the booking, or fetched later if the carrier did not send them at once."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from django.conf import settings
from django.core.files.base import ContentFile
from django.db import transaction
from django.utils import timezone

from apikeys.db import leases
from apikeys.db.leases import Lease, Leases, Schedule
from apikeys.http import correlation
from carriers import types
from carriers.adapters.registry import adapter_class
from carriers.credentials import opening
from carriers.types import BookedShipment, Order, ShipmentRef
from carriers.types.errors import CarrierError
from shipping.common import refs
from shipping.models import Document, Shipment

log = logging.getLogger(__name__)
# Longer than a download can take.
LEASES = Schedule(Document, lasts=lambda: timedelta(minutes=2), until="fetch_at")
# Allows one change of an order at a time. The lease lasts longer than a request can take.
CHANGES = Leases(
    Shipment,
    lasts=lambda: timedelta(seconds=settings.REQUEST_DEADLINE_S + settings.CARRIER_TIMEOUT_S),
    until="changing_until",
    fence="",
)
_RETRY_AFTER = timedelta(minutes=1)
_GIVE_UP_AFTER = timedelta(days=2)
_MAX_FILES = 500  # of a shipment


def build_documents(shipment_id: uuid.UUID, booked: BookedShipment) -> list[Document]:
    """Store the files of a booking and return their rows, unsaved. There is at least a label's row.

    The files come first: a file without a row is only waste, a row without its file is a lost label.
    """
    found = list(booked.documents)
    if all(document.kind != "label" for document in found):
        found.append(types.Document(kind="label", format=""))
    return [_build(shipment_id, document) for document in found]


def save_documents(shipment: Shipment, rows: Sequence[Document]) -> None:
    """Save the rows of a booking. Files that the carrier can give later are due to be fetched."""
    can_fetch = "documents" in adapter_class(shipment.carrier).capabilities()
    rows = [*rows, *_build_missing_labels(shipment, rows)]
    for row in rows:
        if row.kind == "label":
            row.format = row.format or shipment.request.get("label_format") or "PDF"
            row.size = row.size or shipment.request.get("label_size") or "4x6"
        if not row.file and can_fetch:
            row.fetch_at = timezone.now()
    Document.objects.bulk_create(rows)


def _build_missing_labels(shipment: Shipment, rows: Sequence[Document]) -> list[Document]:
    """Return rows for the parcels without a label, if the carrier draws one for each parcel."""
    labels = {row.parcel: row for row in rows if row.kind == "label"}
    if 0 in labels:
        return []
    numbers = shipment.parcels.exclude(number__in=labels).values_list("number", flat=True)
    file_format = next(iter(labels.values())).format
    return [Document(shipment=shipment, parcel=number, kind="label", format=file_format) for number in numbers]


def store_attachments(shipment: Shipment, order: Order) -> None:
    """Store the merchant's own files of an order."""
    rows = [_build(shipment.id, document) for document in order.attachments]
    for row in rows:
        row.by_merchant = True
    Document.objects.bulk_create(rows)


def fetch_missing(*, limit: int = 20) -> int:
    """Fetch the files that are due. Returns the number of shipments with new files. A worker task."""
    _discard_after_lost_changes(limit)
    completed = set()
    for lease in LEASES.acquire_each(Document.objects.order_by("fetch_at"), limit=limit):
        with correlation.scope():
            if shipment_id := _fetch(lease):
                completed.add(shipment_id)
    return len(completed)


def discard_files(shipment: Shipment) -> None:
    """Discard files that show an outdated address, because the carrier draws new ones. Call in a transaction."""
    rows = list(Document.objects.filter(shipment=shipment).exclude(carrier_url=""))
    old = [(row.file.storage, row.file.name) for row in rows if row.file]
    # Not after the time by which ``refetch`` takes them.
    Document.objects.filter(id__in=[row.id for row in rows]).update(
        file="", created_at=timezone.now(), fetch_at=leases.now()
    )
    transaction.on_commit(lambda: [files.delete(name) for files, name in old])


def refetch(shipment: Shipment) -> None:
    """Fetch discarded files at once. The worker fetches what is not available yet."""
    for lease in LEASES.acquire_each(Document.objects.filter(shipment=shipment), limit=_MAX_FILES):
        _fetch(lease)


def documents_ref(shipment: Shipment) -> ShipmentRef:
    """Return a reference for the operation ``documents``: the stored URL of a kind is ``<kind>_url`` of its state."""
    ref = refs.shipment_ref(shipment)
    urls = {f"{row.kind}_url": row.carrier_url for row in shipment.documents.all() if row.carrier_url}
    return replace(ref, carrier_state={**urls, **ref.carrier_state})


def _discard_after_lost_changes(limit: int) -> None:
    """Discard the labels of orders whose change ended with its process: the carrier may have drawn a new label."""
    lost = Shipment.objects.filter(CHANGES.abandoned())
    for row in list(lost.order_by("changing_until")[:limit]):
        with transaction.atomic():
            if lost.filter(id=row.id).update(changing_until=None):
                discard_files(row)


def _fetch(lease: Lease) -> uuid.UUID | None:
    """Fetch one file. Returns the shipment's id if it is stored."""
    row = Document.objects.select_related("shipment__credential", "shipment__return_of").get(id=lease.pk)
    shipment, found = row.shipment, None
    try:
        adapter = opening.open_adapter(shipment.credential, merchant_id=shipment.merchant_id, subject_id=shipment.id)
        found = _store_found(row, adapter.documents(documents_ref(shipment), [row.kind]))
    except CarrierError as error:
        log.warning("label file not fetched", extra={"shipment": str(shipment.id), "error": str(error)})
    except Exception:  # one file that cannot be stored must not stop the others
        log.exception("label file not stored", extra={"shipment": str(shipment.id)})
    if found:
        # Changes nothing if the order was changed during the call: this is not its label then.
        stored = lease.update(file=row.file.name, format=row.format, size=row.size, parcel=row.parcel, fetch_at=None)
        return shipment.id if stored else None
    age = timezone.now() - row.created_at
    lease.update(fetch_at=timezone.now() + max(_RETRY_AFTER, age / 8) if age <= _GIVE_UP_AFTER else None)
    return None


def _store_found(row: Document, found: Sequence[types.Document]) -> bool:
    """Store the file of a row, and those of other parcels that have no row. Returns whether the row has its file.

    A row of the whole shipment takes the first parcel's file if the carrier draws one for each.
    """
    files = [document for document in found if document.content]
    own = next((one for one in files if one.parcel == row.parcel), None if row.parcel else next(iter(files), None))
    if own is None:
        return False
    if own.parcel != row.parcel:
        others = [_build(row.shipment_id, one) for one in files if one is not own]
        for other in others:
            other.size = other.size or row.size
        Document.objects.bulk_create(others)
    row.parcel, row.format, row.size = own.parcel, own.format, own.size or row.size
    _save_file(row, own.content)
    return True


def _build(shipment_id: uuid.UUID, document: types.Document) -> Document:
    """Store a document's file and return its row, unsaved. A file without content is due if it has a URL."""
    row = Document(
        shipment_id=shipment_id,
        parcel=document.parcel,
        kind=document.kind,
        format=document.format,
        size=document.size,
        copies=document.copies,
    )
    # A URL that is too long is dropped: its beginning would be of no use.
    if len(document.url) <= Document._meta.get_field("carrier_url").max_length:
        row.carrier_url = document.url
    if document.content:
        _save_file(row, document.content)
    elif row.carrier_url:
        row.fetch_at = timezone.now()
    return row


def _save_file(row: Document, content: bytes) -> None:
    row.file.save(f"{row.kind}.{row.format.lower()}", ContentFile(content), save=False)
