"""The documented response."""

from __future__ import annotations

from typing import Any

from apikeys.http.rendering import rfc3339
from tracking.numbers import NumberRequest
from tracking.services import Issued


def show_number(issued: Issued, request: NumberRequest) -> dict[str, Any]:
    """Return an issued number as the API shows it. ``created_at`` is that of the number, not of the request."""
    return {
        "tracking_number": issued.number,
        "created_at": rfc3339(issued.created_at),
        "correlation_id": issued.correlation_id,
        "request_metadata": {
            "origin_country": request.origin,
            "destination_country": request.destination,
            "weight_kg": f"{request.weight_kg:.3f}",
            "customer_slug": request.customer_slug,
        },
    }
