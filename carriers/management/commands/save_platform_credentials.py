"""Store the platform's production credentials from the adapters' environment variables."""

import os
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from carriers.credentials.platform import save_platform_credentials


class Command(BaseCommand):
    help = "Store the platform's credentials from PICKIT_*, VELOCITY_* … Merchants without their own use them."

    def handle(self, *args: Any, **options: Any) -> None:
        stored, problems = save_platform_credentials(os.environ)
        for row in stored:
            self.stdout.write(f"stored: {row}")
        if problems:
            lines = (f"{name}: {' '.join(map(str, texts))}" for name, texts in problems.items())
            raise CommandError("\n".join(["not stored", *lines]))
        if not stored:
            self.stdout.write("nothing new")
