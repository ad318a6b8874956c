"""The table of errors, as it stands in ``docs/errors.md``."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from django.apps import apps
from django.core.management.base import BaseCommand
from django.utils.module_loading import module_has_submodule

from apikeys.http.errors import WaybillError

INTRODUCTION = """# Errors

Every answer of 400 and above has one shape, always in JSON:

    {"error": "validation_error", "message": "Some of the data is not valid.",
     "details": {"packages[0].weight_kg": ["…"]}, "correlation_id": "…"}

`details` names fields of your request. Trouble with a carrier adds `carrier`, `carrier_code`, `carrier_message` (its
own words) and `retryable`. `Retry-After` stands on every 429, and where waiting helps. Give the `correlation_id` to
support: it is on every line of our logs. "Again" says whether the same request may be sent again without harm.

This table is written from the code by `python manage.py list_errors`; a test compares the two.

| code | HTTP | when | again |
|---|---|---|---|
"""


class Command(BaseCommand):
    help = "Print the table of all error codes (docs/errors.md)."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(INTRODUCTION + "\n".join(_line(kind) for kind in _kinds()))


def _kinds() -> list[type[WaybillError]]:
    for app in apps.get_app_configs():
        if module_has_submodule(app.module, "errors"):
            import_module(f"{app.name}.errors")
    speaking = [kind for kind in _below(WaybillError) if "message" in vars(kind)]
    return sorted({WaybillError, *speaking}, key=lambda kind: (kind.status, kind.code, kind.__module__, kind.__name__))


def _below(kind: type[WaybillError]) -> Iterator[type[WaybillError]]:
    for child in kind.__subclasses__():
        if child.__module__.endswith(".errors"):
            yield child
        yield from _below(child)


def _line(kind: type[WaybillError]) -> str:
    when = "Something broke on our side." if kind is WaybillError else " ".join(inspect.getdoc(kind).split())
    again = "yes" if kind.retryable else "no"
    return f"| `{kind.code}` | {kind.status} | {when.replace('``', '`').replace('|', '/')} | {again} |"
