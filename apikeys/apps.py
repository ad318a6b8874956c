from django.apps import AppConfig


class ApiKeysConfig(AppConfig):
    """The door."""

    name = "apikeys"
    verbose_name = "Merchants and keys"
