"""Run the simulated carriers as a process."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from carriers.sandbox.__main__ import add_options, run


class Command(BaseCommand):
    help = "Serve the simulated carriers until Ctrl-C."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        add_options(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        run(**{name: options[name] for name in ("host", "port", "state", "webhook", "retry_scale")})
