from django.apps import AppConfig
from django.conf import settings

from tracking import numbers


class TrackingConfig(AppConfig):
    """Tracking-number generation."""

    name = "tracking"
    verbose_name = "Tracking numbers"

    def ready(self) -> None:
        """A malformed secret stops the start, not the first request."""
        numbers.first_secret(settings.TRACKING_NUMBER_SECRETS)
