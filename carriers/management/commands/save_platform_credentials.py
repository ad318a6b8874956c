"""``manage.py save_platform_credentials``: the platform's production accounts, from the variables of the adapters."""

import os
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apikeys.errors import ValidationFailed
from carriers import accounts


class Command(BaseCommand):
    help = "Store the platform's accounts of PICKIT_*, VELOCITY_* … variables, which merchants without their own use."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            stored = accounts.fill_platform(os.environ)
        except ValidationFailed as error:
            raise CommandError(f"Not stored: {error.details}") from error
        for row in stored:
            self.stdout.write(f"stored: {row}")
        if not stored:
            self.stdout.write("nothing new")
