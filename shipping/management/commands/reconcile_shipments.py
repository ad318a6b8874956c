"""``manage.py reconcile_shipments``: run the worker's reconciliation task once."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from shipping.labels.reconciliation import reconcile


class Command(BaseCommand):
    help = "Look up bookings without an answer by our reference. Never buys."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--limit", type=int, default=500)

    def handle(self, *args: Any, **options: Any) -> None:
        outcomes = reconcile(limit=options["limit"])
        text = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
        self.stdout.write(text or "nothing to reconcile")
