"""Mask secrets, personal data and files in carriers' requests and answers before they are logged or shown.

Fields are masked by name. Our own secrets are also masked by value, because carriers repeat requests in their errors.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Callable, Collection, Iterator
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode

MASK = "***"
MAX_LOGGED = 8_000
_MAX_PARSED = 1_000_000  # bytes; of a larger body only the size is logged
_MAX_REFUSAL = 100_000  # bytes; the message is a sentence or a web page
# A shorter secret protects nothing, and its text occurs in many answers by chance.
_MIN_SECRET_LENGTH = 6
_MIN_NAME_LENGTH = 4  # a shorter name is masked only as a separate word

# End of the name of a field that contains a secret: access_token, clientSecret, x-api-key.
_SECRET = re.compile(
    r"(^|_)(\w*tokens?|\w*passw(or)?d|passphrase|\w*secret(_key)?|api_?key|(private|access|session)_key|authorization|"
    r"bearer|jwt|client_id)$"
)
# End of the name of a field with personal data: contact_name, billingEmail, address_line_1, street2.
_PERSONAL = re.compile(
    r"(^|_)((first|last|full|sur|user)?name|company|e?_?mail|phone(_number)?|mobile|telephone|tel|fax|"
    r"address|address_?(line)?_?\d|address_lines?|street(_?\d|_lines?|_line_?\d|_address)?|landmark|"
    r"recipient|consignee|receiver|addressee|contact|(collected|signed|received)_by|delivered_to|"
    r"signature(_image)?|delivery_photo|pickup_code(_used)?|notes|instructions)$"
)
# Names of companies, files and services, which are not personal.
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
# Files in other fields: PDF, PNG, JPEG, GIF in base64 or raw, ZPL, data URLs.
_FILE = re.compile(r"\s*(JVBERi0|iVBORw0KGgo|/9j/|R0lGOD|%PDF|\^XA|data:)")
_LONGEST_TEXT = 2_000
_LONGEST_NAME = 100
_EMAIL = re.compile(r"[^\s@<>\"'(),;:]{1,64}@[^\s@<>\"'(),;:]{1,255}\.\w+")
_PHONE = re.compile(r"\+\d[\d ().-]{6,}\d")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def mask_body(body: bytes, *, secrets: Collection[str] = (), people: Collection[str] = ()) -> str:
    """Return a body for the call log, without secrets, personal data and files. For non-JSON return only the size."""
    if not body:
        return ""
    if len(body) > _MAX_PARSED:
        return f"<{len(body)} bytes>"
    try:
        masker = _Masker(_make_hider(secrets, people))
        text = json.dumps(masker.mask(json.loads(body)), ensure_ascii=False)[:MAX_LOGGED]
    except (ValueError, RecursionError):
        return f"<{len(body)} bytes, not readable as JSON>"
    return text.encode("utf-8", "replace").decode()  # the database refuses lone surrogates


def mask_url(url: str, *, secrets: Collection[str] = ()) -> str:
    """Return a URL for the call log. Query parameters are masked by name, as the fields of bodies are."""
    hide = _make_hider(secrets)
    head, mark, query = url.partition("?")
    pairs = [(name, _Masker(hide).mask(value, name)) for name, value in parse_qsl(query, keep_blank_values=True)]
    return hide(head) + (f"?{urlencode(pairs, safe='*')}" if mark else "")


def hide_secrets(refusal: bytes, secrets: Collection[str]) -> bytes:
    """Return a carrier's refusal, or the beginning of a long one, without our secrets. JSON stays JSON."""
    hide, start = _make_hider(secrets), refusal[:_MAX_REFUSAL]
    try:
        value = json.loads(start)
        shown = _map_texts(value, hide)
        return start if shown == value else json.dumps(shown).encode()
    except (ValueError, RecursionError):
        try:
            text = start.decode()
        except UnicodeDecodeError:
            text = start.decode("latin-1")
        shown = hide(text)
        return start if shown == text else shown.encode("utf-8", "replace")


def find_personal_values(body: bytes) -> list[str]:
    """Return the personal data in a request's body, because carriers repeat it in the texts of their answers."""
    try:
        return list(_iterate_personal_values(json.loads(body or b"null")))
    except (ValueError, RecursionError):
        return []


