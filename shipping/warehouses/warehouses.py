"""Places of departure: stored here, made known to the carriers that keep a list of them."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from apikeys.access import idempotency
from apikeys.audit import events
from apikeys.db.tenancy import Tenant
from apikeys.http.errors import Conflict, ValidationFailed, WarehouseNotFound, WaybillError
from carriers import types
from carriers.adapters.registry import ADAPTERS, adapter_class
from carriers.credentials import opening, selection
from carriers.models import Credential
from carriers.types.errors import CarrierWarehouseNotFound
from shipping.common import carrier_limits
from shipping.common.conversion import to_address, to_builtins
from shipping.models import Shipment, Warehouse, WarehouseRegistration
from shipping.models.event_types import WAREHOUSE_CHANGED

log = logging.getLogger(__name__)
State = WarehouseRegistration.State


def create(tenant: Tenant, place: Mapping[str, Any]) -> Warehouse:
    """Store a place, then tell the carriers that are named; where one refuses, the place stays and shows its words.

    Raises ``Conflict`` where the name is taken, ``ValidationFailed`` naming ``carriers[n]`` that has no account.
    """
    credentials = _accounts(tenant, place["carriers"])
    values = {"name": place["name"], "address": to_builtins(place["address"])}
    values["return_address"] = to_builtins(place.get("return_address"))
    try:
        with transaction.atomic():
            row = Warehouse.objects.create(
                merchant_id=tenant.merchant_id, mode=tenant.mode, store_id=tenant.store_id, **values
            )
            asked = [WarehouseRegistration(warehouse=row, credential=credential) for credential in credentials]
            WarehouseRegistration.objects.bulk_create(asked)
            idempotency.bind(row.id)
            _record(row, "created")
    except IntegrityError as error:
        raise _name_taken(place["name"]) from error
    _tell_pending(row)
    return row


def tell_rest(tenant: Tenant, warehouse_id: uuid.UUID) -> None:
    """Tell the carriers that a request which ended too early did not come to."""
    row = Warehouse.objects.of(tenant).filter(id=warehouse_id, is_active=True).first()
    if row:
        _tell_pending(row)


def change(row: Warehouse, place: Mapping[str, Any]) -> None:
    """Store what has changed, and tell the carriers that know the place; where nothing has, those that refused it."""
    knowing = row.registrations.filter(credential__carrier__in=_keeping_lists())
    try:
        with transaction.atomic():
            stored = _locked(row)
            row.name, row.address = place["name"], to_builtins(place["address"])
            row.return_address = to_builtins(place.get("return_address"))
            row.save(update_fields=["name", "address", "return_address", "updated_at"])
            is_new = any(getattr(stored, name) != getattr(row, name) for name in ("name", "address", "return_address"))
            (knowing if is_new else knowing.exclude(state=State.REGISTERED)).update(state=State.PENDING, failure=None)
            _record(row, "changed")
    except IntegrityError as error:
        raise _name_taken(place["name"]) from error
    _tell_pending(row)


def close(tenant: Tenant, warehouse_id: uuid.UUID) -> None:
    """No new shipment departs from it; the carriers are not told, since none has an operation for that."""
    row = find(tenant, warehouse_id)
    with transaction.atomic():
        Warehouse.objects.filter(id=row.id).update(is_active=False)
        _record(row, "closed")


def register(tenant: Tenant, row: Warehouse, *, carrier: str, known_as: str = "") -> WarehouseRegistration:
    """Tell a carrier of a place, or (``known_as``) keep what the carrier calls it already.

    Raises ``CarrierUnsupported``, the carrier's refusal, ``Conflict`` where another place has the name that the carrier
    gave, and ``ValidationFailed`` for a name that is another place's already, or is at an account that other merchants
    or stores use too: it could be that of another one's place, which would then be changed with ours.
    """
    credential = selection.select_credential(tenant, carrier)
    if known_as and (credential.merchant_id is None or tenant.store_id):
        text = _("Only for an account of your own; without it the carrier is told of the place.")
        raise ValidationFailed(details={"carrier_warehouse_id": [text]})
    if known_as:
        try:
            return _store(row, credential, State.REGISTERED, known_as=known_as)
        except _TakenName as error:
            text = _("Another of your warehouses has this name at the carrier.")
            raise ValidationFailed(details={"carrier_warehouse_id": [text]}) from error
    opening.open_adapter(credential, merchant_id=tenant.merchant_id).need("register_warehouse")
    with transaction.atomic():
        idempotency.bind(_store(row, credential, State.PENDING, known_as=_known_as(row, credential)).id)
    registration, error = _tell(row, credential)
    if error:
        raise error
    return registration


def not_known(row: Warehouse | None, credential: Credential, error: WaybillError) -> None:
    """The carrier has said so of an order from it: it is told of the place anew when it is next told of it.

    Of an order that named no place, which a carrier that keeps a list of them needs, the error comes to say so.
    """
    if row is None:
        text = _("Orders to this carrier depart from a warehouse: name one of GET /api/v1/warehouses.")
        error.details = {**error.details, "warehouse_id": [text]}
        return
    _store(row, credential, State.FAILED, failure=error.body())


def find(tenant: Tenant, warehouse_id: uuid.UUID) -> Warehouse:
    """Raises ``WarehouseNotFound``, also for a closed one and another merchant's."""
    row = Warehouse.objects.of(tenant).filter(id=warehouse_id, is_active=True).first()
    if row is None:
        raise WarehouseNotFound
    return row


