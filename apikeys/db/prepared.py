"""SQL compiled once per process, and sent to PostgreSQL as prepared statements.

On hot paths the ORM takes longer to build a query than PostgreSQL to run it. Table and column names, and whole SELECTs,
come from the models.
"""

from __future__ import annotations

import uuid
from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson
from django.db import connection
from django.db.models import DateTimeField, Field, JSONField, Model, QuerySet, UUIDField
from psycopg.types.json import Jsonb as PlainJsonb

# With at least this many rows, COPY and arrays are faster on PostgreSQL.
_MANY = 20


def Jsonb(value: Any) -> PlainJsonb:
    """Wrap a JSON value for psycopg."""
    return PlainJsonb(value, dumps=orjson.dumps)


class Select:
    """A ``values_list`` of a queryset with parameters.

    Args:
        build: makes the queryset from parameter values.
        columns: names as for ``values_list``.
        examples: one value per parameter. They must differ from each other and from every constant in the queryset,
            since the parameters are found in the compiled SQL by these values.

    Rows are named tuples with the values that the ORM would return.
    """

    def __init__(self, build: Callable[..., QuerySet], columns: Sequence[str], examples: Sequence[Any]) -> None:
        self._build, self._columns, self._examples = build, columns, examples
        self._compiled: dict[str, tuple[str, list[int], Any]] = {}
        self._row: Any = namedtuple("Row", columns)

    def all(self, *parameters: Any) -> list[Any]:
        """Return all rows."""
        if connection.vendor not in self._compiled:
            self._compiled[connection.vendor] = self._compile()
        sql, order, converters = self._compiled[connection.vendor]
        values = [_adapt_uuid(value) for value in parameters]
        with prepared_cursor() as cursor:
            cursor.execute(sql, [values[position] for position in order])
            rows = cursor.fetchall()
        if converters:
            rows = [_convert(row, converters) for row in rows]
        return [self._row(*row) for row in rows]

    def first(self, *parameters: Any) -> Any | None:
        """Return the first row, or None."""
        rows = self.all(*parameters)
        return rows[0] if rows else None

    def _compile(self) -> tuple[str, list[int], Any]:
        """Return the SQL, the position of each placeholder's parameter, and the converters by column."""
        compiler = self._build(*self._examples).values_list(*self._columns).query.get_compiler(connection=connection)
        sql, placeholders = compiler.as_sql()
        examples = [_adapt_uuid(example) for example in self._examples]
        order = [examples.index(value) for value in placeholders]
        return sql, order, compiler.get_converters([expression for expression, _sql, _alias in compiler.select])


class Insert:
    """INSERT of rows of plain values, in the order of ``columns``; a column that is left out must have a default.

    It makes no instances, sends no signals and needs no savepoint. ``on_sqlite`` has SQL for further columns there.
    """

    def __init__(self, model: type[Model], *columns: str, on_sqlite: Mapping[str, str] | None = None) -> None:
        self._table, self._on_sqlite = model._meta.db_table, dict(on_sqlite or {})
        self._fields = [model._meta.get_field(name) for name in columns]

    def __call__(self, rows: Sequence[Sequence[Any]]) -> None:
        """Insert the rows with one statement."""
        if not rows:
            return
        table, *columns = _quote_names(self._table, *(field.column for field in self._fields))
        values = _adapt_rows(self._fields, rows)
        computed = {} if connection.vendor == "postgresql" else self._on_sqlite
        target = f"{table} ({', '.join([*columns, *_quote_names(*computed)])})"
        with prepared_cursor() as cursor:
            if connection.vendor == "postgresql" and len(rows) >= _MANY:
                with connection.wrap_database_errors, cursor.copy(f"COPY {target} FROM STDIN") as copy:
                    for row in values:
                        copy.write_row(row)
            else:
                marks = ", ".join([f"({', '.join([*['%s'] * len(columns), *computed.values()])})"] * len(rows))
                cursor.execute(f"INSERT INTO {target} VALUES {marks}", [value for row in values for value in row])  # noqa: S608 names come from the model


class Update:
    """UPDATE of some columns of rows found by primary key, each with its own values."""

    def __init__(self, model: type[Model], *columns: str) -> None:
        self._table = model._meta.db_table
        self._fields: list[Field] = [model._meta.pk, *(model._meta.get_field(name) for name in columns)]

    def __call__(self, rows: Sequence[Sequence[Any]]) -> None:
        """Update rows, each given as its primary key and the columns' values.

        Many rows are one statement on PostgreSQL.
        """
        if not rows:
            return
        values = _adapt_rows(self._fields, rows)
        table, key, *columns = _quote_names(self._table, *(field.column for field in self._fields))
        with prepared_cursor() as cursor:
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
            for pk, *new in values:
                cursor.execute(sql, [*new, pk])


def prepared_cursor() -> Any:
    """Return a cursor that prepares repeated statements on PostgreSQL, and a plain one on SQLite."""
    return connection.prepared_cursor() if connection.vendor == "postgresql" else connection.cursor()


def _adapt_rows(fields: Sequence[Field], rows: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """Return the values in types that the driver takes: psycopg knows all but JSON, sqlite3 only a few."""
    if connection.vendor == "postgresql":
        adapters = [Jsonb if isinstance(field, JSONField) else None for field in fields]
    else:
        adapters = [_sqlite_adapter(field) for field in fields]
    return [
        [value if adapt is None or value is None else adapt(value) for adapt, value in zip(adapters, row, strict=True)]
        for row in rows
    ]


def _sqlite_adapter(field: Field) -> Callable[[Any], Any] | None:
    while field.is_relation:
        field = field.target_field
    if isinstance(field, JSONField):
        return lambda value: orjson.dumps(value).decode()
    if isinstance(field, UUIDField):
        return lambda value: value.hex
    return connection.ops.adapt_datetimefield_value if isinstance(field, DateTimeField) else None


def _quote_names(*names: str) -> list[str]:
    return [connection.ops.quote_name(name) for name in names]


def _adapt_uuid(value: Any) -> Any:
    if isinstance(value, uuid.UUID) and not connection.features.has_native_uuid_field:
        return value.hex
    return value


def _convert(row: Sequence[Any], converters: dict[int, tuple[list[Callable], Any]]) -> list[Any]:
    """Apply the ORM's converters to a row."""
    values = list(row)
    for position, (functions, expression) in converters.items():
        for convert in functions:
            values[position] = convert(values[position], expression, connection)
    return values