def _iterate_personal_values(value: Any, name: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _iterate_personal_values(item, key)
    elif isinstance(value, list):
        for item in value:
            yield from _iterate_personal_values(item, name)
    elif isinstance(value, str) and _is_personal(_to_snake_case(name)):
        yield value


def _map_texts(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, dict):
        return {change(key): _map_texts(item, change) for key, item in value.items()}
    if isinstance(value, list):
        return [_map_texts(item, change) for item in value]
    return change(value) if isinstance(value, str) else _mask_number(value, change)


def _mask_number(value: Any, hide: Callable[[str], str]) -> Any:
    """Return a number, or the mask if its digits are a secret."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return MASK if is_number and hide(str(value)) != str(value) else value


def _make_hider(secrets: Collection[str], people: Collection[str] = ()) -> Callable[[str], str]:
    """Return a function that masks these values in a text, also if escaped for JSON, a URL or HTML, once or twice.

    A text in which it finds an escaped value is returned without its escapes.
    """
    encodings = {form for secret in secrets if len(secret) >= _MIN_SECRET_LENGTH for form in _encodings(secret)}
    longest_first, names = sorted(encodings, key=len, reverse=True), _names_pattern(people)

    def hide_unescaped(text: str) -> str:
        for form in longest_first:
            text = text.replace(form, MASK)
        return names.sub(MASK, text) if names else text

    def hide(text: str) -> str:
        text = hide_unescaped(text)
        for _round in range(_MAX_UNESCAPED):
            revealing = next((one for one in _unescape_all(text) if hide_unescaped(one) != one), None)
            if revealing is None:
                return text
            text = hide_unescaped(revealing)
        return MASK

    return hide


_MAX_UNESCAPED = 30
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)")
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}


def _unescape_all(text: str) -> list[str]:
    """Return the text with each combination of JSON, URL and HTML escapes removed."""
    found = [text]
    for one in found:  # the loop appends to it
        for unescape in (_unescape_json, unquote, html.unescape):
            plain = unescape(one)
            if plain not in found and len(found) < _MAX_UNESCAPED:
                found.append(plain)
    return found[1:]


def _unescape_json(text: str) -> str:
    if "\\" not in text:
        return text

    def unescape(found: re.Match[str]) -> str:
        escape = found[1]
        return chr(int(escape[1:], 16)) if len(escape) == 5 else _ESCAPED.get(escape, escape)

    plain = _ESCAPE.sub(unescape, text)
    return plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # joins surrogate pairs


def _encodings(secret: str) -> Iterator[str]:
    """Yield the secret unchanged, with a URL's blanks, decoded as Latin-1, in hex, and as part of a base64 text."""
    plain = secret.encode("utf-8", "replace")
    yield from (secret, secret.replace(" ", "+"), plain.decode("latin-1"), plain.hex(), plain.hex().upper())
    for before in range(3):  # base64 encodes groups of three bytes, and it may begin at each of them
        whole = base64.b64encode(b"\0" * before + plain).decode().rstrip("=")
        inside = whole[(0, 2, 3)[before] : len(whole) - (1 if (before + len(plain)) % 3 else 0)]
        yield from (inside, inside.replace("+", "-").replace("/", "_"))


def _names_pattern(people: Collection[str]) -> re.Pattern[str] | None:
    known = sorted({name.strip() for name in people if len(name.strip()) > 2}, key=len, reverse=True)
    words = [re.escape(name) if len(name) >= _MIN_NAME_LENGTH else rf"\b{re.escape(name)}\b" for name in known]
    return re.compile("|".join(words), re.IGNORECASE) if words else None


class _Masker:
    """Masks one body, up to the length that is logged."""

    def __init__(self, hide: Callable[[str], str]) -> None:
        self.hide, self.left = hide, MAX_LOGGED

    def mask(self, value: Any, name: str = "") -> Any:
        self.left -= 2 + len(name)
        if self.left <= 0:
            return "…"
        lower = _to_snake_case(name)
        if _SECRET.search(lower) or (_is_personal(lower) and not isinstance(value, dict | list)):
            return MASK if value not in (None, "") else value
        if isinstance(value, dict):
            return {self.hide(key): self.mask(item, key) for key, item in value.items() if self.left > 0}
        if isinstance(value, list):
            return [self.mask(item, name) for item in value if self.left > 0]
        if isinstance(value, str):
            shown = self._mask_text(value, lower)
            self.left -= len(shown)
            return shown
        return _mask_number(value, self.hide)

    def _mask_text(self, text: str, name: str) -> str:
        if name in _FILE_NAMES or len(text) > _LONGEST_TEXT or _FILE.match(text):
            return f"<{len(text)} characters>"
        text = self.hide(text)
        # E-mail addresses and phone numbers are masked by their form too, because carriers put them into sentences.
        return _PHONE.sub(MASK, _EMAIL.sub(MASK, text) if "@" in text else text)


def _to_snake_case(name: str) -> str:
    return _CAMEL.sub("_", name[-_LONGEST_NAME:]).replace("-", "_").lower()


def _is_personal(name: str) -> bool:
    return name not in _NOT_PERSONAL and _PERSONAL.search(name) is not None
