"""Log lines: one JSON object each, with the documented fields.

Every line has ``timestamp``, ``level``, ``message`` and ``request_id``; that of a request also ``user_id`` and
``duration_ms``, and ``tracking_id`` and ``status`` if it concerns a unit.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

_STANDARD = set(vars(logging.LogRecord("", 0, "", 0, "", None, None))) | {
    "correlation_id",
    "message",
    "asctime",
    "request",
}


class JsonFormatter(logging.Formatter):
    """Format a record as JSON. Attributes from ``extra=`` become fields."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "timestamp": datetime.fromtimestamp(record.created, UTC)
            .isoformat(timespec="milliseconds")
            .replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": getattr(record, "correlation_id", ""),
        }
        line |= {key: value for key, value in vars(record).items() if key not in _STANDARD}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)
