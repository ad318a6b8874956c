"""Register warehouses at the carriers that keep a list of them."""

from __future__ import annotations

import logging
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from apikeys.access import idempotency
from apikeys.db.tenancy import Tenant
from apikeys.http.errors import Conflict, ValidationFailed, WaybillError
from carriers import types
from carriers.adapters.registry import adapter_class
from carriers.credentials import opening, selection
from carriers.models import Credential
from carriers.types.errors import CarrierWarehouseNotFound
from shipping.common import carrier_limits
from shipping.common.conversion import to_address
from shipping.models import Warehouse, WarehouseRegistration

log = logging.getLogger(__name__)
State = WarehouseRegistration.State


class _NameTaken(Exception):
    """Another warehouse has this name at the carrier, under the same credential."""


def register(tenant: Tenant, row: Warehouse, *, carrier: str, carrier_id: str = "") -> WarehouseRegistration:
    """Register a warehouse at a carrier, or store the name that it has there already (``carrier_id``).

    Raises ``CarrierUnsupported``, the carrier's refusal, ``Conflict`` if the carrier answers with another warehouse's
    name, and ``ValidationFailed`` for a given name that another warehouse has, or with a credential that other
    merchants or stores use too: the name could be that of their warehouse, which our changes would then overwrite.
    """
    credential = selection.select_credential(tenant, carrier)
    if carrier_id and (credential.merchant_id is None or tenant.store_id):
        text = _("Only with a credential of your own. Leave it out to register the warehouse at the carrier.")
        raise ValidationFailed(details={"carrier_warehouse_id": [text]})
    if carrier_id:
        try:
            return _store(row, credential, State.REGISTERED, carrier_id=carrier_id)
        except _NameTaken as error:
            text = _("Another of your warehouses has this name at the carrier.")
            raise ValidationFailed(details={"carrier_warehouse_id": [text]}) from error
    opening.open_adapter(credential, merchant_id=tenant.merchant_id).need("register_warehouse")
    with transaction.atomic():
        idempotency.bind(_store(row, credential, State.PENDING, carrier_id=_carrier_id(row, credential)).id)
    registration, error = _send(row, credential)
    if error:
        raise error
    return registration


def send_pending(row: Warehouse) -> None:
    """Send a warehouse to the carriers whose registration is pending."""
    pending = row.registrations.filter(state=State.PENDING, credential__is_active=True)
    for registration in pending.select_related("credential"):
        _send(row, registration.credential)


def record_unknown_warehouse(row: Warehouse | None, credential: Credential, error: WaybillError) -> None:
    """Record that a carrier refused an order because it does not know the warehouse.

    The next registration creates the warehouse there again. An order without a warehouse gets a field error that asks
    for one.
    """
    if row is None:
        text = _("Orders to this carrier need a warehouse: send the warehouse_id of one of GET /api/v1/warehouses.")
        error.details = {**error.details, "warehouse_id": [text]}
        return
    _store(row, credential, State.FAILED, failure=error.body())


def check_registered(row: Warehouse, credential: Credential) -> None:
    """Raise ``ValidationFailed`` unless the carrier has the current version of a warehouse.

    The driver goes to the address that the carrier has, whatever the order contains.
    """
    if "register_warehouse" not in adapter_class(credential.carrier).capabilities():
        return
    found = _get_registration(row, credential)
    if found and found.state == State.REGISTERED and found.carrier_warehouse_id:
        return
    text = _("The carrier does not know this warehouse: POST /api/v1/warehouses/%s/registrations.") % row.id
    if found and found.carrier_warehouse_id:
        text = _(
            "The carrier has not accepted the current version of this warehouse: change it by PUT "
            "/api/v1/warehouses/%(id)s, or register it again by POST /api/v1/warehouses/%(id)s/registrations."
        ) % {"id": row.id}
    if not row.is_active:
        text = _("This warehouse is closed, and its carrier has not accepted its last version: choose another one.")
    raise ValidationFailed(details={"warehouse_id": [text]})


def to_carrier_warehouse(row: Warehouse, credential: Credential) -> types.Warehouse:
    """Return a warehouse as the credential's adapter takes it.

    With the platform's credential the name is made unique: some carriers identify warehouses by name, and merchants
    choose the same names.
    """
    name = row.name if credential.merchant_id else f"{row.name[:93]} {row.id.hex[-6:]}"
    return types.Warehouse(name=name, address=to_address(row.address), carrier_id=_carrier_id(row, credential))


def prefetch_registrations(rows: QuerySet[Warehouse]) -> QuerySet[Warehouse]:
    """Load the registrations that a response shows."""
    return rows.prefetch_related("registrations__credential")


def usable_registrations(row: Warehouse) -> list[WarehouseRegistration]:
    """Return the registrations at credentials that the merchant can order with."""
    found = [one for one in row.registrations.all() if selection.accepts_orders(one.credential, row.tenant)]
    return [one for one in found if not _is_outdated(one)]


