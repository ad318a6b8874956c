"""Seal every stored secret under the first encryption key."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from apikeys.db import rotation


class Command(BaseCommand):
    help = """Seal all stored secrets under the first of ENCRYPTION_KEYS, while Waybill goes on running.
    Put the new key first, keep the old one behind it, restart all processes, run this, then drop the old key."""

    def handle(self, *args: Any, **options: Any) -> None:
        broken = []
        for field in rotation.columns():
            table = field.model._meta.db_table
            with tqdm(
                total=rotation.due(field).count(), desc=f"{table}.{field.column}", unit="secrets", file=self.stderr
            ) as bar:
                for pk, done in rotation.rotate(field):
                    bar.update()
                    if not done:
                        broken.append(field.place(pk))
        if broken:
            raise CommandError("These secrets do not open and were left as they are:\n  " + "\n  ".join(broken))
        self.stdout.write("Every stored secret is sealed under the first key.")
