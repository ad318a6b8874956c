"""Renew access tokens before they expire, so that no request has to wait for a log-in."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from carriers.credentials.refresh import refresh_tokens


class Command(BaseCommand):
    help = "Renew the access tokens that are about to expire (the worker does it too)."

    def handle(self, *args: Any, **options: Any) -> None:
        done, failed = refresh_tokens()
        self.stdout.write(f"{done} tokens fresh, {len(failed)} failed")
        for text in failed:
            self.stderr.write(text)
