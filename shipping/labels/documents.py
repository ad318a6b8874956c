"""Label files: stored with the booking, or fetched later where the carrier gave out only their address."""

from __future__ import annotations

import logging
import uuid
from datetime import timedelta

from django.conf import settings
from django.core.files.base import ContentFile
from django.db import transaction
from django.utils import timezone

from apikeys.db import leases
from apikeys.db.leases import Lease, Leases, Schedule
from apikeys.http import correlation
from carriers.credentials import opening
from carriers.types import BookedLabel
from carriers.types.errors import CarrierError
from shipping.models import Label, Shipment

log = logging.getLogger(__name__)
# Longer than a download can take.
LEASES = Schedule(Label, lasts=lambda: timedelta(minutes=2), until="fetch_at")
# One request at a time changes an order at its carrier. Longer than a request can take.
CHANGES = Leases(
    Shipment,
    lasts=lambda: timedelta(seconds=settings.REQUEST_DEADLINE_S + settings.CARRIER_TIMEOUT_S),
    until="changing_until",
    fence="",
)
_AGAIN = timedelta(minutes=1)
_GIVE_UP = timedelta(days=2)


def made(shipment_id: uuid.UUID, booked: BookedLabel) -> Label:
    """The label's row, not saved yet, with its files stored.

    The files go first: a file without a row is rubbish, a row without its file is a lost label.
    """
    label = Label(shipment_id=shipment_id, format=booked.label_format, size=booked.label_size)
    label.carrier_url, label.manifest_url = _kept(booked.carrier_label_url), _kept(booked.carrier_manifest_url)
    if booked.content:
        _keep(label, booked.content)
    if booked.manifest:
        label.manifest.save("manifest.pdf", ContentFile(booked.manifest), save=False)
    if _lacks_file(label):
        label.fetch_at = timezone.now()
    return label


def fetch_missing(*, limit: int = 20) -> int:
    """Ask carriers for files that are due; how many labels were completed."""
    _forget_after_killed_changes(limit)
    completed = 0
    for lease in LEASES.acquire_each(Label.objects.order_by("fetch_at"), limit=limit):
        with correlation.scope():
            completed += _fetch(lease)
    return completed


def _forget_after_killed_changes(limit: int) -> None:
    """Of an order whose change nobody lived to store: its carrier may have taken it, and drawn the label anew."""
    killed = Shipment.objects.filter(CHANGES.abandoned())
    for row in list(killed.order_by("changing_until")[:limit]):
        with transaction.atomic():
            if killed.filter(id=row.id).update(changing_until=None):
                forget(row)


def forget(shipment: Shipment) -> None:
    """The carrier draws the label anew: what is stored shows another address. To be called in a transaction."""
    label = Label.objects.filter(shipment=shipment).exclude(carrier_url="").first()
    if label is None:
        return
    old = [(file.storage, file.name) for file in (label.file, label.manifest) if file]
    label.file, label.manifest, label.created_at = "", "", timezone.now()
    label.fetch_at = leases.now()  # not after the time by which ``fetch_anew`` takes it
    label.save(update_fields=["file", "manifest", "created_at", "fetch_at"])
    transaction.on_commit(lambda: [files.delete(name) for files, name in old])


def fetch_anew(shipment: Shipment) -> None:
    """What was forgotten, at once; what cannot be had now the worker fetches."""
    if lease := LEASES.acquire(Label.objects.filter(shipment=shipment)):
        _fetch(lease)


def _fetch(lease: Lease) -> bool:
    label = Label.objects.select_related("shipment__credential").get(id=lease.pk)
    shipment = label.shipment
    try:
        adapter = opening.open_adapter(shipment.credential, merchant_id=shipment.merchant_id, subject_id=shipment.id)
        if not label.file:
            _keep(label, adapter.label_file(label.carrier_url))
        if label.manifest_url and not label.manifest:
            label.manifest.save("manifest.pdf", ContentFile(adapter.label_file(label.manifest_url)), save=False)
    except CarrierError as error:
        log.warning("label file not fetched", extra={"shipment": str(shipment.id), "error": str(error)})
    except Exception:  # one label that cannot be stored must not keep the others from it
        log.exception("label file not stored", extra={"shipment": str(shipment.id)})
    lacks = _lacks_file(label)
    given_up = timezone.now() - label.created_at > _GIVE_UP
    again = timezone.now() + _AGAIN if lacks and not given_up else None
    # Unless the order was changed meanwhile: then this is not its label.
    stored = lease.update(file=label.file.name or "", manifest=label.manifest.name or "", fetch_at=again)
    return stored and not lacks


def _kept(url: str) -> str:
    """Whole or not at all: the beginning of an address is none."""
    return url if len(url) <= Label._meta.get_field("carrier_url").max_length else ""


def _lacks_file(label: Label) -> bool:
    return (not label.file and bool(label.carrier_url)) or (not label.manifest and bool(label.manifest_url))


def _keep(label: Label, content: bytes) -> None:
    label.file.save(f"label.{label.format.lower()}", ContentFile(content), save=False)
