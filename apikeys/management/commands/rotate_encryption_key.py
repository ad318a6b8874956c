"""Encrypt all stored secrets again with the first encryption key."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from apikeys.db import rotation


class Command(BaseCommand):
    help = """Encrypt all stored secrets again with the first of ENCRYPTION_KEYS, while Waybill keeps running.
    Put the new key first, keep the old one behind it, restart all processes, run this, then remove the old key."""

    def handle(self, *args: Any, **options: Any) -> None:
        broken = []
        for field in rotation.encrypted_columns():
            table = field.model._meta.db_table
            with tqdm(
                total=rotation.outdated_rows(field).count(),
                desc=f"{table}.{field.column}",
                unit="secrets",
                file=self.stderr,
            ) as bar:
                for pk, done in rotation.reencrypt(field):
                    bar.update()
                    if not done:
                        broken.append(field.associated_data(pk))
        if broken:
            raise CommandError("These secrets cannot be decrypted and were left as they are:\n  " + "\n  ".join(broken))
        self.stdout.write("Every stored secret is encrypted with the first key.")
