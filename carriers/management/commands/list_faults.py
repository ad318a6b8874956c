"""Print the table of faults for ``docs/reliability.md``."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from carriers.adapters.operations import OPERATIONS, Effect, is_read
from carriers.adapters.registry import ADAPTERS
from carriers.http.faults import FAULTS, Result

HEAD = """| fault | read | write | login |
|---|---|---|---|
"""


class Command(BaseCommand):
    help = "Print the table of carrier faults and their results (docs/reliability.md)."

    def handle(self, *args: Any, **options: Any) -> None:
        lines = []
        for fault in FAULTS:
            results = (fault.read, fault.write, fault.login or fault.read)
            lines.append(f"| {fault.text} | " + " | ".join(map(format_result, results)) + " |")
        self.stdout.write(HEAD + "\n".join(lines) + "\n\n" + "\n".join(map(list_operations, ADAPTERS)))


def format_result(result: Result) -> str:
    """Return one cell of the table."""
    calls = f"{result.calls} call" + "s" * (result.calls > 1)
    if result.error is None:
        return f"done, {calls}"
    return f"`{result.error.__name__}` (`{result.error.code}`, {result.error.status}), {calls}"


def list_operations(slug: str) -> str:
    """Return a list item with the writes and the reads of a carrier."""
    adapter = ADAPTERS[slug]
    sent = [name for name in adapter.capabilities() if OPERATIONS[name] is not Effect.LOCAL]
    writes = ", ".join(f"`{name}`" for name in sent if not is_read(name))
    reads = ", ".join(f"`{name}`" for name in sent if is_read(name))
    return f"- {adapter.name}: writes {writes}; reads {reads}."
