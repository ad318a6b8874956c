"""Create an API key."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apikeys.db.tenancy import Mode, Tenant
from apikeys.keys import lifecycle
from apikeys.models import Merchant, Store, scopes


class Command(BaseCommand):
    help = "Create an API key for a merchant and print it. The key cannot be shown again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("merchant", help="The merchant's slug.")
        parser.add_argument("--name", required=True)
        parser.add_argument("--mode", choices=Mode.values, default=Mode.TEST)
        parser.add_argument("--store", default="", help="The code of the store to bind the key to.")
        parser.add_argument(
            "--scope",
            action="append",
            choices=(*scopes.OF_KEYS, *scopes.OF_PLATFORM_KEYS),
            help="A scope; may be repeated. Default: all scopes except managing keys, credentials and webhooks. "
            "audit:export reads the events of all merchants: only for the platform's own systems.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        merchant = get_merchant(options["merchant"])
        store = get_store(merchant, options["store"]) if options["store"] else None
        _row, key = lifecycle.create_key(
            Tenant(merchant.id, options["mode"], store.id if store else None),
            name=options["name"],
            scopes=options["scope"] or scopes.DEFAULT,
        )
        self.stdout.write(key)


def get_merchant(slug: str) -> Merchant:
    """Return the merchant. Raises ``CommandError`` with the known slugs."""
    merchant = Merchant.objects.filter(slug=slug).first()
    if merchant is None:
        known = ", ".join(Merchant.objects.order_by("slug").values_list("slug", flat=True)[:20]) or "none yet"
        raise CommandError(f"There is no merchant {slug!r}; there are: {known}.")
    return merchant


def get_store(merchant: Merchant, code: str) -> Store:
    """Return the merchant's store. Raises ``CommandError``."""
    store = Store.objects.filter(merchant=merchant, code=code).first()
    if store is None:
        raise CommandError(f"{merchant.slug} has no store {code!r}.")
    return store
