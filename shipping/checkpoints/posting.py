"""Store checkpoints that merchants post, one or a thousand at a time, under the documented state machine.

The units are locked first. The state machine then runs in memory, unit by unit in the order of the items, and one
statement per table writes the result. A refused item gets its error and writes nothing.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from apikeys.access import idempotency
from apikeys.audit import events
from apikeys.db.search import fold_number
from apikeys.db.tenancy import Tenant, new_id
from apikeys.http.errors import BusinessRuleViolated, Conflict, ValidationFailed, WaybillError
from apikeys.http.fields import Moment, MomentField
from apikeys.http.rendering import rfc3339
from apikeys.http.text import number_key
from carriers.types import EARLIEST_TIME, Status
from shipping.checkpoints.posting_rows import (
    CheckpointRow,
    NewUnitRow,
    Unit,
    UnitChange,
    insert_checkpoints,
    insert_units,
    select_unit,
    select_units,
    update_units,
)
from shipping.common.event_data import scan_facts, shipment_facts
from shipping.models import Checkpoint, ShipmentSearch
from shipping.models.event_types import SHIPMENT_CHECKPOINT, SHIPMENT_STATUS_CHANGED

# The statuses that a merchant may post after each status; only in_transit may repeat.
TRANSITIONS = {
    "": {Status.CREATED},
    Status.CREATED: {Status.PICKED_UP, Status.EXCEPTION},
    Status.PICKED_UP: {Status.IN_TRANSIT, Status.EXCEPTION},
    Status.IN_TRANSIT: {Status.IN_TRANSIT, Status.OUT_FOR_DELIVERY, Status.EXCEPTION},
    Status.OUT_FOR_DELIVERY: {Status.DELIVERED, Status.EXCEPTION},
    Status.DELIVERED: set(),
    Status.EXCEPTION: set(),
}
POSTABLE = tuple(status for status in TRANSITIONS if status)
MAX_POSTED = 1000
_MAX_AHEAD = timedelta(days=1)
_MAX_ATTEMPTS = 10  # when other requests create the same units at the same time


@dataclass(frozen=True)
class Item:
    """A checkpoint that a merchant posts, validated."""

    tracking_id: str
    status: str
    location: str
    description: str
    moment: Moment
    estimated_delivery: Moment | None = None

    @property
    def deadline(self) -> datetime | None:
        """The estimate; a day ends in the offset of the checkpoint's time."""
        estimate = self.estimated_delivery
        if estimate is None or not estimate.is_day:
            return estimate and estimate.at
        return datetime.combine(estimate.day, time(23, 59), self.moment.local.tzinfo or UTC).astimezone(UTC)

    @property
    def shown_estimate(self) -> str | None:
        """The estimate as responses show it; a day stays as it was written."""
        estimate = self.estimated_delivery
        return estimate and (estimate.day.isoformat() if estimate.is_day else rfc3339(estimate.at))

    @property
    def identity(self) -> tuple[str, datetime, str]:
        """Two items of one unit with the same identity are the same checkpoint."""
        return (str(self.status), self.moment.at, self.location)


@dataclass(frozen=True)
class Posted:
    """A stored checkpoint. ``repeated``: an earlier item or request stored it."""

    checkpoint_id: uuid.UUID
    item: Item
    unit_created: bool = False
    repeated: bool = False


Outcome = Posted | WaybillError
_Identities = Mapping[tuple[str, datetime, str], uuid.UUID]  # of stored checkpoints


@dataclass
class _Plan:
    """The outcomes of one unit's items, and the rows and events to write."""

    unit: Unit
    is_new: bool
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    rows: list[CheckpointRow] = field(default_factory=list)
    events: list[events.EventRow] = field(default_factory=list)


@dataclass(frozen=True)
class _Target:
    """The unit that items are posted on, or the error that refuses all of them."""

    unit: Unit
    is_new: bool = False
    refusal: WaybillError | None = None


def post(tenant: Tenant, item: Item) -> Posted:
    """Store a merchant's checkpoint. A repeated one returns the first one.

    Raises ``BusinessRuleViolated`` (order of statuses or times, a shipment booked at a carrier), ``Conflict`` (a unit
    of another store) and ``ValidationFailed`` (a time more than a day ahead). Nothing is stored then.
    """
    (outcome,) = post_many(tenant, [item], bind=True)
    if isinstance(outcome, WaybillError):
        raise outcome
    return outcome


def post_many(tenant: Tenant, items: Sequence[Item], *, bind: bool = False) -> list[Outcome]:
    """Store the valid items. Returns the outcome of each item, in order; a refusal is the exception itself.

    Items of one unit are applied in their order. ``bind`` ties the running Idempotency-Key to the one checkpoint.
    """
    for _attempt in range(_MAX_ATTEMPTS):
        try:
            with transaction.atomic():
                return _post_all(tenant, items, bind=bind)
        except IntegrityError as error:  # another request has created one of the units; the next attempt finds it
            problem = error
    raise problem


