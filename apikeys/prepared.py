"""Queries that are written once: for the hottest reads the ORM writes longer than the database answers."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Sequence
from functools import cached_property
from threading import Lock
from typing import Any

from django.db import connection
from django.db.models import QuerySet


class Prepared:
    """A ``values_list`` of a queryset with one parameter, for which the queryset is built with ``PARAMETER``.

    Rows come as named tuples, converted as the ORM would. The SQL is the ORM's own, kept for each kind of database.
    """

    PARAMETER = "the parameter"

    def __init__(self, build: Callable[[str], QuerySet], columns: Sequence[str]) -> None:
        self._build, self._columns = build, columns
        self._statements: dict[str, tuple[str, Any]] = {}
        self._lock = Lock()

    def first(self, parameter: Any) -> Any | None:
        """The first row, or None."""
        sql, converters = self._statement()
        with connection.cursor() as cursor:
            cursor.execute(sql, [parameter])
            row = cursor.fetchone()
        return None if row is None else self._row(*_converted(row, converters))

    @cached_property
    def _row(self) -> Any:
        return namedtuple("Row", self._columns)

    def _statement(self) -> tuple[str, Any]:
        found = self._statements.get(connection.vendor)
        if found is None:
            with self._lock:
                found = self._statements[connection.vendor] = self._written()
        return found

    def _written(self) -> tuple[str, Any]:
        query = self._build(self.PARAMETER).order_by().values_list(*self._columns)[:1].query
        compiler = query.get_compiler(connection=connection)
        sql, parameters = compiler.as_sql()
        if tuple(parameters) != (self.PARAMETER,):
            raise ValueError(f"one parameter is expected, not {parameters}")
        return sql, compiler.get_converters([expression for expression, _sql, _alias in compiler.select])


def _converted(row: Sequence[Any], converters: dict[int, tuple[list[Callable], Any]]) -> list[Any]:
    values = list(row)
    for position, (functions, expression) in converters.items():
        for convert in functions:
            values[position] = convert(values[position], expression, connection)
    return values
