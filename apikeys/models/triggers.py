"""Triggers of the event table: it is append-only, and public events of merchants enter the outbox."""

from __future__ import annotations

from apikeys.db.triggers import Trigger, declare, refuse_changes

APPEND_ONLY_EVENTS = declare("apikeys.append_only_events", refuse_changes("apikeys_event"))


def _outbox_triggers(vendor: str) -> list[Trigger]:
    condition = "NEW.visibility = 'public' AND NEW.merchant_id IS NOT NULL"
    insert = "INSERT INTO apikeys_outbox (event_id) VALUES (NEW.id);"
    if vendor == "sqlite":
        scope, body = f"WHEN {condition}", insert
    else:
        scope, body = f"FOR EACH ROW WHEN ({condition})", f"{insert} RETURN NULL;"
    return [Trigger("apikeys_event_to_outbox", "apikeys_event", "AFTER INSERT", scope, body)]


OUTBOX = declare("apikeys.outbox", _outbox_triggers)
