from django.apps import AppConfig

from apikeys import crypto


class ApiKeysConfig(AppConfig):
    """The door."""

    name = "apikeys"
    verbose_name = "Merchants and keys"

    def ready(self) -> None:
        crypto.check_keys()
