"""Print the table of carriers and operations for ``docs/carriers/README.md``."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from carriers.adapters.operations import LOGIN, OPERATIONS
from carriers.adapters.registry import ADAPTERS


class Command(BaseCommand):
    help = "Print the table of carriers and their operations (docs/carriers/README.md)."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(render())


def render() -> str:
    """Return the table. Its rows are the operations that a carrier has, with their effect."""
    adapters = list(ADAPTERS.values())
    heads = " | ".join(f"[{adapter.name}]({adapter.slug}.md)" for adapter in adapters)
    lines = [f"| operation | effect | {heads} |", "|---|---|" + ":-:|" * len(adapters)]
    for name, effect in OPERATIONS.items():
        marks = ["yes" if has_operation(adapter, name) else "" for adapter in adapters]
        if any(marks):
            lines.append(f"| `{name}` | {effect} | {' | '.join(marks)} |")
    return "\n".join(lines)


def has_operation(adapter: Any, name: str) -> bool:
    """Return whether a carrier has an operation; the log-in is no capability."""
    return adapter.logs_in() if name == LOGIN else name in adapter.capabilities()
