"""Look up a merchant's shipments by any of their names."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F, QuerySet
from django.db.models.lookups import Exact
from django.utils import timezone
from django.utils.translation import gettext as _

from apikeys.db.search import fold_number
from apikeys.db.tenancy import Tenant
from apikeys.http.errors import Conflict, ShipmentNotFound, UnsupportedOperation, ValidationFailed, WaybillError
from apikeys.http.text import normalize_identifier, number_key
from carriers.adapters.base import CarrierAdapter
from carriers.adapters.registry import adapter_class
from carriers.credentials import opening
from shipping.models import UNIT_STATES, UNSETTLED, BookingState, Orphan, Parcel, Shipment, ShipmentSearch

# Rows of all merchants that one search reads.
_MAX_SEARCHED = 1000
# The lookup of each kind of name; each has an index.
_LOOKUPS = {
    "tracking_number": "tracking_number__any_case",
    "carrier_shipment_id": "carrier_shipment_id",
    "waybill_number": "waybill_number",
}
# Carriers reuse a tracking number after this time at the earliest.
REUSED_AFTER = timedelta(days=28)
# An unsettled purchase makes the owner of a number doubtful for this time only: scans wait for less than a week.
_UNSETTLED_FOR = timedelta(days=2)


def get_shipment(tenant: Tenant, name: str, *, carrier: str = "") -> Shipment:
    """Return a shipment by our id, tracking number, carrier's shipment id, generated number, or a parcel's number.

    If several share a number, the newest is returned. ``carrier`` (a slug) narrows the search.
    Raises: ``ShipmentNotFound``, also for another merchant's; ``ValidationFailed`` if the carrier has no such numbers.
    """
    name = clean_name(name)
    rows = Shipment.objects.of(tenant).order_by(exact_first(name), "-id")
    if carrier:
        rows = rows.filter(carrier=carrier)
    conditions: list[dict[str, object]] = [{lookup: name} for lookup in _LOOKUPS.values()] if name else []
    if is_id(name):
        conditions.insert(0, {"id": uuid.UUID(name)})
    for condition in conditions:
        if shipment := rows.filter(**condition).first():
            newer = _find_newer_parcels(rows, {name: shipment})
            return rows.get(id=newer[name]) if newer else shipment
    if found := _search(rows, [name]):
        return rows.get(id=found[name])
    raise describe_missing(name, carrier)


def describe_missing(name: str, carrier: str) -> WaybillError:
    """Return the error for a name that no shipment has: a wrong format, if the carrier (a slug) has no such numbers."""
    # Only after the search, because our ids and the carrier's shipment ids are names of a shipment too.
    if not carrier or is_id(name) or adapter_class(carrier).is_number(name):
        return ShipmentNotFound()
    return ValidationFailed(details={"tracking_number": [_("Invalid tracking number format")]})


def find_shipments(tenant: Tenant, names: Iterable[str], *, carrier: str = "") -> dict[str, Shipment]:
    """Return shipments, with their credentials, by the given names; unknown names are left out.

    Takes one query per kind of name.
    """
    rows = Shipment.objects.of(tenant)
    if carrier:
        rows = rows.filter(carrier=carrier)
    wanted = {name: cleaned for name in names if (cleaned := clean_name(name))}
    possible = {name: uuid.UUID(cleaned) for name, cleaned in wanted.items() if is_id(cleaned)}
    known = set(rows.filter(id__in=possible.values()).values_list("id", flat=True))
    ids = {name: id_ for name, id_ in possible.items() if id_ in known}
    for column, lookup in _LOOKUPS.items():
        left = {name: number_key(cleaned) for name, cleaned in wanted.items() if name not in ids}
        texts = [wanted[name] for name in left]
        # Ordered, so that the newest of several with one number stays in the dictionary.
        selected = rows.filter(**{f"{lookup}_in" if "__" in lookup else f"{lookup}__in": texts}).order_by("id")
        stored = list(selected.values_list(column, "id"))
        by_text, by_key = dict(stored), {number_key(text): id_ for text, id_ in stored}
        ids |= {name: by_text.get(wanted[name], by_key[key]) for name, key in left.items() if key in by_key}
    ids |= _search(rows, [name for name in wanted if name not in ids])
    rows = rows.select_related("credential")
    found = rows.in_bulk(ids.values())
    if newer := _find_newer_parcels(rows, {name: found[id_] for name, id_ in ids.items() if id_ in found}):
        ids |= newer
        found |= rows.in_bulk(newer.values())
    return {name: found[id_] for name, id_ in ids.items() if id_ in found}


def find_unit(tenant: Tenant, name: str) -> Shipment | None:
    """Return a shipment that has a status, so a booked or self-tracked one, by any of its names."""
    try:
        shipment = get_shipment(tenant, name)
    except ShipmentNotFound:
        return None
    return shipment if shipment.booking_state in UNIT_STATES else None


def resolve_numbers(
    credential_id: uuid.UUID, numbers: Iterable[str], *, at: datetime | None = None, since: datetime | None = None
) -> dict[str, uuid.UUID]:
    """Return the id of the shipment that each tracking number identifies at the carrier: its newest booking.

    The number may be one parcel's of several.

    Carriers reuse numbers after a time, and with a shared credential perhaps for another merchant's parcel. So an old
    booking is left out while a purchase with the credential is unsettled, because that may have its number.

    The numbers may differ from the stored ones in case and blanks.

    Args:
        at: Resolve the numbers as of this time. None: now.
        since: Ignore earlier bookings.
    """
    keys = {number: number_key(number) for number in numbers}
    rows = Shipment.objects.filter(credential_id=credential_id, booking_state=BookingState.BOOKED)
    if at:
        rows = rows.filter(created_at__lte=at)
    if since:
        rows = rows.filter(created_at__gte=since)
    at = at or timezone.now()
    wanted = set(keys.values()) - {""}
    named = rows.filter(tracking_number__any_case_in=wanted).order_by("id")
    columns = named.values_list("tracking_number", "id", "created_at")
    newest = {number_key(number): (id_, created_at) for number, id_, created_at in columns}
    # A number of a recent booking is not reused yet, so most numbers need no second query.
    if rest := [key for key in wanted if key not in newest or newest[key][1] < at - REUSED_AFTER]:
        parcels = numbered_parcels().filter(tracking_number__any_case_in=rest, shipment__in=rows)
        for number, *row in parcels.values_list("tracking_number", "shipment_id", "shipment__created_at"):
            key = number_key(number)
            newest[key] = max(newest.get(key, tuple(row)), tuple(row))
    old = [key for key, (_id, created_at) in newest.items() if created_at < at - REUSED_AFTER]
    doubtful = _possibly_reused(credential_id, old, at) if old else set()
    return {number: newest[key][0] for number, key in keys.items() if key in newest and key not in doubtful}


def numbered_parcels() -> QuerySet[Parcel]:
    """Select the parcels with a number of their own; the index of numbers has only these."""
    return Parcel.objects.exclude(tracking_number="").order_by()


def owns_number(shipment: Shipment) -> bool:
    """Return whether the tracking number still identifies the shipment; the carrier may have reused it."""
    return shipment.id in resolve_numbers(shipment.credential_id, [shipment.tracking_number]).values()


def has_unsettled_purchase(credential_id: uuid.UUID, at: datetime) -> bool:
    """Return whether a purchase that started before ``at``, in the last two days, is not settled yet."""
    unsettled = Shipment.objects.filter(credential_id=credential_id, booking_state__in=UNSETTLED)
    return unsettled.filter(created_at__lte=at, created_at__gt=timezone.now() - _UNSETTLED_FOR).exists()


def clean_name(name: str) -> str:
    """Return a name of a path or query as it is stored: trimmed, in NFC. Empty if it has an invisible character."""
    try:
        return normalize_identifier(name)
    except ValueError:
        return ""


def exact_first(number: str) -> Any:
    """Return an ordering by which the same tracking number comes before those that differ in case."""
    return Exact(F("tracking_number"), number).desc()


def is_id(name: str) -> bool:
    """Return whether a name has the form of our ids."""
    try:
        uuid.UUID(name)
    except ValueError:
        return False
    return True


def open_adapter(shipment: Shipment) -> CarrierAdapter:
    """Open the adapter of the credential that a shipment was booked with."""
    return opening.open_adapter(shipment.credential, merchant_id=shipment.merchant_id, subject_id=shipment.id)


def require_booking(shipment: Shipment) -> None:
    """Check that the carrier can be called about a shipment.

    Raises ``UnsupportedOperation`` for a self-tracked unit, and ``Conflict`` if the carrier has not confirmed the
    booking, or if its number identifies another parcel there now.
    """
    if not shipment.carrier:
        raise UnsupportedOperation(_("This unit is tracked by your own checkpoints; no carrier has booked it."))
    if shipment.booking_state in (BookingState.PENDING, BookingState.NEEDS_REVIEW):
        raise Conflict(_("The carrier has not confirmed this booking yet."))
    if shipment.booking_state == BookingState.FAILED:
        raise Conflict(_("The booking of this shipment failed."))
    if not owns_number(shipment):
        raise Conflict(_("The carrier has given this tracking number to another parcel since."))


def _search(rows: QuerySet[Shipment], names: Sequence[str]) -> dict[str, uuid.UUID]:
    """Return the newest shipment's id by names that differ from the stored ones in case and blanks only.

    Or by numbers of its parcels, in any case too.
    """
    keys = {name: number_key(clean_name(name)) for name in names}
    folded = {fold_number(key) for key in keys.values()} - {""}
    if not folded:
        return {}
    # One index scan per column: for a condition on all columns, PostgreSQL may read all rows.
    first, *scans = (
        ShipmentSearch.objects.filter(**{f"{column}__in": folded}).values_list("shipment_id", flat=True)
        for column in _LOOKUPS
    )
    parcels = numbered_parcels().filter(tracking_number__any_case_in=keys.values()).values_list("shipment_id")
    ids = list(first.union(*scans, parcels)[:_MAX_SEARCHED])
    columns = ("id", *_LOOKUPS, "parcels__tracking_number")
    found = rows.filter(id__in=ids).order_by("id").values_list(*columns) if ids else ()
    by_key = {number_key(text): id_ for id_, *texts in found for text in texts if text}
    return {name: by_key[key] for name, key in keys.items() if key in by_key}


def _find_newer_parcels(rows: QuerySet[Shipment], found: Mapping[str, Shipment]) -> dict[str, uuid.UUID]:
    """Return the newest shipments with a parcel that has the number of an older shipment, found by that number, now."""
    before = timezone.now() - REUSED_AFTER
    keys = {name: number_key(name) for name, row in found.items() if row.created_at < before}
    keys = {name: key for name, key in keys.items() if key and key == number_key(found[name].tracking_number)}
    if not keys:  # as nearly always, without a query
        return {}
    parcels = numbered_parcels().filter(tracking_number__any_case_in=set(keys.values()), shipment__in=rows.order_by())
    columns = parcels.order_by("shipment__created_at").values_list(
        "tracking_number", "shipment__created_at", "shipment_id"
    )
    newest = {number_key(number): (at, id_) for number, at, id_ in columns}
    return {
        name: newest[key][1] for name, key in keys.items() if key in newest and newest[key][0] > found[name].created_at
    }


def _possibly_reused(credential_id: uuid.UUID, keys: Sequence[str], at: datetime) -> set[str]:
    if has_unsettled_purchase(credential_id, at):
        return set(keys)
    orphans = Orphan.objects.filter(tracking_number__any_case_in=keys, voided_at=None)
    numbers = orphans.filter(shipment__credential_id=credential_id).values_list("tracking_number", flat=True)
    return {number_key(number) for number in numbers}
