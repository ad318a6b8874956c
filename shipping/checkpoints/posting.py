"""Checkpoints that merchants post, one or a thousand at a time, under the documented state machine.

The units are locked first; the machine then runs in memory, unit by unit in the order of the items, and everything is
written by one statement per table. An item that is refused is told why and touches nothing.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from apikeys.access import idempotency
from apikeys.audit import events
from apikeys.db.prepared import Insert, Select, Update
from apikeys.db.tenancy import Tenant, new_id
from apikeys.http.errors import BusinessRuleViolated, Conflict, ValidationFailed, WaybillError
from apikeys.http.fields import Moment
from apikeys.http.rendering import rfc3339
from carriers.adapters.registry import adapter_class
from carriers.types import Status
from shipping.common.event_data import scan_facts, shipment_facts
from shipping.models import BookingState, Checkpoint, Shipment
from shipping.models.event_types import SHIPMENT_CHECKPOINT, SHIPMENT_STATUS_CHANGED

# What may follow what when the merchant posts; in_transit alone may repeat.
NEXT = {
    "": {Status.CREATED},
    Status.CREATED: {Status.PICKED_UP, Status.EXCEPTION},
    Status.PICKED_UP: {Status.IN_TRANSIT, Status.EXCEPTION},
    Status.IN_TRANSIT: {Status.IN_TRANSIT, Status.OUT_FOR_DELIVERY, Status.EXCEPTION},
    Status.OUT_FOR_DELIVERY: {Status.DELIVERED, Status.EXCEPTION},
    Status.DELIVERED: set(),
    Status.EXCEPTION: set(),
}
POSTABLE = tuple(status for status in NEXT if status)
MAX_POSTED = 1000
_MAX_AHEAD = timedelta(days=1)
_ROUNDS = 10  # of meeting another writer who makes the same new units


@dataclass(frozen=True)
class Item:
    """What a merchant posts, validated."""

    tracking_id: str
    status: str
    location: str
    description: str
    moment: Moment

    @property
    def identity(self) -> tuple[str, datetime, str]:
        """The same of these on one unit is the same checkpoint."""
        return (str(self.status), self.moment.at, self.location)


@dataclass(frozen=True)
class Posted:
    """A stored checkpoint, whether its unit is new, and whether it had been stored before."""

    checkpoint_id: uuid.UUID
    item: Item
    unit_created: bool = False
    repeated: bool = False


Outcome = Posted | WaybillError
_Known = Mapping[tuple[str, datetime, str], uuid.UUID]


@dataclass(frozen=True)
class _Unit:
    """The columns of a shipment that the machine reads and writes."""

    id: uuid.UUID
    tracking_number: str
    store_id: uuid.UUID | None = None
    carrier: str = ""
    booking_state: str = BookingState.NONE.value
    order_id: str = ""
    status: str = ""
    location: str = ""
    checkpoint_count: int = 0
    first_at: datetime | None = None
    last_at: datetime | None = None
    picked_up_at: datetime | None = None
    delivered_at: datetime | None = None
    estimated_delivery: datetime | None = None

    @property
    def carrier_name(self) -> str:
        return adapter_class(self.carrier).name if self.carrier else ""


@dataclass
class _Plan:
    """What one unit's items come to."""

    unit: _Unit
    is_new: bool
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    rows: list[tuple[Any, ...]] = field(default_factory=list)
    events: list[events.EventRow] = field(default_factory=list)


_COLUMNS = tuple(_Unit.__dataclass_fields__)
_WRITTEN = (
    "status", "location", "checkpoint_count", "first_at", "last_at", "picked_up_at", "delivered_at", "updated_at"
)  # fmt: skip


def _units_named(merchant_id: uuid.UUID, mode: str) -> Any:
    # In one order everywhere, so that two writers never wait for each other in a circle.
    return Shipment.objects.select_for_update().filter(merchant_id=merchant_id, mode=mode).order_by("id")


_one_unit = Select(
    lambda merchant_id, mode, number: _units_named(merchant_id, mode).filter(tracking_number=number)[:10],
    _COLUMNS,
    [uuid.UUID(int=1), "mode", "a number"],
)
# A new unit: what the machine knows of it, and the empty rest that the table wants.
_EMPTY = {
    "frees_order": False,
    "sequence": 1,
    **dict.fromkeys(
        ("carrier_shipment_id", "customer_reference", "service_type", "recipient", "pickup_point_id", "currency"), ""
    ),
    **{name: {} for name in ("origin", "destination", "request", "carrier_details")},
}
_insert_units = Insert(Shipment, "merchant", "mode", "reference", "created_at", "updated_at", *_COLUMNS, *_EMPTY)
_insert_checkpoints = Insert(
    Checkpoint,
    "id",
    "merchant",
    "mode",
    "shipment",
    "source",
    "status",
    "code",
    "location",
    "description",
    "details",
    "occurred_at",
    "occurred_text",
    "tz_assumed",
    "created_at",
)
_update_units = Update(Shipment, *_WRITTEN)


