"""Delete old events. No other code deletes events."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from tqdm import tqdm

from apikeys.audit import retention


class Command(BaseCommand):
    help = "Delete old events. On PostgreSQL this needs a role that web and worker processes do not have."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--days", type=int, required=True, help="Delete events that are older than this. At least 30."
        )
        parser.add_argument("--dry-run", action="store_true", help="Only print the number of events.")

    def handle(self, *args: Any, days: int, dry_run: bool, **options: Any) -> None:
        if days < 30:
            raise CommandError("--days must be at least 30.")
        before = timezone.now() - timedelta(days=days)
        due = retention.old_events(before).count()
        if dry_run:
            self.stdout.write(f"{due} events would be deleted.")
            return
        deleted = 0
        with tqdm(total=due, unit="events", file=self.stderr) as bar:
            try:
                for batch in retention.delete_old_events(before):
                    deleted += batch
                    bar.update(batch)
            except retention.RoleMissing as error:
                raise CommandError(str(error)) from error
        self.stdout.write(f"{deleted} events deleted.")
