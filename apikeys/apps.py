from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate

from apikeys.db import crypto, positions
from apikeys.db.triggers import restore_triggers


class ApiKeysConfig(AppConfig):
    """The access layer: merchants, people, API keys and events."""

    name = "apikeys"
    verbose_name = "Merchants and keys"

    def ready(self) -> None:
        crypto.check_keys()
        post_migrate.connect(create_standard_plans, sender=self)
        post_migrate.connect(positions.restore_functions, sender=self)
        post_migrate.connect(restore_triggers)


def create_standard_plans(sender: AppConfig, using: str, **_: Any) -> None:
    """Create the standard plans that are missing after a migration. Existing plans are not changed."""
    plan, standard = sender.get_model("Plan"), sender.models_module.STANDARD_PLANS
    rows = [plan(code=code, name=name, per_minute=m, per_hour=h) for code, (name, m, h) in standard.items()]
    plan.objects.using(using).bulk_create(rows, ignore_conflicts=True)
