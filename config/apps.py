import gc
import logging
from types import ModuleType

from django.apps import AppConfig

from config import startup

log = logging.getLogger(__name__)


class InstallationConfig(AppConfig):
    """The installation: settings, routes, the worker and the demo data.

    It collects no garbage while Django loads the apps, which creates objects that all stay: the search would take a
    third of the time until the start. Django creates the configurations of all apps before it loads models, and this
    app is ready last.
    """

    name = "config"
    verbose_name = "Configuration"

    def __init__(self, app_name: str, app_module: ModuleType) -> None:
        super().__init__(app_name, app_module)
        gc.disable()

    def ready(self) -> None:
        """Log the warnings about the configuration, unless a parent process has; collect garbage from now on."""
        startup.warn_once(log.warning)
        gc.freeze()
        gc.enable()
