"""The table of faults, as it stands in ``docs/reliability.md``."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from carriers.adapters.operations import OPERATIONS, Effect, is_read
from carriers.adapters.registry import ADAPTERS
from carriers.http.faults import FAULTS, Ending, Fault

HEAD = """| what the carrier does | a read ends as | a write ends as | a login ends as |
|---|---|---|---|
"""


class Command(BaseCommand):
    help = "Print the table of what goes wrong at carriers and what becomes of it (docs/reliability.md)."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(table())


def table() -> str:
    """Markdown: the faults, then which operation of which carrier is a write."""
    return HEAD + "\n".join(_line(fault) for fault in FAULTS) + "\n\n" + "\n".join(_writes(slug) for slug in ADAPTERS)


def _line(fault: Fault) -> str:
    endings = (fault.read, fault.write, fault.login or fault.read)
    return f"| {fault.text} | " + " | ".join(_ending(one) for one in endings) + " |"


def _ending(ending: Ending) -> str:
    calls = f"{ending.calls} call" + "s" * (ending.calls > 1)
    if ending.error is None:
        return f"done, {calls}"
    return f"`{ending.error.__name__}` (`{ending.error.code}`, {ending.error.status}), {calls}"


def _writes(slug: str) -> str:
    adapter = ADAPTERS[slug]
    asked = [name for name in adapter.capabilities() if OPERATIONS[name] is not Effect.LOCAL]
    writes = ", ".join(f"`{name}`" for name in asked if not is_read(name))
    reads = ", ".join(f"`{name}`" for name in asked if is_read(name))
    return f"- {adapter.name}: writes {writes}; reads {reads}."
