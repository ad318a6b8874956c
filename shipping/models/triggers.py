"""Triggers of this app: checkpoints never change, and every change of a shipment is counted.

Only the status of a checkpoint with an unknown code may be set, when operations staff map the code.
"""

from __future__ import annotations

from apikeys.db.triggers import Trigger, declare
from shipping.models.counting import SHIPMENTS, append, facts, repair, tallies

CHECKPOINTS = "shipping_checkpoint"
# All columns but the status.
_FROZEN_COLUMNS = (
    "id",
    "merchant_id",
    "mode",
    "shipment_id",
    "source",
    "code",
    "description",
    "location",
    "occurred_at",
    "occurred_text",
    "tz_assumed",
    "created_at",
    "details",
)
# No count depends on the other columns.
_COUNTED_COLUMNS = (
    "merchant_id",
    "mode",
    "store_id",
    "carrier",
    "booking_state",
    "status",
    "checkpoint_count",
    "first_at",
    "picked_up_at",
    "delivered_at",
    "promised_delivery",
    "origin",
    "destination",
)


def _frozen_checkpoints(vendor: str) -> list[Trigger]:
    message = "a checkpoint is never changed"
    differs = "IS NOT" if vendor == "sqlite" else "IS DISTINCT FROM"
    changed = " OR ".join(f"OLD.{column} {differs} NEW.{column}" for column in _FROZEN_COLUMNS)
    condition = f"OLD.status <> 'unknown' OR {changed}"
    if vendor == "sqlite":
        on_delete, on_update, body = "", f"WHEN {condition}", f"SELECT RAISE(ABORT, '{message}');"
    else:
        on_delete, on_update = "FOR EACH ROW", f"FOR EACH ROW WHEN ({condition})"
        body = f"RAISE EXCEPTION '{message}';"
    function = f"{CHECKPOINTS}_refuse"
    return [
        Trigger(f"{CHECKPOINTS}_no_delete", CHECKPOINTS, "BEFORE DELETE", on_delete, body, function),
        Trigger(f"{CHECKPOINTS}_no_update", CHECKPOINTS, "BEFORE UPDATE", on_update, body, function),
    ]


FROZEN_CHECKPOINTS = declare("shipping.frozen_checkpoints", _frozen_checkpoints)


def _counts(vendor: str) -> list[Trigger]:
    """One trigger per verb; it runs once per statement on PostgreSQL and once per row on SQLite."""
    verbs = {"insert": ("added",), "update": ("added", "removed"), "delete": ("removed",)}
    versions = {"added": ("NEW", ""), "removed": ("OLD", "-")}
    triggers = []
    for verb, sides in verbs.items():
        name, timing = f"{SHIPMENTS}_counted_on_{verb}", f"AFTER {verb}"
        if vendor == "sqlite":
            changed = " OR ".join(f"OLD.{column} IS NOT NEW.{column}" for column in _COUNTED_COLUMNS)
            scope = f"WHEN {changed}" if verb == "update" else ""
            selects = [(f"{versions[side][0]}.", "", versions[side][1]) for side in sides]
        else:
            tables = " ".join(f"{versions[side][0]} TABLE AS {side}" for side in sides)
            scope = f"REFERENCING {tables} FOR EACH STATEMENT"
            selects = [("r.", f"{side} r", versions[side][1]) for side in sides]
        inserts = [
            append(tally, *(facts(tally, row, source, sign) for row, source, sign in selects))
            for tally in tallies(vendor)
        ]
        body = "; ".join(inserts) + (";" if vendor == "sqlite" else "; RETURN NULL;")
        triggers.append(Trigger(name, SHIPMENTS, timing, scope, body))
    return triggers


COUNTS = declare("shipping.counts", _counts, repair=repair)
