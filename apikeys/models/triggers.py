"""Triggers of the event table: it is append-only, public events enter the outbox, and SQLite numbers the rows."""

from __future__ import annotations

from apikeys.db.positions import number_missing, number_row
from apikeys.db.triggers import Trigger, declare, refuse_changes

_EVENTS = "apikeys_event"


def _append_only_triggers(vendor: str) -> list[Trigger]:
    triggers = refuse_changes(_EVENTS, unless="OLD.position IS NULL")(vendor)
    if vendor == "sqlite":
        body = number_row(_EVENTS)
        triggers.append(Trigger(f"{_EVENTS}_position", _EVENTS, "AFTER INSERT", "WHEN NEW.position IS NULL", body))
    return triggers


def _missing_positions(vendor: str) -> list[str]:
    return [number_missing(_EVENTS)] if vendor == "sqlite" else []


APPEND_ONLY_EVENTS = declare("apikeys.append_only_events", _append_only_triggers, repair=_missing_positions)


def _outbox_triggers(vendor: str) -> list[Trigger]:
    condition = "NEW.visibility = 'public' AND NEW.merchant_id IS NOT NULL"
    insert = "INSERT INTO apikeys_outbox (event_id) VALUES (NEW.id);"
    if vendor == "sqlite":
        scope, body = f"WHEN {condition}", insert
    else:
        scope, body = f"FOR EACH ROW WHEN ({condition})", f"{insert} RETURN NULL;"
    return [Trigger("apikeys_event_to_outbox", _EVENTS, "AFTER INSERT", scope, body)]


OUTBOX = declare("apikeys.outbox", _outbox_triggers)