def get_posted(tenant: Tenant, checkpoint_id: uuid.UUID) -> Posted:
    """Return a checkpoint that an earlier request stored."""
    row = Checkpoint.objects.of(tenant).select_related("shipment").get(id=checkpoint_id)
    first = row.shipment.checkpoints.order_by("occurred_at", "id").values_list("id", flat=True).first()
    moment = Moment(row.occurred_at, row.occurred_text, row.tz_assumed)
    estimate = row.details.get("estimated_delivery")
    item = Item(
        row.shipment.tracking_number,
        row.status,
        row.location,
        row.description,
        moment,
        estimate and MomentField().to_internal_value(estimate),
    )
    return Posted(row.id, item, unit_created=first == row.id, repeated=True)


def _post_all(tenant: Tenant, items: Sequence[Item], *, bind: bool) -> list[Outcome]:
    by_unit: dict[str, list[tuple[int, Item]]] = defaultdict(list)
    for number, item in enumerate(items):
        by_unit[number_key(item.tracking_id)].append((number, item))
    units = _lock_units(tenant, by_unit.keys())
    targets = {key: _choose_target(tenant, posted[0][1].tracking_id, units[key]) for key, posted in by_unit.items()}
    plans = {name: _plan_unit(tenant, targets[name], by_unit[name], None) for name in by_unit}
    if undecided := [name for name, plan in plans.items() if plan is None]:
        known = _read_identities([targets[name].unit.id for name in undecided])
        for name in undecided:
            plans[name] = _plan_unit(tenant, targets[name], by_unit[name], known[targets[name].unit.id])
    _write(tenant, [plans[name] for name in sorted(plans)])
    outcomes = {number: outcome for plan in plans.values() for number, outcome in plan.outcomes.items()}
    if bind and isinstance(outcomes[0], Posted) and not outcomes[0].repeated:
        idempotency.bind(outcomes[0].checkpoint_id)
    return [outcomes[number] for number in range(len(items))]


def _lock_units(tenant: Tenant, numbers: Collection[str]) -> dict[str, list[Unit]]:
    """Lock the merchant's shipments by number, of all stores: a number is one unit for the whole merchant, in any case.

    Returns: the units by ``number_key``.
    """
    if len(numbers) == 1:
        rows = select_unit.all(tenant.merchant_id, tenant.mode, *numbers)
    else:
        selected = select_units(tenant.merchant_id, tenant.mode).filter(tracking_number__any_case_in=numbers)
        rows = selected.values_list(*Unit._fields)
    units: dict[str, list[Unit]] = defaultdict(list)
    for row in rows:
        unit = Unit(*row)
        units[number_key(unit.tracking_number)].append(unit)
    return units


def _choose_target(tenant: Tenant, number: str, units: Sequence[Unit]) -> _Target:
    """Choose the merchant's own unit with this number, or a new one.

    Older versions made two units of numbers that differ in case: the one with the same spelling is meant.
    """
    units = [unit for unit in units if unit.tracking_number == number] or units
    if foreign := [unit for unit in units if tenant.store_id not in (None, unit.store_id)]:
        text = _("This tracking id belongs to another store.")
        return _Target(foreign[0], refusal=Conflict(details={"tracking_id": [text]}))
    if own := [unit for unit in units if not unit.carrier]:
        return _Target(own[0])
    if units:
        text = _("This shipment was booked at %s, which alone reports its checkpoints.") % units[0].carrier_name
        return _Target(units[0], refusal=BusinessRuleViolated(details={"tracking_id": [text]}))
    return _Target(Unit(new_id(), number, tenant.store_id), is_new=True)


def _plan_unit(
    tenant: Tenant, target: _Target, items: Sequence[tuple[int, Item]], known: _Identities | None
) -> _Plan | None:
    """Run the state machine over one unit's items.

    ``known``: the unit's stored checkpoints, or None if they have not been read. Returns None if they have to be read
    to distinguish a repeated item from a wrong one.
    """
    plan = _Plan(target.unit, target.is_new)
    if target.refusal:
        plan.outcomes = {number: target.refusal for number, _item in items}
        return plan
    seen: dict[tuple[str, datetime, str], uuid.UUID] = dict(known or {})
    for number, item in items:
        problem = _check(plan.unit, item)
        # A valid item can be a repeated one only where the status may follow itself.
        is_doubtful = problem or (item.status == plan.unit.status and item.moment.at == plan.unit.last_at)
        if item.identity in seen:
            plan.outcomes[number] = Posted(seen[item.identity], replace(item, estimated_delivery=None), repeated=True)
        elif known is None and not target.is_new and is_doubtful:
            return None
        elif problem:
            plan.outcomes[number] = problem
        else:
            seen[item.identity] = _add_checkpoint(tenant, plan, number, item)
    return plan


