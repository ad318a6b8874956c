"""Close days at carriers that need it, and keep the manifests."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.core.files.base import ContentFile
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from apikeys.audit import events
from apikeys.db.tenancy import Tenant
from apikeys.http.errors import NotFound, ValidationFailed
from apikeys.http.text import number_key
from carriers.adapters.base import CarrierAdapter
from carriers.adapters.registry import adapter_class
from carriers.credentials import opening, selection
from carriers.models import Credential
from carriers.types import Manifest as ClosedDay
from carriers.types import ShipmentRef, Status
from carriers.types.errors import CarrierTimeout, OutcomeUnknown
from shipping.common import lookup, refs
from shipping.manifests.serializers import MAX_SHIPMENTS
from shipping.models import BookingState, Manifest, ManifestFile, Shipment
from shipping.models.event_types import MANIFEST_CREATED
from shipping.pickups.pickups import check_shipments

log = logging.getLogger(__name__)
_DAY = timedelta(days=1)


def close_day(tenant: Tenant, request: Mapping[str, Any]) -> Manifest:
    """Close a day for a validated ``ManifestRequestSerializer``, and store its manifest.

    Raises: ``CarrierUnsupported``; ``ValidationFailed`` naming each shipment that cannot be closed, or a day without
    any; ``CarrierTimeout`` if it is unknown whether the day is closed: the request may be repeated.
    """
    credential = selection.select_credential(tenant, request["carrier"])
    adapter = opening.open_adapter(credential, merchant_id=tenant.merchant_id)
    adapter.need("close_day")
    shipments = _select_shipments(tenant, credential, adapter, request)
    references = refs.shipment_refs(shipments)
    try:
        closed = adapter.close_day(request["day"], references)
    except OutcomeUnknown as error:
        raise CarrierTimeout(
            carrier=error.carrier, carrier_code=error.carrier_code, carrier_message=error.carrier_message
        ) from error
    return _store(tenant, credential, closed, _match(shipments, references, closed))


def get_manifest(tenant: Tenant, manifest_id: uuid.UUID) -> Manifest:
    """Return a manifest with its files. Raises ``NotFound``."""
    row = _with_parts(Manifest.objects.of(tenant)).filter(id=manifest_id).first()
    if row is None:
        raise NotFound
    return row


def get_file(tenant: Tenant, manifest_id: uuid.UUID, document_id: uuid.UUID) -> ManifestFile:
    """Return a file of a manifest. Raises ``NotFound``."""
    rows = ManifestFile.objects.filter(manifest__in=Manifest.objects.of(tenant).filter(id=manifest_id))
    row = rows.select_related("manifest").filter(id=document_id).first()
    if row is None or not row.file.storage.exists(row.file.name):
        raise NotFound
    return row


def filter_manifests(tenant: Tenant, filters: Mapping[str, Any]) -> QuerySet[Manifest]:
    """Select the merchant's manifests by ``carrier`` and ``day``. Raises ``ValidationFailed`` on ``carrier``."""
    rows = _with_parts(Manifest.objects.of(tenant))
    if "carrier" in filters:
        rows = rows.filter(carrier=adapter_class(filters["carrier"]).slug)
    return rows.filter(day=filters["day"]) if "day" in filters else rows


def _with_parts(rows: QuerySet[Manifest]) -> QuerySet[Manifest]:
    return rows.prefetch_related("files", "shipments")


def _select_shipments(
    tenant: Tenant, credential: Credential, adapter: CarrierAdapter, request: Mapping[str, Any]
) -> list[Shipment]:
    if names := request.get("shipment_ids"):
        found = lookup.find_shipments(tenant, names, carrier=credential.carrier)
        return check_shipments(credential, names, found)
    shipments = _open_shipments(tenant, credential, adapter, request["day"])
    if not shipments:
        text = _("No shipment of this day is open.")
        raise ValidationFailed(details={"day": [text]})
    if len(shipments) > MAX_SHIPMENTS:
        text = _("More than %d shipments are open. Close them in parts, with shipment_ids.") % MAX_SHIPMENTS
        raise ValidationFailed(details={"day": [text]})
    return shipments


def _open_shipments(tenant: Tenant, credential: Credential, adapter: CarrierAdapter, day: date) -> list[Shipment]:
    """Return the shipments of a local day that are in no manifest, at most one more than a manifest takes."""
    start = datetime.combine(day, time.min, UTC)
    near = (start - _DAY, start + 2 * _DAY)
    rows = Shipment.objects.of(tenant).filter(
        Q(ship_at__range=near) | Q(ship_at=None, created_at__range=near),
        credential=credential,
        booking_state=BookingState.BOOKED,
        manifests=None,
    )
    rows = rows.exclude(status=Status.CANCELLED).select_related("return_of").order_by("id")
    shipments = list(rows[: 3 * MAX_SHIPMENTS])
    return [row for row in shipments if _local_day(row, adapter) == day][: MAX_SHIPMENTS + 1]


def _local_day(shipment: Shipment, adapter: CarrierAdapter) -> date:
    """Return the day on which parcels are handed over: as ordered, else of the purchase in the carrier's zone."""
    ordered = refs.bought_order(shipment).ship_at
    return ordered.date() if ordered else shipment.created_at.astimezone(adapter.zone).date()


def _match(shipments: Sequence[Shipment], references: Sequence[ShipmentRef], closed: ClosedDay) -> list[Shipment]:
    """Return the shipments whose number, or a parcel's, the carrier has closed."""
    numbers = {number_key(number) for number in closed.closed}
    found = []
    for shipment, ref in zip(shipments, references, strict=True):
        own = {ref.tracking_number, *(parcel.tracking_number for parcel in ref.parcels)} - {""}
        if numbers & {number_key(number) for number in own}:
            found.append(shipment)
    return found


def _store(tenant: Tenant, credential: Credential, closed: ClosedDay, shipments: Sequence[Shipment]) -> Manifest:
    row = Manifest(
        merchant_id=tenant.merchant_id,
        mode=tenant.mode,
        store_id=tenant.store_id,
        carrier=credential.carrier,
        credential=credential,
        day=closed.day,
    )
    # The files come first: a file without a row is only waste.
    files = [_build_file(row, one.format, one.content) for one in closed.documents if one.content]
    with transaction.atomic():
        row.save(force_insert=True)
        ManifestFile.objects.bulk_create(files)
        row.shipments.set(shipments)
        data = {
            "manifest_id": str(row.id),
            "carrier": adapter_class(row.carrier).name,
            "day": row.day.isoformat(),
            "shipment_ids": [str(shipment.id) for shipment in shipments],
        }
        events.record(MANIFEST_CREATED, tenant=row.tenant, subject_id=row.id, data=data)
    return get_manifest(tenant, row.id)


def _build_file(manifest: Manifest, file_format: str, content: bytes) -> ManifestFile:
    file = ManifestFile(manifest=manifest, format=file_format)
    file.file.save(f"manifest.{file_format.lower()}", ContentFile(content), save=False)
    return file
