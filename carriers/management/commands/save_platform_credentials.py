"""``manage.py save_platform_credentials``: the platform's production accounts, from the variables of the adapters."""

import os
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from carriers.credentials import platform


class Command(BaseCommand):
    help = "Store the platform's accounts of PICKIT_*, VELOCITY_* … variables, which merchants without their own use."

    def handle(self, *args: Any, **options: Any) -> None:
        stored, problems = platform.save_platform_credentials(os.environ)
        for row in stored:
            self.stdout.write(f"stored: {row}")
        if problems:
            told = (f"{name}: {' '.join(str(word) for word in words)}" for name, words in problems.items())
            raise CommandError("\n".join(["not stored", *told]))
        if not stored:
            self.stdout.write("nothing new")
