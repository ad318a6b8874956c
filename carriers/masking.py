"""What of a carrier's request and answer may be written down: secrets, personal data and files are masked."""

from __future__ import annotations

import json
from typing import Any

MASK = "***"
MAX_LOGGED = 8_000

# By name, wherever it stands. Secrets first, then what tells a person.
_SECRET_NAMES = {
    "access_token",
    "api_key",
    "authorization",
    "client_id",
    "client_secret",
    "password",
    "refresh_token",
    "secret",
    "token",
    "webhook_secret",
}
_PERSONAL_NAMES = {
    "collected_by",
    "company",
    "contact_email",
    "contact_name",
    "contact_phone",
    "delivery_photo",
    "driver_name",
    "driver_phone",
    "email",
    "name",
    "notes",
    "phone",
    "pickup_code",
    "pickup_code_used",
    "signature_image",
    "signed_by",
    "special_instructions",
    "street",
}
_FILE_NAMES = {"data", "label_data", "qr_code"}


def masked(body: bytes) -> str:
    """A body for the call log. What is not JSON is logged by its size alone."""
    if not body:
        return ""
    try:
        text = json.dumps(masked_value(json.loads(body)), ensure_ascii=False)[:MAX_LOGGED]
    except (ValueError, RecursionError):
        return f"<{len(body)} bytes, not readable as JSON>"
    return text.encode("utf-8", "replace").decode()  # half characters would cost the whole row


def masked_value(value: Any, name: str = "") -> Any:
    """The same for parsed JSON."""
    lower = name.lower()
    if lower in _SECRET_NAMES or (lower in _PERSONAL_NAMES and not isinstance(value, dict | list)):
        return MASK if value not in (None, "") else value
    if isinstance(value, dict):
        return {key: masked_value(item, key) for key, item in value.items()}
    if isinstance(value, list):
        return [masked_value(item, name) for item in value]
    if lower in _FILE_NAMES and isinstance(value, str):
        return f"<{len(value)} characters>"
    return value
