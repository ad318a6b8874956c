"""Tables that only grow, kept so by the database itself.

Only old rows go, and only by the retention command: on PostgreSQL as a role of its own, which the web and worker
processes cannot take; on SQLite, which knows no roles, by lifting the triggers inside one exclusive transaction.
"""

from __future__ import annotations

from typing import Any

from django.db import migrations

RETENTION_ROLE = "waybill_retention"


def statements(vendor: str, table: str) -> list[str]:
    """The SQL that makes a table refuse UPDATE and DELETE."""
    if vendor == "sqlite":
        return [
            f"CREATE TRIGGER {table}_no_{verb} BEFORE {verb} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            for verb in ("update", "delete")
        ]
    return [
        f"CREATE FUNCTION {table}_refuse() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN IF TG_OP = 'DELETE' AND current_user = '{RETENTION_ROLE}' THEN RETURN OLD; END IF; "
        f"RAISE EXCEPTION '{table} is append-only'; END $$",
        f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table} "
        f"FOR EACH ROW EXECUTE FUNCTION {table}_refuse()",
    ]


def removal(vendor: str, table: str) -> list[str]:
    """The SQL that undoes ``statements``."""
    if vendor == "sqlite":
        return [f"DROP TRIGGER IF EXISTS {table}_no_{verb}" for verb in ("update", "delete")]
    return [f"DROP TRIGGER IF EXISTS {table}_append_only ON {table}", f"DROP FUNCTION IF EXISTS {table}_refuse()"]


def append_only(table: str) -> migrations.RunPython:
    """A migration operation."""

    def run(make: Any) -> Any:
        def execute(apps: Any, schema_editor: Any) -> None:
            for statement in make(schema_editor.connection.vendor, table):
                schema_editor.execute(statement)

        return execute

    return migrations.RunPython(run(renewal), run(removal))


def renewal(vendor: str, table: str) -> list[str]:
    """The statements for a table whose triggers are older, or gone: SQLite rebuilds a table to change it."""
    return removal(vendor, table) + statements(vendor, table)
