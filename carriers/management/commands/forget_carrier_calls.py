"""Delete old rows of the call log."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from tqdm import tqdm

from carriers.http import retention


class Command(BaseCommand):
    help = "Delete carrier calls that are older than --days from the call log. The worker does this every hour."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--days", type=int, default=settings.CARRIER_CALL_KEEP.days, help="Default: CARRIER_CALL_KEEP_DAYS."
        )
        parser.add_argument("--dry-run", action="store_true", help="Only count the calls that would be deleted.")

    def handle(self, *args: Any, days: int, dry_run: bool, **options: Any) -> None:
        if days < 1:
            raise CommandError("--days must be at least 1.")
        before = timezone.now() - timedelta(days=days)
        due = retention.calls_before(before).count()
        if dry_run:
            self.stdout.write(f"{due} calls would be deleted.")
            return
        deleted = 0
        with tqdm(total=due, unit="calls", file=self.stderr) as bar:
            for batch in retention.delete_calls_before(before):
                deleted += batch
                bar.update(batch)
        self.stdout.write(f"{deleted} calls deleted.")
