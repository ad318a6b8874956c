"""The outbox fills itself: a trigger puts each public event of a merchant into it, in the event's own statement."""

from __future__ import annotations

from typing import Any

from django.db import migrations

_CONDITION = "NEW.visibility = 'public' AND NEW.merchant_id IS NOT NULL"
_INSERT = "INSERT INTO apikeys_outbox (event_id) VALUES (NEW.id);"
_TRIGGER = "apikeys_event_to_outbox"


def statements(vendor: str) -> list[str]:
    """The SQL that makes the trigger."""
    if vendor == "sqlite":
        return [f"CREATE TRIGGER {_TRIGGER} AFTER INSERT ON apikeys_event WHEN {_CONDITION} BEGIN {_INSERT} END"]
    return [
        f"CREATE FUNCTION {_TRIGGER}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {_INSERT} RETURN NULL; END $$",
        f"CREATE TRIGGER {_TRIGGER} AFTER INSERT ON apikeys_event FOR EACH ROW WHEN ({_CONDITION}) "
        f"EXECUTE FUNCTION {_TRIGGER}()",
    ]


def removal(vendor: str) -> list[str]:
    """The SQL that undoes ``statements``."""
    if vendor == "sqlite":
        return [f"DROP TRIGGER IF EXISTS {_TRIGGER}"]
    return [f"DROP TRIGGER IF EXISTS {_TRIGGER} ON apikeys_event", f"DROP FUNCTION IF EXISTS {_TRIGGER}()"]


def self_filling() -> migrations.RunPython:
    """A migration operation; to be repeated after one that makes SQLite rebuild the table of events."""

    def run(*makers: Any) -> Any:
        def execute(apps: Any, schema_editor: Any) -> None:
            for make in makers:
                for statement in make(schema_editor.connection.vendor):
                    schema_editor.execute(statement)

        return execute

    return migrations.RunPython(run(removal, statements), run(removal))