def departure(tenant: Tenant, credential: Credential, warehouse_id: uuid.UUID | None) -> Warehouse | None:
    """The place that a new shipment departs from.

    Raises ``ValidationFailed`` where its carrier does not know it, or not as it is now.
    """
    if warehouse_id is None:
        return None
    row = find(tenant, warehouse_id)
    _need_known(row, credential)
    return row


def arrival(tenant: Tenant, original: Shipment, warehouse_id: uuid.UUID | None) -> Warehouse | None:
    """Where a return goes: the named place, else the one that the shipment departed from. Raises as ``departure``."""
    if warehouse_id is not None:
        return departure(tenant, original.credential, warehouse_id)
    if original.warehouse:
        _need_known(original.warehouse, original.credential)
    return original.warehouse


def canonical(row: Warehouse, credential: Credential) -> types.Warehouse:
    """As this account's adapter takes it.

    At the platform's account the name is the place's alone: some carriers tell places by it, and merchants' are alike.
    """
    name = row.name if credential.merchant_id else f"{row.name[:93]} {row.id.hex[-6:]}"
    return types.Warehouse(name=name, address=to_address(row.address), carrier_id=_known_as(row, credential))


def with_registrations(rows: Sequence[Warehouse] | Any) -> Any:
    """The rows with what their wire form shows."""
    return rows.prefetch_related("registrations__credential")


def usable(row: Warehouse) -> list[WarehouseRegistration]:
    """Its registrations at accounts that the merchant can order from."""
    found = [one for one in row.registrations.all() if selection.accepts_orders(one.credential, row.tenant)]
    return [one for one in found if not _is_of_former_account(one)]


def _need_known(row: Warehouse, credential: Credential) -> None:
    """A van goes to the address that the carrier has, whatever the order says."""
    if "register_warehouse" not in adapter_class(credential.carrier).capabilities():
        return
    found = _registration(row, credential)
    if found and found.state == State.REGISTERED and found.carrier_warehouse_id:
        return
    text = _("The carrier does not know this warehouse: POST /api/v1/warehouses/%s/registrations.") % row.id
    if found and found.carrier_warehouse_id:
        text = _(
            "The carrier has not taken this warehouse as it is now: change it by PUT /api/v1/warehouses/%(id)s, or tell"
            " the carrier again by POST /api/v1/warehouses/%(id)s/registrations."
        ) % {"id": row.id}
    if not row.is_active:
        text = _("This warehouse is closed, and its carrier has not taken it as it was last: name another one.")
    raise ValidationFailed(details={"warehouse_id": [text]})


def _known_as(row: Warehouse, credential: Credential) -> str:
    found = _registration(row, credential)
    return found.carrier_warehouse_id if found else ""


def _registration(row: Warehouse, credential: Credential) -> WarehouseRegistration | None:
    found = row.registrations.select_related("credential").filter(credential=credential).first()
    return None if found is None or _is_of_former_account(found) else found


def _is_of_former_account(registration: WarehouseRegistration) -> bool:
    """Whether the credential was another account at the carrier then, which had its own names for places."""
    since = registration.credential.account_since
    return since is not None and registration.updated_at < since


def _accounts(tenant: Tenant, names: Sequence[str]) -> list[Credential]:
    """Each once, by whichever names of its carrier."""
    found: dict[uuid.UUID, Credential] = {}
    problems: dict[str, Any] = {}
    for number, name in enumerate(names):
        try:
            credential = selection.select_credential(tenant, name)
            found[credential.id] = credential
        except ValidationFailed as error:
            problems[f"carriers[{number}]"] = error.details["carrier"]
    if problems:
        raise ValidationFailed(details=problems)
    return list(found.values())


