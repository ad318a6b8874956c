"""Warehouses: the merchant's addresses that shipments depart from and return to."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from apikeys.access import idempotency
from apikeys.audit import events
from apikeys.db.tenancy import Tenant
from apikeys.http.errors import Conflict, ValidationFailed, WarehouseNotFound
from carriers.adapters.registry import ADAPTERS
from carriers.credentials import selection
from carriers.models import Credential
from shipping.common.conversion import to_builtins
from shipping.models import Shipment, Warehouse, WarehouseRegistration
from shipping.models.event_types import WAREHOUSE_CHANGED
from shipping.warehouses import registrations

State = WarehouseRegistration.State


def create(tenant: Tenant, data: Mapping[str, Any]) -> Warehouse:
    """Store a warehouse, then register it at the named carriers.

    If a carrier refuses, the warehouse stays and its registration shows the carrier's words.
    Raises: ``Conflict`` if the name is taken; ``ValidationFailed`` naming each ``carriers[n]`` without a credential.
    """
    credentials = _select_credentials(tenant, data["carriers"])
    values = {"name": data["name"], "address": to_builtins(data["address"])}
    values["return_address"] = to_builtins(data.get("return_address"))
    try:
        with transaction.atomic():
            row = Warehouse.objects.create(
                merchant_id=tenant.merchant_id, mode=tenant.mode, store_id=tenant.store_id, **values
            )
            WarehouseRegistration.objects.bulk_create(
                WarehouseRegistration(warehouse=row, credential=credential) for credential in credentials
            )
            idempotency.bind(row.id)
            _record(row, "created")
    except IntegrityError as error:
        raise _name_conflict(data["name"]) from error
    registrations.send_pending(row)
    return row


def resume(tenant: Tenant, warehouse_id: uuid.UUID) -> None:
    """Register a warehouse at the carriers that an interrupted request did not reach."""
    row = Warehouse.objects.of(tenant).filter(id=warehouse_id, is_active=True).first()
    if row:
        registrations.send_pending(row)


def update(row: Warehouse, data: Mapping[str, Any]) -> None:
    """Store changes and send them to the carriers that have the warehouse.

    Without changes it is sent to the carriers that refused it. Raises ``Conflict`` if the name is taken.
    """
    carriers = [slug for slug, kind in ADAPTERS.items() if "register_warehouse" in kind.capabilities()]
    registered = row.registrations.filter(credential__carrier__in=carriers)
    try:
        with transaction.atomic():
            stored = registrations.lock_warehouse(row)
            row.name, row.address = data["name"], to_builtins(data["address"])
            row.return_address = to_builtins(data.get("return_address"))
            row.save(update_fields=["name", "address", "return_address", "updated_at"])
            is_new = any(getattr(stored, name) != getattr(row, name) for name in ("name", "address", "return_address"))
            to_send = registered if is_new else registered.exclude(state=State.REGISTERED)
            to_send.update(state=State.PENDING, failure=None)
            _record(row, "changed")
    except IntegrityError as error:
        raise _name_conflict(data["name"]) from error
    registrations.send_pending(row)


def close(tenant: Tenant, warehouse_id: uuid.UUID) -> None:
    """Close a warehouse to new shipments. Carriers are not informed: none has an operation for that."""
    row = get_warehouse(tenant, warehouse_id)
    with transaction.atomic():
        Warehouse.objects.filter(id=row.id).update(is_active=False)
        _record(row, "closed")


def get_warehouse(tenant: Tenant, warehouse_id: uuid.UUID) -> Warehouse:
    """Return an open warehouse. Raises ``WarehouseNotFound``, also for another merchant's."""
    row = Warehouse.objects.of(tenant).filter(id=warehouse_id, is_active=True).first()
    if row is None:
        raise WarehouseNotFound
    return row


def select_departure(tenant: Tenant, credential: Credential, warehouse_id: uuid.UUID | None) -> Warehouse | None:
    """Return the warehouse that a new shipment departs from; None without an id.

    Raises ``WarehouseNotFound``, and ``ValidationFailed`` if the carrier does not have its current version.
    """
    if warehouse_id is None:
        return None
    row = get_warehouse(tenant, warehouse_id)
    registrations.check_registered(row, credential)
    return row


def select_return_destination(tenant: Tenant, original: Shipment, warehouse_id: uuid.UUID | None) -> Warehouse | None:
    """Return the warehouse that a return goes to: the given one, else the one that the shipment departed from.

    Raises as ``select_departure`` does.
    """
    if warehouse_id is not None:
        return select_departure(tenant, original.credential, warehouse_id)
    if original.warehouse:
        registrations.check_registered(original.warehouse, original.credential)
    return original.warehouse


def _select_credentials(tenant: Tenant, carriers: Sequence[str]) -> list[Credential]:
    """Return the credential of each carrier, once; a carrier may be listed under several names."""
    found: dict[uuid.UUID, Credential] = {}
    problems: dict[str, Any] = {}
    for number, name in enumerate(carriers):
        try:
            credential = selection.select_credential(tenant, name)
            found[credential.id] = credential
        except ValidationFailed as error:
            problems[f"carriers[{number}]"] = error.details["carrier"]
    if problems:
        raise ValidationFailed(details=problems)
    return list(found.values())


def _name_conflict(name: str) -> Conflict:
    text = _("You have a warehouse of this name already.")
    return Conflict(text, details={"name": [text]})


def _record(row: Warehouse, action: str) -> None:
    data = {"warehouse_id": str(row.id), "action": action}
    events.record(WAREHOUSE_CHANGED, tenant=row.tenant, subject_id=row.id, data=data)