def _check(unit: Unit, item: Item) -> WaybillError | None:
    if item.moment.at > timezone.now() + _MAX_AHEAD:
        return ValidationFailed(details={"timestamp": [_("This time lies in the future.")]})
    if item.moment.at < EARLIEST_TIME:
        return ValidationFailed(details={"timestamp": [_("This time is before the year 2000.")]})
    if item.status not in TRANSITIONS.get(unit.status, ()):
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


def _add_checkpoint(tenant: Tenant, plan: _Plan, number: int, item: Item) -> uuid.UUID:
    before, at, status = plan.unit, item.moment.at, str(item.status)
    plan.unit = before._replace(
        status=status,
        location=item.location,
        checkpoint_count=before.checkpoint_count + 1,
        first_at=before.first_at or at,
        last_at=at,
        picked_up_at=before.picked_up_at or (at if status == Status.PICKED_UP else None),
        delivered_at=at if status == Status.DELIVERED else None,
    )
    if deadline := item.deadline:
        promised = before.promised_delivery or deadline
        plan.unit = plan.unit._replace(estimated_delivery=deadline, estimated_at=at, promised_delivery=promised)
    row = CheckpointRow(
        id=new_id(),
        merchant=tenant.merchant_id,
        mode=str(tenant.mode),
        shipment=before.id,
        source="merchant",
        status=status,
        code=status,
        location=item.location,
        description=item.description,
        details={"estimated_delivery": item.shown_estimate} if deadline else {},
        occurred_at=at,
        occurred_text=item.moment.text,
        tz_assumed=item.moment.tz_assumed,
        created_at=timezone.now(),
    )
    plan.outcomes[number] = Posted(row.id, item, unit_created=plan.is_new and not plan.rows)
    plan.rows.append(row)
    plan.events += _build_events(tenant, plan.unit, row, before.status)
    return row.id


def _build_events(tenant: Tenant, unit: Unit, row: CheckpointRow, previous: str) -> list[events.EventRow]:
    facts = shipment_facts(unit)
    scan = scan_facts(
        row.id,
        status=row.status,
        code=row.code,
        description=row.description,
        location=row.location,
        occurred_at=row.occurred_at,
        tz_assumed=row.tz_assumed,
    )
    built = [events.build_row(SHIPMENT_CHECKPOINT, tenant=tenant, subject_id=unit.id, data=facts | scan)]
    if unit.status != previous:
        changed = facts | {"previous_status": previous or None}
        built.append(events.build_row(SHIPMENT_STATUS_CHANGED, tenant=tenant, subject_id=unit.id, data=changed))
    return built


def _read_identities(shipment_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, _Identities]:
    """Read the stored checkpoints of each unit."""
    known: dict[uuid.UUID, dict[tuple[str, datetime, str], uuid.UUID]] = defaultdict(dict)
    rows = Checkpoint.objects.filter(shipment_id__in=shipment_ids, source=Checkpoint.Source.MERCHANT)
    columns = ("id", "shipment_id", "status", "occurred_at", "location")
    for checkpoint_id, shipment_id, *identity in rows.values_list(*columns):
        known[shipment_id][tuple(identity)] = checkpoint_id
    return known


def _make_reference(tenant: Tenant, unit: Unit) -> str:
    """Return a unit's unique reference. It stops a second unit whose number differs only in case."""
    return f"WB{uuid.uuid5(tenant.merchant_id, f'{tenant.mode}:{number_key(unit.tracking_number)}').hex}"


def _write(tenant: Tenant, plans: Sequence[_Plan]) -> None:
    touched, now = [plan for plan in plans if plan.rows], timezone.now()
    created = [
        plan.unit + NewUnitRow(tenant.merchant_id, str(tenant.mode), _make_reference(tenant, plan.unit), now, now)
        for plan in touched
        if plan.is_new
    ]
    changed = [
        UnitChange(
            unit.id,
            status=unit.status,
            location=unit.location,
            checkpoint_count=unit.checkpoint_count,
            first_at=unit.first_at,
            last_at=unit.last_at,
            picked_up_at=unit.picked_up_at,
            delivered_at=unit.delivered_at,
            estimated_delivery=unit.estimated_delivery,
            estimated_at=unit.estimated_at,
            promised_delivery=unit.promised_delivery,
            updated_at=now,
        )
        for unit in (plan.unit for plan in touched if not plan.is_new)
    ]
    insert_units(created)
    for plan in touched:
        # The trigger that creates the search row lower-cases only ASCII letters.
        if plan.is_new and not plan.unit.tracking_number.isascii():
            number = fold_number(plan.unit.tracking_number)
            ShipmentSearch.objects.filter(shipment_id=plan.unit.id).update(tracking_number=number)
    insert_checkpoints([row for plan in touched for row in plan.rows])
    update_units(changed)
    events.record_all([event for plan in touched for event in plan.events])
