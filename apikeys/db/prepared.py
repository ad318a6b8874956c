"""Statements that are written once: on the hottest paths the ORM writes its SQL longer than the database runs it.

Table and column names come from the models; so do the SELECTs, whole.
"""

from __future__ import annotations

import uuid
from collections import namedtuple
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import orjson
from django.db import connection
from django.db.models import DateTimeField, Field, JSONField, Model, QuerySet, UUIDField
from psycopg.types.json import Jsonb as PlainJsonb

# From so many rows on, PostgreSQL takes them faster by COPY and by arrays.
_MANY = 20


def Jsonb(value: Any) -> PlainJsonb:
    """A JSON value for psycopg."""
    return PlainJsonb(value, dumps=orjson.dumps)


class Select:
    """A ``values_list`` of a queryset with parameters.

    ``build`` makes the queryset for ``examples``, values that tell the parameters apart and stand nowhere else in it.
    Rows come as named tuples, converted as the ORM would.
    """

    def __init__(self, build: Callable[..., QuerySet], columns: Sequence[str], examples: Sequence[Any]) -> None:
        self._build, self._columns, self._examples = build, columns, examples
        self._written: dict[str, tuple[str, list[int], Any]] = {}
        self._row: Any = namedtuple("Row", columns)

    def all(self, *parameters: Any) -> list[Any]:
        """All rows."""
        sql, order, converters = self._statement()
        values = [_adapted(value) for value in parameters]
        with connection.cursor() as cursor:
            cursor.execute(sql, [values[position] for position in order])
            found = cursor.fetchall()
        return [self._row(*_converted(row, converters)) for row in found]

    def first(self, *parameters: Any) -> Any | None:
        """The first row, or None."""
        found = self.all(*parameters)
        return found[0] if found else None

    def _statement(self) -> tuple[str, list[int], Any]:
        written = self._written.get(connection.vendor)
        if written is None:
            written = self._written[connection.vendor] = self._write()
        return written

    def _write(self) -> tuple[str, list[int], Any]:
        compiler = self._build(*self._examples).values_list(*self._columns).query.get_compiler(connection=connection)
        sql, given = compiler.as_sql()
        examples = [_adapted(example) for example in self._examples]
        order = [examples.index(value) for value in given]
        return sql, order, compiler.get_converters([expression for expression, _sql, _alias in compiler.select])


class Insert:
    """INSERT of rows of plain values, in the order of ``columns``; a column that is left out must have a default.

    No instances, no signals, no savepoint.
    """

    def __init__(self, model: type[Model], *columns: str) -> None:
        self._table = model._meta.db_table
        self._fields = [model._meta.get_field(name) for name in columns]

    def __call__(self, rows: Sequence[Sequence[Any]]) -> None:
        """Insert them in one statement."""
        if not rows:
            return
        table, *columns = _quoted(self._table, *(field.column for field in self._fields))
        values = _adapted_rows(self._fields, rows)
        target = f"{table} ({', '.join(columns)})"
        with connection.cursor() as cursor:
            if connection.vendor == "postgresql" and len(rows) >= _MANY:
                _copy(cursor, target, values)
            else:
                places = ", ".join([f"({', '.join(['%s'] * len(columns))})"] * len(rows))
                cursor.execute(f"INSERT INTO {target} VALUES {places}", [value for row in values for value in row])  # noqa: S608 names come from the model


class Update:
    """UPDATE of some columns of rows found by primary key, each with values of its own."""

    def __init__(self, model: type[Model], *columns: str) -> None:
        self._table = model._meta.db_table
        self._fields: list[Field] = [model._meta.pk, *(model._meta.get_field(name) for name in columns)]

    def __call__(self, rows: Sequence[Sequence[Any]]) -> None:
        """``rows``: the primary key and the columns' values of each; many are one statement on PostgreSQL."""
        if not rows:
            return
        values = _adapted_rows(self._fields, rows)
        table, key, *columns = _quoted(self._table, *(field.column for field in self._fields))
        with connection.cursor() as cursor:
            if connection.vendor == "postgresql" and len(rows) >= _MANY:
                arrays = ", ".join(f"%s::{field.db_type(connection)}[]" for field in self._fields)
                changes = ", ".join(f"{column} = new.{column}" for column in columns)
                cursor.execute(
                    f"UPDATE {table} SET {changes} FROM unnest({arrays}) AS new({key}, {', '.join(columns)}) "  # noqa: S608 names come from the model
                    f"WHERE {table}.{key} = new.{key}",
                    [list(column) for column in zip(*values, strict=True)],
                )
                return
            changes = ", ".join(f"{column} = %s" for column in columns)
            sql = f"UPDATE {table} SET {changes} WHERE {key} = %s"  # noqa: S608 names come from the model
            for pk, *given in values:
                cursor.execute(sql, [*given, pk])


def _adapted_rows(fields: Sequence[Field], rows: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """Values as the driver takes them: psycopg knows all types but JSON, SQLite's knows few."""
    if connection.vendor == "postgresql":
        adapt = [Jsonb if isinstance(field, JSONField) else None for field in fields]
    else:
        adapt = [_for_sqlite(field) for field in fields]
    return [
        [value if change is None or value is None else change(value) for change, value in zip(adapt, row, strict=True)]
        for row in rows
    ]


def _for_sqlite(field: Field) -> Callable[[Any], Any] | None:
    while field.is_relation:
        field = field.target_field
    if isinstance(field, JSONField):
        return lambda value: orjson.dumps(value).decode()
    if isinstance(field, UUIDField):
        return lambda value: value.hex
    return connection.ops.adapt_datetimefield_value if isinstance(field, DateTimeField) else None


def _copy(cursor: Any, target: str, rows: Iterable[Sequence[Any]]) -> None:
    with connection.wrap_database_errors, cursor.copy(f"COPY {target} FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def _quoted(*names: str) -> list[str]:
    return [connection.ops.quote_name(name) for name in names]


def _adapted(value: Any) -> Any:
    if isinstance(value, uuid.UUID) and not connection.features.has_native_uuid_field:
        return value.hex
    return value


def _converted(row: Sequence[Any], converters: dict[int, tuple[list[Callable], Any]]) -> list[Any]:
    values = list(row)
    for position, (functions, expression) in converters.items():
        for convert in functions:
            values[position] = convert(values[position], expression, connection)
    return values