def _keeping_lists() -> list[str]:
    return [slug for slug, kind in ADAPTERS.items() if "register_warehouse" in kind.capabilities()]


def _tell_pending(row: Warehouse) -> None:
    pending = row.registrations.filter(state=State.PENDING, credential__is_active=True)
    for registration in pending.select_related("credential"):
        _tell(row, registration.credential)


def _tell(row: Warehouse, credential: Credential) -> tuple[WarehouseRegistration, WaybillError | None]:
    """The registration as it then stands, and what went wrong. A place that the carrier knows is changed there.

    Told again where it was changed meanwhile: of two requests at once the carrier may hear the first one last.
    """
    registration, error = _told(row, credential)
    now = Warehouse.objects.get(id=row.id)
    return (registration, error) if now.updated_at == row.updated_at else _tell(now, credential)


def _told(row: Warehouse, credential: Credential) -> tuple[WarehouseRegistration, WaybillError | None]:
    back = to_address(row.return_address) if row.return_address else None
    request = types.WarehouseRequest(warehouse=canonical(row, credential), return_address=back)
    try:
        adapter = opening.open_adapter(credential, merchant_id=row.merchant_id, subject_id=row.id)
        addresses = {"address": request.warehouse.address, "return_address": back}
        carrier_limits.check_addresses(type(adapter), addresses)
        known = adapter.register_warehouse(request)
    except WaybillError as error:
        # What the carrier does not know under this name is told to it as a new place the next time.
        name = "" if isinstance(error, CarrierWarehouseNotFound) else request.warehouse.carrier_id
        try:
            return _store(row, credential, State.FAILED, known_as=name, failure=error.body()), error
        except _TakenName:
            return _given_up(row, credential, name, error), error
    try:
        with transaction.atomic():
            is_current = _locked(row).updated_at == row.updated_at
            state = State.REGISTERED if is_current else State.PENDING
            return _store(row, credential, state, known_as=known.carrier_id), None
    except _TakenName:
        log.error("a carrier gave two places one name", extra={"warehouse": str(row.id)})
        error = Conflict(_("The carrier takes this place for another one: give it another name."))
        return _given_up(row, credential, known.carrier_id, error), error


def _given_up(row: Warehouse, credential: Credential, name: str, error: WaybillError) -> WarehouseRegistration:
    """Not registered, since the name is another place's.

    That one is told again, for the carrier may have this one's address for it now. First this one loses its own name,
    or two could send each other back and forth.
    """
    failed = _store(row, credential, State.FAILED, failure=error.body())
    named = WarehouseRegistration.objects.filter(credential=credential, carrier_warehouse_id=name)
    for registration in named.select_related("warehouse"):
        named.filter(id=registration.id).update(state=State.PENDING, failure=None)
        _tell(registration.warehouse, credential)
    return failed


def _locked(row: Warehouse) -> Warehouse:
    return Warehouse.objects.select_for_update(no_key=True).get(id=row.id)  # purchases that name it do not wait


def _store(
    row: Warehouse, credential: Credential, state: str, *, known_as: str = "", failure: dict[str, Any] | None = None
) -> WarehouseRegistration:
    """Raises ``_TakenName``; what closed places and a former account's were called is nobody's any more.

    Of an account that has become another one meanwhile there is no name to keep.
    """
    try:
        with transaction.atomic():
            account = selection.lock_credential(credential.id)  # of two that take each other's former name one waits
            if account.account_since != credential.account_since:
                changed = selection.changed_error(credential)
                state, known_as, failure = State.FAILED, "", failure or changed.body()
            values = {"state": state, "failure": failure, "carrier_warehouse_id": known_as}
            named = WarehouseRegistration.objects.filter(credential=credential, carrier_warehouse_id=known_as)
            gone = Q(warehouse__is_active=False, warehouse__merchant_id=row.merchant_id)
            if account.account_since:
                gone |= Q(updated_at__lt=account.account_since)
            if known_as:
                named.filter(gone).exclude(warehouse=row).update(carrier_warehouse_id="", state=State.FAILED)
            return WarehouseRegistration.objects.update_or_create(
                warehouse=row, credential=credential, defaults=values
            )[0]
    except IntegrityError as error:
        raise _TakenName(known_as) from error


class _TakenName(Exception):
    """Another place has this name at the carrier's account."""


def _name_taken(name: str) -> Conflict:
    text = _("You have a warehouse of this name already.")
    return Conflict(text, details={"name": [text]})


def _record(row: Warehouse, action: str) -> None:
    data = {"warehouse_id": str(row.id), "action": action}
    events.record(WAREHOUSE_CHANGED, tenant=row.tenant, subject_id=row.id, data=data)