def post(tenant: Tenant, item: Item) -> Posted:
    """Store a merchant's checkpoint. The same one again gives the first one back.

    Raises ``BusinessRuleViolated`` (wrong order of states or times, a carrier's shipment), ``Conflict`` (a unit of
    another store) and ``ValidationFailed`` (a time more than a day ahead); nothing is stored then.
    """
    (outcome,) = post_many(tenant, [item], bind=True)
    if isinstance(outcome, WaybillError):
        raise outcome
    return outcome


def post_many(tenant: Tenant, items: Sequence[Item], *, bind: bool = False) -> list[Outcome]:
    """Store what can be stored; for each item, in order, what became of it, an error as the exception itself.

    Items of one unit count in their order. ``bind`` ties the running Idempotency-Key to the one checkpoint.
    """
    for _round in range(_ROUNDS):
        try:
            with transaction.atomic():
                return _post_all(tenant, items, bind=bind)
        except IntegrityError as error:  # another request has just made one of the units; the next round finds it
            problem = error
    raise problem


def stored(tenant: Tenant, checkpoint_id: uuid.UUID) -> Posted:
    """A checkpoint that an earlier request has stored."""
    row = Checkpoint.objects.of(tenant).select_related("shipment").get(id=checkpoint_id)
    first = row.shipment.checkpoints.order_by("occurred_at", "id").values_list("id", flat=True).first()
    moment = Moment(row.occurred_at, row.occurred_text, row.tz_assumed)
    item = Item(row.shipment.tracking_number, row.status, row.location, row.description, moment)
    return Posted(row.id, item, unit_created=first == row.id, repeated=True)


def _post_all(tenant: Tenant, items: Sequence[Item], *, bind: bool) -> list[Outcome]:
    by_unit: dict[str, list[tuple[int, Item]]] = defaultdict(list)
    for number, item in enumerate(items):
        by_unit[item.tracking_id].append((number, item))
    found = _locked(tenant, by_unit.keys())
    starts = {name: _start(tenant, name, found[name]) for name in by_unit}
    plans = {name: _run(tenant, starts[name], by_unit[name], None) for name in by_unit}
    doubtful = [name for name, plan in plans.items() if plan is None]
    if doubtful:
        known = _stored_before([starts[name].unit.id for name in doubtful])
        for name in doubtful:
            plans[name] = _run(tenant, starts[name], by_unit[name], known[starts[name].unit.id])
    _write(tenant, [plans[name] for name in sorted(plans)])
    outcomes = {number: outcome for plan in plans.values() for number, outcome in plan.outcomes.items()}
    if bind and isinstance(outcomes[0], Posted) and not outcomes[0].repeated:
        idempotency.bind(outcomes[0].checkpoint_id)
    return [outcomes[number] for number in range(len(items))]


def _locked(tenant: Tenant, names: Iterable[str]) -> dict[str, list[_Unit]]:
    """The merchant's shipments by number, of all stores: a number is one unit for the whole merchant."""
    wanted = list(names)
    if len(wanted) == 1:
        rows = _one_unit.all(tenant.merchant_id, tenant.mode, wanted[0])
    else:
        named = _units_named(tenant.merchant_id, tenant.mode).filter(tracking_number__in=wanted)
        rows = named.values_list(*_COLUMNS)
    found: dict[str, list[_Unit]] = defaultdict(list)
    for row in rows:
        unit = _Unit(*row)
        found[unit.tracking_number].append(unit)
    return found


@dataclass(frozen=True)
class _Start:
    unit: _Unit
    is_new: bool = False
    refusal: WaybillError | None = None


def _start(tenant: Tenant, name: str, found: Sequence[_Unit]) -> _Start:
    """The merchant's own unit of this name, or a new one; for what is not theirs to post on, why."""
    if foreign := [unit for unit in found if tenant.store_id not in (None, unit.store_id)]:
        return _Start(
            foreign[0], refusal=Conflict(details={"tracking_id": [_("This tracking id belongs to another store.")]})
        )
    if own := [unit for unit in found if not unit.carrier]:
        return _Start(own[0])
    if found:
        text = _("This shipment was booked at %s, which alone reports its checkpoints.") % found[0].carrier_name
        return _Start(found[0], refusal=BusinessRuleViolated(details={"tracking_id": [text]}))
    return _Start(_Unit(new_id(), name, tenant.store_id), is_new=True)


def _run(tenant: Tenant, start: _Start, items: Sequence[tuple[int, Item]], known: _Known | None) -> _Plan | None:
    """Run the machine over one unit's items.

    ``known``: what the unit had before, by identity. None: it has not been looked up; the answer is None as well when
    that is needed to tell a repetition from a mistake.
    """
    plan = _Plan(start.unit, start.is_new)
    if start.refusal:
        plan.outcomes = {number: start.refusal for number, _item in items}
        return plan
    seen: dict[tuple[str, datetime, str], uuid.UUID] = dict(known or {})
    for number, item in items:
        problem = _problem(plan.unit, item)
        if item.identity in seen:
            plan.outcomes[number] = Posted(seen[item.identity], item, repeated=True)
        elif known is None and not start.is_new and (problem or _may_repeat(plan.unit, item)):
            return None
        elif problem:
            plan.outcomes[number] = problem
        else:
            seen[item.identity] = _accept(tenant, plan, number, item)
    return plan


