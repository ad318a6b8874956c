"""Triggers of this app: checkpoints never change, changes of shipments are counted, new units are searchable.

Only the status of a checkpoint with an unknown code may be set, when operations staff map the code.
"""

from __future__ import annotations

from apikeys.db.triggers import Trigger, declare, refuse_changes
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
    "parcel",
    "reported_by",
    "location_key",
    "suspect_time",
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
FROZEN_REPORTS = declare("shipping.frozen_reports", refuse_changes("shipping_checkpointreport"))


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


_SEARCH_COLUMNS = "INSERT INTO shipping_shipmentsearch (shipment_id, tracking_number, reference)"
_SEARCH_VALUES = "{r}id, NULLIF(lower(replace({r}tracking_number, ' ', '')), ''), lower({r}reference)"


def _search_rows(vendor: str) -> list[Trigger]:
    """Store the search rows of self-tracked units, which need no statement of their own then.

    ``Shipment.save`` stores those of shipments bought at a carrier.
    """
    name = f"{SHIPMENTS}_searched"
    if vendor == "sqlite":
        values = _SEARCH_VALUES.replace("{r}", "NEW.")
        insert = f"{_SEARCH_COLUMNS} VALUES ({values}) ON CONFLICT DO NOTHING;"
        return [Trigger(name, SHIPMENTS, "AFTER INSERT", "WHEN NEW.booking_state = 'none'", insert)]
    values = _SEARCH_VALUES.replace("{r}", "r.")
    insert = f"{_SEARCH_COLUMNS} SELECT {values} FROM added r WHERE r.booking_state = 'none' ON CONFLICT DO NOTHING;"  # noqa: S608 our own names
    scope = "REFERENCING NEW TABLE AS added FOR EACH STATEMENT"
    return [Trigger(name, SHIPMENTS, "AFTER INSERT", scope, f"{insert} RETURN NULL;")]


def _missing_search_rows(vendor: str) -> list[str]:
    values = _SEARCH_VALUES.replace("{r}", "r.")
    has_none = "NOT EXISTS (SELECT 1 FROM shipping_shipmentsearch s WHERE s.shipment_id = r.id)"
    return [f"{_SEARCH_COLUMNS} SELECT {values} FROM {SHIPMENTS} r WHERE r.booking_state = 'none' AND {has_none}"]  # noqa: S608 our own names


SEARCH_ROWS = declare("shipping.search_rows", _search_rows, repair=_missing_search_rows)
