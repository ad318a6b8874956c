"""Delete old events; the only way in which any are deleted."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from tqdm import tqdm

from apikeys.audit import retention


class Command(BaseCommand):
    help = "Delete events older than so many days. On PostgreSQL it needs a role that web and worker do not have."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--days", type=int, required=True, help="Keep the events of so many days; at least 30.")
        parser.add_argument("--dry-run", action="store_true", help="Only say how many would go.")

    def handle(self, *args: Any, days: int, dry_run: bool, **options: Any) -> None:
        if days < 30:
            raise CommandError("--days must be at least 30.")
        before = timezone.now() - timedelta(days=days)
        due = retention.old_events(before).count()
        if dry_run:
            self.stdout.write(f"{due} events would be deleted.")
            return
        gone = 0
        with tqdm(total=due, unit="events", file=self.stderr) as bar:
            try:
                for batch in retention.delete_old_events(before):
                    gone += batch
                    bar.update(batch)
            except retention.RoleMissing as error:
                raise CommandError(str(error)) from error
        self.stdout.write(f"{gone} events deleted.")