def _problem(unit: _Unit, item: Item) -> WaybillError | None:
    if item.moment.at > timezone.now() + _MAX_AHEAD:
        return ValidationFailed(details={"timestamp": [_("This time lies in the future.")]})
    if item.status not in NEXT.get(unit.status, ()):
        if not unit.status:
            text = _("A new unit starts with CREATED, not %s.") % item.status.upper()
        else:
            text = _("%(new)s cannot follow %(old)s.") % {"new": item.status.upper(), "old": unit.status.upper()}
        return BusinessRuleViolated(text, details={"status": [text]})
    if unit.last_at and item.moment.at < unit.last_at:
        text = _("This is earlier than the unit's last checkpoint (%s).") % rfc3339(unit.last_at)
        return BusinessRuleViolated(text, details={"timestamp": [text]})
    if unit.checkpoint_count >= MAX_POSTED:
        return BusinessRuleViolated(_("A unit takes at most %d checkpoints.") % MAX_POSTED)
    return None


def _may_repeat(unit: _Unit, item: Item) -> bool:
    """Only a status that may follow itself can be allowed and stored already."""
    return item.status == unit.status and item.moment.at == unit.last_at


def _accept(tenant: Tenant, plan: _Plan, number: int, item: Item) -> uuid.UUID:
    before, at, status, checkpoint_id = plan.unit, item.moment.at, str(item.status), new_id()
    plan.unit = replace(
        before,
        status=status,
        location=item.location,
        checkpoint_count=before.checkpoint_count + 1,
        first_at=before.first_at or at,
        last_at=at,
        picked_up_at=before.picked_up_at or (at if status == Status.PICKED_UP else None),
        delivered_at=at if status == Status.DELIVERED else None,
    )
    created = plan.is_new and not plan.rows
    plan.rows.append(
        (
            checkpoint_id,
            tenant.merchant_id,
            str(tenant.mode),
            before.id,
            "merchant",
            status,
            status,
            item.location,
            item.description,
            {},
            at,
            item.moment.text,
            item.moment.tz_assumed,
            timezone.now(),
        )
    )
    plan.events += _told(tenant, plan.unit, checkpoint_id, item, before.status)
    plan.outcomes[number] = Posted(checkpoint_id, item, unit_created=created)
    return checkpoint_id


def _told(tenant: Tenant, unit: _Unit, checkpoint_id: uuid.UUID, item: Item, previous: str) -> list[events.EventRow]:
    facts = shipment_facts(unit)
    scan = scan_facts(
        checkpoint_id,
        status=unit.status,
        code=unit.status,
        description=item.description,
        location=item.location,
        occurred_at=item.moment.at,
        tz_assumed=item.moment.tz_assumed,
    )
    told = [events.build_row(SHIPMENT_CHECKPOINT, tenant=tenant, subject_id=unit.id, data=facts | scan)]
    if unit.status != previous:
        changed = facts | {"previous_status": previous or None}
        told.append(events.build_row(SHIPMENT_STATUS_CHANGED, tenant=tenant, subject_id=unit.id, data=changed))
    return told


def _stored_before(shipment_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, _Known]:
    known: dict[uuid.UUID, dict[tuple[str, datetime, str], uuid.UUID]] = defaultdict(dict)
    rows = Checkpoint.objects.filter(shipment_id__in=shipment_ids, source=Checkpoint.Source.MERCHANT)
    for pk, shipment_id, status, at, place in rows.values_list(
        "id", "shipment_id", "status", "occurred_at", "location"
    ):
        known[shipment_id][status, at, place] = pk
    return known


def _write(tenant: Tenant, plans: Sequence[_Plan]) -> None:
    touched, now = [plan for plan in plans if plan.rows], timezone.now()
    _insert_units([_new_row(tenant, plan.unit, now) for plan in touched if plan.is_new])
    _insert_checkpoints([row for plan in touched for row in plan.rows])
    _update_units([_changed_row(plan.unit, now) for plan in touched if not plan.is_new])
    events.record_all([event for plan in touched for event in plan.events])


def _new_row(tenant: Tenant, unit: _Unit, now: datetime) -> list[Any]:
    ours = [tenant.merchant_id, str(tenant.mode), f"WB{uuid.uuid4().hex}", now, now]
    return [*ours, *(getattr(unit, name) for name in _COLUMNS), *_EMPTY.values()]


def _changed_row(unit: _Unit, now: datetime) -> list[Any]:
    return [unit.id, *(now if name == "updated_at" else getattr(unit, name) for name in _WRITTEN)]
