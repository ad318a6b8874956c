"""Prefix search that an index serves on PostgreSQL and SQLite alike.

Both compare a prefix as a range: ``LIKE`` uses an index only with another operator class or collation per database,
and on PostgreSQL not in a prepared statement.
"""

from __future__ import annotations

import unicodedata
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db.models import CharField, Func, Lookup, Q, TextField

# Sorts after every text that continues a prefix.
LAST_CHARACTER = "\U0010ffff"


def fold(text: Any) -> str:
    """Return a text for comparison: without accents, case and repeated blanks."""
    decomposed = unicodedata.normalize("NFKD", str(text or "").replace("\x00", ""))
    return " ".join("".join(one for one in decomposed if not unicodedata.combining(one)).casefold().split())


def fold_number(text: Any) -> str:
    """Return a number or code for comparison: folded, without blanks."""
    return fold(text).replace(" ", "")


def reversed_digits(text: Any) -> str:
    """Return the digits of a phone number from the last to the first.

    A prefix of them is the end of the number: callers leave out the country code, or write it as ``+`` or ``00``.
    """
    return "".join(one for one in fold(text) if one.isascii() and one.isdigit())[::-1]


def starts_with(column: str, text: str) -> Q:
    """Return the condition that a ``FoldedField`` starts with a folded text."""
    return Q(**{f"{column}__gte": text, f"{column}__lt": text + LAST_CHARACTER})


class FoldedField(CharField):
    """A folded text, compared byte by byte, or null."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("null", True)
        super().__init__(*args, **kwargs)

    def db_parameters(self, connection: Any) -> dict[str, Any]:
        # The order of other collations is not that of prefixes. SQLite's default compares bytes.
        return super().db_parameters(connection) | {"collation": "C" if connection.vendor == "postgresql" else None}


class CaseKey(Func):
    """A column in upper case, compared byte by byte; for the index under a ``prefix`` lookup.

    SQLite changes the case of ASCII letters only.
    """

    function = "UPPER"
    arity = 1
    output_field = CharField()

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, template='(UPPER((%(expressions)s)::text) COLLATE "C")', **context)


@CharField.register_lookup
@TextField.register_lookup
class Prefix(Lookup):
    """``name__prefix="acm"``: the column starts with the text, in any case. Needs an index on ``CaseKey``."""

    lookup_name = "prefix"
    prepare_rhs = False

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
        key, key_params = compiler.compile(CaseKey(self.lhs))
        text = "UPPER(%s::text)" if connection.vendor == "postgresql" else "UPPER(%s)"
        value = str(self.rhs).replace("\x00", "")
        params = [*key_params, value, *key_params, value, LAST_CHARACTER]
        return f"({key} >= {text} AND {key} < ({text} || %s))", params


@CharField.register_lookup
@TextField.register_lookup
class AnyCase(Lookup):
    """``name__any_case="acm"``: the column is the text, or another column, in any case.

    Uses the index on ``CaseKey``, as ``prefix``.
    """

    lookup_name = "any_case"
    prepare_rhs = False

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
        key, key_params = compiler.compile(CaseKey(self.lhs))
        text, params = self.process_rhs(compiler, connection)
        cast = "::text" if connection.vendor == "postgresql" else ""
        return f"{key} = UPPER({text}{cast})", [*key_params, *params]


@CharField.register_lookup
@TextField.register_lookup
class AnyCaseIn(Lookup):
    """``name__any_case_in=[…]``: the column is one of the texts, in any case."""

    lookup_name = "any_case_in"
    prepare_rhs = False

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
        key, key_params = compiler.compile(CaseKey(self.lhs))
        text = "UPPER(%s::text)" if connection.vendor == "postgresql" else "UPPER(%s)"
        texts = list(self.rhs)
        if not texts:
            raise EmptyResultSet
        return f"{key} IN ({', '.join([text] * len(texts))})", [*key_params, *texts]
