import logging

from django.apps import AppConfig

from config import startup

log = logging.getLogger(__name__)


class InstallationConfig(AppConfig):
    """The installation: settings, routes, the worker and the demo data."""

    name = "config"
    verbose_name = "Configuration"

    def ready(self) -> None:
        """Log the warnings about the configuration, unless a parent process has."""
        startup.warn_once(log.warning)
