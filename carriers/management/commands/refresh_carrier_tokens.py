"""Renew access tokens that are about to expire."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from carriers.credentials.refresh import refresh_tokens


class Command(BaseCommand):
    help = "Renew access tokens that are about to expire, so that no request has to log in. The worker does this too."

    def handle(self, *args: Any, **options: Any) -> None:
        renewed, failed = refresh_tokens()
        self.stdout.write(f"{renewed} tokens renewed, {len(failed)} failed")
        for text in failed:
            self.stderr.write(text)
