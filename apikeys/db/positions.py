"""Positions of rows in the order of their transactions, for feeds that skip no transaction that commits late.

On PostgreSQL a row's position is the number of its transaction. A feed returns only rows before the oldest transaction
that is still running, so nothing can be added before a position that a reader has passed. Writers need no lock. A long
transaction delays the feed and loses nothing. SQLite has one writer at a time, so there a trigger numbers the rows.

Rows of one transaction share a position on PostgreSQL; (position, id) is the order.
"""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.db import connections
from django.db.models import BigIntegerField, Expression

# Functions of PostgreSQL. Both add the same number, which ``restore_functions`` raises.
_CURRENT, _SETTLED = "waybill_position", "waybill_settled_position"
_FUNCTIONS = f"""
CREATE OR REPLACE FUNCTION {_CURRENT}() RETURNS bigint LANGUAGE sql STABLE AS
  'SELECT pg_current_xact_id()::text::bigint + {{base}}';
CREATE OR REPLACE FUNCTION {_SETTLED}() RETURNS bigint LANGUAGE sql STABLE AS
  'SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint + {{base}}';
"""
_MARGIN = 1_000_000
_LATEST = 10_000
_NOW_MS = "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"


class _PostgresFunction(Expression):
    """A call of one of our functions; ``other`` is the SQL of other databases."""

    allowed_default = True
    name = ""
    other = ""

    def __init__(self) -> None:
        super().__init__(output_field=BigIntegerField())

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
        return self.other, []

    def as_postgresql(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
        return f"{self.name}()", []


class CurrentPosition(_PostgresFunction):
    """The position of rows that the running transaction inserts: the default of a column.

    A trigger replaces NULL on SQLite (``number_row``).
    """

    name, other = _CURRENT, "NULL"

    def deconstruct(self) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
        return "apikeys.db.positions.CurrentPosition", (), {}


class SettledPosition(_PostgresFunction):
    """The first position at which rows may still be added. The rows of a statement's snapshot before it are final."""

    # On SQLite every row that a statement sees is final.
    name, other = _SETTLED, "9223372036854775807"


def next_position(table: str) -> str:
    """Return an expression of SQLite for the position of new rows, for INSERT statements.

    The table's implicit rowid is the order of insertion. The time keeps positions growing after all rows were deleted.
    """
    latest = f"SELECT position FROM {table} ORDER BY rowid DESC LIMIT 1"  # noqa: S608 the table name is a constant
    return f"MAX(COALESCE(({latest}), 0) + 1, {_NOW_MS})"


def number_row(table: str) -> str:
    """Return the body of a SQLite trigger that numbers a new row which was inserted without ``next_position``."""
    latest = f"SELECT position FROM {table} WHERE rowid < NEW.rowid ORDER BY rowid DESC LIMIT 1"  # noqa: S608 the table name is a constant
    return f"UPDATE {table} SET position = MAX(COALESCE(({latest}), 0) + 1, {_NOW_MS}) WHERE id = NEW.id;"  # noqa: S608 the table name is a constant


def number_missing(table: str) -> str:
    """Return a statement of SQLite that numbers rows which were inserted without the trigger."""
    return f"UPDATE {table} SET position = {_NOW_MS} WHERE position IS NULL"  # noqa: S608 the table name is a constant


def create_functions(connection: Any, base: int = 0) -> None:
    """Create or replace the functions of PostgreSQL."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(_FUNCTIONS.format(base=base))


def restore_functions(sender: AppConfig, using: str, **_: Any) -> None:
    """Continue the positions after a dump was restored in a cluster that counts transactions from the start.

    A ``post_migrate`` receiver.
    """
    connection = connections[using]
    model = sender.get_model("Event")
    if connection.vendor != "postgresql" or not any(
        field.name == "position" and _has_column(connection, model, field) for field in model._meta.fields
    ):
        return
    table = model._meta.db_table
    with connection.cursor() as cursor:
        # Of the latest rows, which may all be newer than the dump, and of those that the audit feed's index has.
        cursor.execute(
            "SELECT GREATEST("  # noqa: S608 our own names
            f"(SELECT MAX(position) FROM (SELECT position FROM {table} ORDER BY id DESC LIMIT {_LATEST}) AS latest), "
            f"(SELECT MAX(position) FROM {table} WHERE NOT (visibility = 'public'))), "
            f"{_CURRENT}(), pg_current_xact_id()::text::bigint"
        )
        latest, current, transaction = cursor.fetchone()
    if latest is not None and latest > current:
        create_functions(connection, base=latest + _MARGIN - transaction)


def _has_column(connection: Any, model: Any, field: Any) -> bool:
    with connection.cursor() as cursor:
        columns = connection.introspection.get_table_description(cursor, model._meta.db_table)
    return any(column.name == field.column for column in columns)
