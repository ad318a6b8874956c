"""Indexes under the text filter of the list of shipments: the beginning of each of these, in any case.

No index of Django's serves both: PostgreSQL compares ``UPPER(…) LIKE``, SQLite ``LIKE``, which needs its own collation.
https://www.sqlite.org/optoverview.html#the_like_optimization
"""

from __future__ import annotations

from typing import Any

from django.db import migrations

TABLE = "shipping_shipment"
SEARCHED = ("tracking_number", "order_id", "customer_reference", "recipient")


def _name(column: str) -> str:
    return f"shipment_text_{column}"


def statements(vendor: str) -> list[str]:
    """The SQL that makes them; what is empty is left out where the database can tell."""
    if vendor == "sqlite":
        return [
            f"CREATE INDEX {_name(column)} ON {TABLE} (merchant_id, mode, {column} COLLATE NOCASE)"
            for column in SEARCHED
        ]
    return [
        f"CREATE INDEX {_name(column)} ON {TABLE} (merchant_id, mode, UPPER({column}::text) text_pattern_ops) "
        f"WHERE {column} <> ''"
        for column in SEARCHED
    ]


def removal(vendor: str) -> list[str]:
    """The SQL that undoes ``statements``."""
    return [f"DROP INDEX IF EXISTS {_name(column)}" for column in SEARCHED]


def searchable() -> migrations.RunPython:
    """A migration operation; to be repeated after one that makes SQLite rebuild the table of shipments."""

    def run(*makers: Any) -> Any:
        def execute(apps: Any, schema_editor: Any) -> None:
            for make in makers:
                for statement in make(schema_editor.connection.vendor):
                    schema_editor.execute(statement)

        return execute

    return migrations.RunPython(run(removal, statements), run(removal))
