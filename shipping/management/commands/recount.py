"""``manage.py recount``: compare the stored counts with the shipments, and repair them."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from shipping.reports import counters


class Command(BaseCommand):
    help = "Compare the stored counts with the shipments and repair them. Writers may continue during the run."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--check", action="store_true", help="Only compare; exit with 1 if there is a difference.")

    def handle(self, *args: Any, check: bool, **options: Any) -> None:
        found = counters.differences()
        for table, rows in found.items():
            self.stdout.write(f"{table}: {f'{len(rows)} keys differ' if rows else 'exact'}")
            for row in rows[:20]:
                self.stdout.write("  " + ", ".join(f"{name}={value}" for name, value in row.items()))
        if not any(found.values()):
            return
        if check:
            raise CommandError("The counts differ; run recount without --check to repair them.", returncode=1)
        counters.repair()
        left = sum(map(len, counters.differences().values()))
        if left:
            raise CommandError("The counts still differ. Do the triggers exist?", returncode=1)
        self.stdout.write("repaired")
