from django.apps import AppConfig
from django.conf import settings

from tracking import numbers


class TrackingConfig(AppConfig):
    """The generator of tracking numbers."""

    name = "tracking"
    verbose_name = "Tracking numbers"

    def ready(self) -> None:
        """Check the secrets at the start, not at the first request."""
        numbers.first_secret(settings.TRACKING_NUMBER_SECRETS)