def lock_warehouse(row: Warehouse) -> Warehouse:
    """Lock a warehouse's row. Purchases that refer to it are not blocked."""
    return Warehouse.objects.select_for_update(no_key=True).get(id=row.id)


def _get_registration(row: Warehouse, credential: Credential) -> WarehouseRegistration | None:
    found = row.registrations.select_related("credential").filter(credential=credential).first()
    return None if found is None or _is_outdated(found) else found


def _carrier_id(row: Warehouse, credential: Credential) -> str:
    found = _get_registration(row, credential)
    return found.carrier_warehouse_id if found else ""


def _is_outdated(registration: WarehouseRegistration) -> bool:
    """Return whether the credential's login was changed since, so that it has other warehouses."""
    since = registration.credential.account_since
    return since is not None and registration.updated_at < since


def _send(row: Warehouse, credential: Credential) -> tuple[WarehouseRegistration, WaybillError | None]:
    """Create or change a warehouse at a carrier. Returns the registration afterwards, and the error if there was one.

    Repeats if the warehouse changed during the call: of two requests at once, the carrier may receive the older one
    last.
    """
    registration, error = _send_once(row, credential)
    now = Warehouse.objects.get(id=row.id)
    return (registration, error) if now.updated_at == row.updated_at else _send(now, credential)


def _send_once(row: Warehouse, credential: Credential) -> tuple[WarehouseRegistration, WaybillError | None]:
    return_address = to_address(row.return_address) if row.return_address else None
    request = types.WarehouseRequest(warehouse=to_carrier_warehouse(row, credential), return_address=return_address)
    try:
        adapter = opening.open_adapter(credential, merchant_id=row.merchant_id, subject_id=row.id)
        addresses = {"address": request.warehouse.address, "return_address": return_address}
        carrier_limits.check_addresses(type(adapter), addresses)
        known = adapter.register_warehouse(request)
    except WaybillError as error:
        # A warehouse that the carrier does not know under this name is sent as a new one the next time.
        name = "" if isinstance(error, CarrierWarehouseNotFound) else request.warehouse.carrier_id
        try:
            return _store(row, credential, State.FAILED, carrier_id=name, failure=error.body()), error
        except _NameTaken:
            return _fail_and_resend_holder(row, credential, name, error), error
    try:
        with transaction.atomic():
            is_current = lock_warehouse(row).updated_at == row.updated_at
            state = State.REGISTERED if is_current else State.PENDING
            return _store(row, credential, state, carrier_id=known.carrier_id), None
    except _NameTaken:
        log.error("a carrier gave two warehouses the same name", extra={"warehouse": str(row.id)})
        error = Conflict(_("The carrier has another warehouse under this name. Choose another name."))
        return _fail_and_resend_holder(row, credential, known.carrier_id, error), error


def _fail_and_resend_holder(
    row: Warehouse, credential: Credential, name: str, error: WaybillError
) -> WarehouseRegistration:
    """Store a registration that failed because another warehouse has the name, and send that warehouse again.

    The carrier may have this warehouse's address under the name now. This one loses its own name first, or two
    warehouses could resend each other without end.
    """
    failed = _store(row, credential, State.FAILED, failure=error.body())
    named = WarehouseRegistration.objects.filter(credential=credential, carrier_warehouse_id=name)
    for registration in named.select_related("warehouse"):
        named.filter(id=registration.id).update(state=State.PENDING, failure=None)
        _send(registration.warehouse, credential)
    return failed


def _store(
    row: Warehouse, credential: Credential, state: str, *, carrier_id: str = "", failure: dict[str, Any] | None = None
) -> WarehouseRegistration:
    """Create or update a registration.

    Names of closed warehouses, and of the credential's former login, become free. If the login changed during the
    call, no name is stored. Raises ``_NameTaken``.
    """
    try:
        with transaction.atomic():
            current = selection.lock_credential(credential.id)  # two warehouses that swap names wait for each other
            if current.account_since != credential.account_since:
                changed = selection.changed_error(credential)
                state, carrier_id, failure = State.FAILED, "", failure or changed.body()
            values = {"state": state, "failure": failure, "carrier_warehouse_id": carrier_id}
            named = WarehouseRegistration.objects.filter(credential=credential, carrier_warehouse_id=carrier_id)
            free = Q(warehouse__is_active=False, warehouse__merchant_id=row.merchant_id)
            if current.account_since:
                free |= Q(updated_at__lt=current.account_since)
            if carrier_id:
                named.filter(free).exclude(warehouse=row).update(carrier_warehouse_id="", state=State.FAILED)
            return WarehouseRegistration.objects.update_or_create(
                warehouse=row, credential=credential, defaults=values
            )[0]
    except IntegrityError as error:
        raise _NameTaken(carrier_id) from error
