"""The logging configuration: one JSON object per line on stderr."""

from __future__ import annotations

from typing import Any

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


def logging_settings(*, level: str) -> dict[str, Any]:
    """Return the value of ``settings.LOGGING``."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {
            "correlation": {"()": "apikeys.http.correlation.CorrelationFilter"},
            "with_traceback": {
                "()": "django.utils.log.CallbackFilter",
                "callback": lambda record: record.exc_info is not None,
            },
        },
        "formatters": {"json": {"()": "apikeys.http.logs.JsonFormatter"}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json", "filters": ["correlation"]}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            # Django's console handlers would write each line again, as plain text.
            "django": {"handlers": [], "propagate": True},
            "django.server": {"handlers": [], "propagate": True},
            # Requests are logged already; log again only with a traceback.
            "django.request": {"level": "ERROR", "filters": ["with_traceback"]},
            # Its warnings contain whole URLs and headers, including secrets.
            "urllib3": {"level": "ERROR"},
            # It logs the path of every sign-in, and the path of an invitation grants access.
            "axes": {"level": "WARNING"},
        },
    }
