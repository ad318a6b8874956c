from django.apps import AppConfig


class InstallationConfig(AppConfig):
    """The installation: settings, routes, the worker and the demo data."""

    name = "config"
    verbose_name = "Configuration"
