"""What of a carrier's request and answer may be written down: secrets, personal data and files are masked.

By name wherever we know the name; our own secrets also by value, because carriers repeat requests in their errors.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Collection, Iterator
from typing import Any
from urllib.parse import parse_qsl, quote, quote_plus, urlencode

MASK = "***"
MAX_LOGGED = 8_000
# What is shorter hides nothing, and stands in many answers by chance.
_SECRET_FROM = 6

# By name, wherever it stands; what tells a person further down.
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
# A word at the end of a field's name that tells a person: contact_name, billingEmail, address_line_1, street2.
_PERSONAL = re.compile(
    r"(^|_)((first|last|full|sur|user)?name|company|e?_?mail|phone(_number)?|mobile|telephone|tel|fax|"
    r"address|address_?(line)?_?\d|address_lines?|street(_?\d|_lines?|_line_?\d|_address)?|landmark|"
    r"collected_by|signed_by|signature(_image)?|delivery_photo|pickup_code(_used)?|notes|instructions)$"
)
# Names of firms, places and things that are in public view.
_NOT_PERSONAL = {"carrier_name", "courier_name", "file_name", "filename", "service_name"}
_FILE_NAMES = {
    "data",
    "label_data",
    "qr_code",
    "label",
    "label_base64",
    "content",
    "document",
    "file",
    "image",
    "pdf",
    "zpl",
}
# Files that stand where we do not expect them: PDF, PNG, JPEG, GIF in base64 or as they are, ZPL, data URLs.
_FILE = re.compile(r"\s*(JVBERi0|iVBORw0KGgo|/9j/|R0lGOD|%PDF|\^XA|data:)")
_LONGEST_TEXT = 2_000
_EMAIL = re.compile(r"[^\s@<>\"'(),;:]+@[^\s@<>\"'(),;:]+\.\w+")
_PHONE = re.compile(r"\+\d[\d ().-]{6,}\d")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def masked(body: bytes) -> str:
    """A body for the call log. What is not JSON is logged by its size alone."""
    if not body:
        return ""
    try:
        text = json.dumps(masked_value(json.loads(body)), ensure_ascii=False)[:MAX_LOGGED]
    except (ValueError, RecursionError):
        return f"<{len(body)} bytes, not readable as JSON>"
    return text.encode("utf-8", "replace").decode()  # half characters would cost the whole row


def personal_values(body: bytes) -> list[str]:
    """What a request's body tells of people: carriers put it into the sentences of their refusals."""
    try:
        return list(_personal_values(json.loads(body or b"null")))
    except (ValueError, RecursionError):
        return []


def _personal_values(value: Any, name: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _personal_values(item, key)
    elif isinstance(value, list):
        for item in value:
            yield from _personal_values(item, name)
    elif isinstance(value, str) and _tells_a_person(_snake(name)):
        yield value


def concealed(content: bytes, secrets: Collection[str], *, shortest: int = _SECRET_FROM) -> bytes:
    """The content with each of these values masked, in every form in which somebody may have repeated it."""
    forms = {form for secret in secrets if len(secret) >= shortest for form in _forms(secret)}
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


def masked_url(url: str) -> str:
    """A URL for the call log: what its query says by the names that bodies use is masked."""
    head, mark, query = url.partition("?")
    if not mark:
        return head
    pairs = [(name, masked_value(value, name)) for name, value in parse_qsl(query, keep_blank_values=True)]
    return f"{head}?{urlencode(pairs, safe='*')}"


def masked_value(value: Any, name: str = "") -> Any:
    """The same for parsed JSON."""
    lower = _snake(name)
    if lower in _SECRET_NAMES or (_tells_a_person(lower) and not isinstance(value, dict | list)):
        return MASK if value not in (None, "") else value
    if isinstance(value, dict):
        return {key: masked_value(item, key) for key, item in value.items()}
    if isinstance(value, list):
        return [masked_value(item, name) for item in value]
    if isinstance(value, str):
        return _masked_text(value, is_file=lower in _FILE_NAMES)
    return value


def _snake(name: str) -> str:
    return _CAMEL.sub("_", name).replace("-", "_").lower()


def _tells_a_person(name: str) -> bool:
    return name not in _NOT_PERSONAL and _PERSONAL.search(name) is not None


def _masked_text(text: str, *, is_file: bool) -> str:
    """E-mail addresses and phone numbers go by their looks too: carriers put them into sentences."""
    if is_file or len(text) > _LONGEST_TEXT or _FILE.match(text):
        return f"<{len(text)} characters>"
    return _PHONE.sub(MASK, _EMAIL.sub(MASK, text))
