"""What of a carrier's request and answer may be written down: secrets, personal data and files are masked.

By name wherever we know the name; our own secrets also by value, because carriers repeat requests in their errors.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Collection, Iterator
from typing import Any
from urllib.parse import quote, quote_plus

MASK = "***"
MAX_LOGGED = 8_000
# What is shorter hides nothing, and stands in many answers by chance.
_SECRET_FROM = 6

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


def concealed(content: bytes, secrets: Collection[str]) -> bytes:
    """The content with each of these values masked, in every form in which somebody may have repeated it."""
    forms = {form for secret in secrets if len(secret) >= _SECRET_FROM for form in _forms(secret)}
    for form in sorted(forms, key=len, reverse=True):
        content = content.replace(form.encode("utf-8", "surrogatepass"), MASK.encode())
    return content


def _forms(secret: str) -> Iterator[str]:
    """As it is, in JSON, in JSON that stands in JSON, in a URL, in base64."""
    plain = secret.encode("utf-8", "surrogatepass")
    once = {secret, *_in_json(secret), secret.encode("utf-8", "replace").decode("latin-1")}
    yield from once
    for text in once:
        yield from _in_json(text)
    yield from (quote(plain, safe=""), quote(plain), quote_plus(plain))
    yield from (base64.b64encode(plain).decode().rstrip("="), base64.urlsafe_b64encode(plain).decode().rstrip("="))
    yield plain.hex()


def _in_json(text: str) -> Iterator[str]:
    for ascii_only in (True, False):
        inside = json.dumps(text, ensure_ascii=ascii_only)[1:-1]
        yield inside
        yield inside.replace("/", "\\/")


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
