"""``manage.py poll_tracking``: run the worker's polling task once."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from shipping.checkpoints.polling import poll


class Command(BaseCommand):
    help = "Track shipments whose carriers have not reported for POLL_AFTER_SILENCE_S."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--limit", type=int, default=1000, help="The maximum number of shipments (default: 1000).")

    def handle(self, *args: Any, **options: Any) -> None:
        counts = poll(limit=options["limit"])
        self.stdout.write(", ".join(f"{count} {name}" for name, count in counts.items()))
