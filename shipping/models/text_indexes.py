"""Indexes for the text filter of the list of units: the beginning of four columns, in any case.

Django's model indexes cannot declare them for both databases: PostgreSQL compares ``UPPER(…) LIKE``, SQLite ``LIKE``,
which uses an index only with its own collation. https://www.sqlite.org/optoverview.html#the_like_optimization
"""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.db import connections, migrations

from apikeys.db.triggers import is_fully_migrated

TABLE = "shipping_shipment"
SEARCHED = ("tracking_number", "order_id", "customer_reference", "recipient")


def create_statements(vendor: str) -> list[str]:
    """Return the statements that create the missing indexes. PostgreSQL leaves out empty values."""
    if vendor == "sqlite":
        columns = {name: f"{name} COLLATE NOCASE)" for name in SEARCHED}
    else:
        columns = {name: f"UPPER({name}::text) text_pattern_ops) WHERE {name} <> ''" for name in SEARCHED}
    return [
        f"CREATE INDEX IF NOT EXISTS shipment_text_{name} ON {TABLE} (merchant_id, mode, {column}"
        for name, column in columns.items()
    ]


def drop_statements(vendor: str) -> list[str]:
    """Return the statements that drop the indexes."""
    return [f"DROP INDEX IF EXISTS shipment_text_{name}" for name in SEARCHED]


def create_text_indexes() -> migrations.RunPython:
    """Return the migration operation that creates the indexes."""

    def execute(statements: Any) -> Any:
        def run(apps: Any, schema_editor: Any) -> None:
            for statement in statements(schema_editor.connection.vendor):
                schema_editor.execute(statement)

        return run

    return migrations.RunPython(execute(create_statements), execute(drop_statements))


def restore_text_indexes(sender: AppConfig, using: str, **kwargs: Any) -> None:
    """Create the indexes that SQLite dropped when a migration rebuilt the table (a ``post_migrate`` receiver)."""
    connection = connections[using]
    if is_fully_migrated(connection, sender.label):
        with connection.cursor() as cursor:
            for statement in create_statements(connection.vendor):
                cursor.execute(statement)
