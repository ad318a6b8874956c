from django.apps import AppConfig
from django.db.models.signals import post_migrate


class ShippingConfig(AppConfig):
    name = "shipping"
    verbose_name = "Shipping"

    def ready(self) -> None:
        from shipping.models.text_indexes import restore_text_indexes  # noqa: PLC0415 needs loaded models

        post_migrate.connect(restore_text_indexes, sender=self)
