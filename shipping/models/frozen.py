"""Checkpoints never change, kept so by the database itself.

Only the status of one whose code nobody knew may be set, once operations staff have placed the code.
"""

from __future__ import annotations

from typing import Any

from django.db import migrations

TABLE = "shipping_checkpoint"
_MESSAGE = "a checkpoint is never changed"
# Everything but the status.
_KEPT = (
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
)


def statements(vendor: str) -> list[str]:
    """The SQL that makes the triggers."""
    if vendor == "sqlite":
        changed = " OR ".join(f"OLD.{column} IS NOT NEW.{column}" for column in (*_KEPT, "details"))
        return [
            f"CREATE TRIGGER {TABLE}_no_delete BEFORE DELETE ON {TABLE} BEGIN SELECT RAISE(ABORT, '{_MESSAGE}'); END",
            f"CREATE TRIGGER {TABLE}_no_update BEFORE UPDATE ON {TABLE} WHEN OLD.status <> 'unknown' OR {changed} "
            f"BEGIN SELECT RAISE(ABORT, '{_MESSAGE}'); END",
        ]
    changed = " OR ".join(f"OLD.{column} IS DISTINCT FROM NEW.{column}" for column in (*_KEPT, "details"))
    return [
        f"CREATE FUNCTION {TABLE}_refuse() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{_MESSAGE}'; END $$",
        f"CREATE TRIGGER {TABLE}_no_delete BEFORE DELETE ON {TABLE} FOR EACH ROW EXECUTE FUNCTION {TABLE}_refuse()",
        f"CREATE TRIGGER {TABLE}_no_update BEFORE UPDATE ON {TABLE} FOR EACH ROW "
        f"WHEN (OLD.status <> 'unknown' OR {changed}) EXECUTE FUNCTION {TABLE}_refuse()",
    ]


def removal(vendor: str) -> list[str]:
    """The SQL that undoes ``statements``."""
    names = [f"{TABLE}_no_delete", f"{TABLE}_no_update"]
    if vendor == "sqlite":
        return [f"DROP TRIGGER IF EXISTS {name}" for name in names]
    return [
        *(f"DROP TRIGGER IF EXISTS {name} ON {TABLE}" for name in names),
        f"DROP FUNCTION IF EXISTS {TABLE}_refuse()",
    ]


def frozen() -> migrations.RunPython:
    """A migration operation; to be repeated after one that makes SQLite rebuild the table."""

    def run(*makers: Any) -> Any:
        def execute(apps: Any, schema_editor: Any) -> None:
            for make in makers:
                for statement in make(schema_editor.connection.vendor):
                    schema_editor.execute(statement)

        return execute

    return migrations.RunPython(run(removal, statements), run(removal))
