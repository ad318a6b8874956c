"""Statements that are written once: on the hottest paths the ORM writes its SQL longer than the database runs it.

What is written is what the ORM would write, from the models; values are converted by the models' own fields.
"""

from __future__ import annotations

import uuid
from collections import namedtuple
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from django.db import connection
from django.db.models import Field, Model, QuerySet

# From so many rows on, PostgreSQL takes them faster by COPY.
_COPY_FROM = 20


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
    """INSERT of model instances as they are: no signals, no savepoint."""

    def __init__(self, model: type[Model]) -> None:
        self._model = model

    def __call__(self, rows: Sequence[Model]) -> None:
        """Insert them in one statement."""
        if not rows:
            return
        fields = self._model._meta.concrete_fields
        values = [[field.get_db_prep_save(field.pre_save(row, True), connection) for field in fields] for row in rows]
        table, *columns = _quoted(self._model._meta.db_table, *(field.column for field in fields))
        target = f"{table} ({', '.join(columns)})"
        with connection.cursor() as cursor:
            if connection.vendor == "postgresql" and len(rows) >= _COPY_FROM:
                _copy(cursor, target, values)
            else:
                places = ", ".join([f"({', '.join(['%s'] * len(columns))})"] * len(rows))
                cursor.execute(f"INSERT INTO {target} VALUES {places}", [value for row in values for value in row])  # noqa: S608 names come from the model


class Update:
    """UPDATE of some columns of one row, or of many by ``executemany``, found by primary key."""

    def __init__(self, model: type[Model], *columns: str) -> None:
        self._fields: list[Field] = [model._meta.get_field(name) for name in columns]
        self._model = model

    def __call__(self, rows: Iterable[tuple[Any, Sequence[Any]]]) -> None:
        """``rows``: (primary key, the columns' values) of each."""
        pk = self._model._meta.pk
        table, key, *columns = _quoted(self._model._meta.db_table, pk.column, *(field.column for field in self._fields))
        values = [
            [
                *(field.get_db_prep_save(value, connection) for field, value in zip(self._fields, given, strict=True)),
                _adapted(found),
            ]
            for found, given in rows
        ]
        changes = ", ".join(f"{column} = %s" for column in columns)
        with connection.cursor() as cursor:
            cursor.executemany(f"UPDATE {table} SET {changes} WHERE {key} = %s", values)  # noqa: S608 names come from the model


def _copy(cursor: Any, target: str, rows: Iterable[Sequence[Any]]) -> None:
    with cursor.copy(f"COPY {target} FROM STDIN") as copy:
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
