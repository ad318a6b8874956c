"""Print ``docs/errors.md``: the table of errors."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from operator import attrgetter
from typing import Any

from django.core.management.base import BaseCommand

from apikeys.http.errors import WaybillError

INTRODUCTION = """# Errors

Every response with a status of 400 or above has this JSON body:

    {"error": "validation_error", "message": "Some of the data is not valid.",
     "details": {"packages[0].weight_kg": ["…"]}, "correlation_id": "…"}

`details` names fields of your request. Carrier errors add `carrier`, `carrier_code`, `carrier_message` (the carrier's
text) and `retryable`. Every 429 has a `Retry-After` header, and so do other errors where waiting helps. Give the
`correlation_id` to support: it is on every line of our logs. "Retry" says whether it is safe to send the same request
again.

`python manage.py list_errors` prints this page from the code; a test compares the two.

| code | HTTP | when | retry |
|---|---|---|---|
"""


class Command(BaseCommand):
    help = "Print the table of all error codes (docs/errors.md)."

    def handle(self, *args: Any, **options: Any) -> None:
        rows = {WaybillError, *(error for error in _subclasses(WaybillError) if "message" in vars(error))}
        order = attrgetter("status", "code", "__module__", "__name__")
        self.stdout.write(INTRODUCTION + "\n".join(_row(error) for error in sorted(rows, key=order)))


def _subclasses(error: type[WaybillError]) -> Iterator[type[WaybillError]]:
    for child in error.__subclasses__():
        if child.__module__.endswith(".errors"):
            yield child
        yield from _subclasses(child)


def _row(error: type[WaybillError]) -> str:
    when = "An internal error of Waybill." if error is WaybillError else " ".join(inspect.getdoc(error).split())
    retry = "yes" if error.retryable else "no"
    return f"| `{error.code}` | {error.status} | {when.replace('``', '`').replace('|', '/')} | {retry} |"
