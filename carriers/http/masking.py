"""What of a carrier's request and answer may be written down: secrets, personal data and files are masked.

By name wherever we know the name; our own secrets also by value, because carriers repeat requests in their errors.
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
_MAX_READ = 1_000_000  # bytes; of a larger body the log tells the size alone
_MAX_TOLD = 100_000  # bytes of a refusal, whose words are a sentence or a web page
# What is shorter hides nothing, and stands in many answers by chance.
_SECRET_FROM = 6
_NAME_FROM = 4  # a shorter name is one only as a word of its own

# A word at the end of a field's name that tells a secret: access_token, clientSecret, x-api-key.
_SECRET = re.compile(
    r"(^|_)(\w*tokens?|\w*passw(or)?d|passphrase|\w*secret(_key)?|api_?key|(private|access|session)_key|authorization|"
    r"bearer|jwt|client_id)$"
)
# A word at the end of a field's name that tells a person: contact_name, billingEmail, address_line_1, street2.
_PERSONAL = re.compile(
    r"(^|_)((first|last|full|sur|user)?name|company|e?_?mail|phone(_number)?|mobile|telephone|tel|fax|"
    r"address|address_?(line)?_?\d|address_lines?|street(_?\d|_lines?|_line_?\d|_address)?|landmark|"
    r"recipient|consignee|receiver|addressee|contact|(collected|signed|received)_by|delivered_to|"
    r"signature(_image)?|delivery_photo|pickup_code(_used)?|notes|instructions)$"
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
_LONGEST_NAME = 100
_EMAIL = re.compile(r"[^\s@<>\"'(),;:]{1,64}@[^\s@<>\"'(),;:]{1,255}\.\w+")
_PHONE = re.compile(r"\+\d[\d ().-]{6,}\d")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def masked(body: bytes, *, secrets: Collection[str] = (), people: Collection[str] = ()) -> str:
    """A body for the call log, without these values. What is not JSON is logged by its size alone."""
    if not body:
        return ""
    if len(body) > _MAX_READ:
        return f"<{len(body)} bytes>"
    try:
        masker = _Masker(_hider(secrets, people))
        text = json.dumps(masker.masked(json.loads(body)), ensure_ascii=False)[:MAX_LOGGED]
    except (ValueError, RecursionError):
        return f"<{len(body)} bytes, not readable as JSON>"
    return text.encode("utf-8", "replace").decode()  # half characters would cost the whole row


def masked_url(url: str, *, secrets: Collection[str] = ()) -> str:
    """A URL for the call log: what its query says by the names that bodies use is masked."""
    hide = _hider(secrets)
    head, mark, query = url.partition("?")
    pairs = [(name, _Masker(hide).masked(value, name)) for name, value in parse_qsl(query, keep_blank_values=True)]
    return hide(head) + (f"?{urlencode(pairs, safe='*')}" if mark else "")


def concealed(refusal: bytes, secrets: Collection[str]) -> bytes:
    """A carrier's refusal, or the beginning of a long one, without our secrets; what was JSON is JSON still."""
    hide, told = _hider(secrets), refusal[:_MAX_TOLD]
    try:
        said = json.loads(told)
        shown = _each_text(said, hide)
        return told if shown == said else json.dumps(shown).encode()
    except (ValueError, RecursionError):
        text = _decoded_bytes(told)
        shown = hide(text)
        return told if shown == text else shown.encode("utf-8", "replace")


def personal_values(body: bytes) -> list[str]:
    """What a request's body tells of people: carriers put it into the sentences of their answers."""
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


def _each_text(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, dict):
        return {change(key): _each_text(item, change) for key, item in value.items()}
    if isinstance(value, list):
        return [_each_text(item, change) for item in value]
    return change(value) if isinstance(value, str) else _number(value, change)


def _number(value: Any, hide: Callable[[str], str]) -> Any:
    """A number, unless its digits are what is hidden."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return MASK if is_number and hide(str(value)) != str(value) else value


def _decoded_bytes(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _hider(secrets: Collection[str], people: Collection[str] = ()) -> Callable[[str], str]:
    """What masks these values in a text, however it writes them: escaped for JSON, a URL or a web page, once or twice.

    A text in which one is found escaped is given back without its escapes.
    """
    forms = {form for secret in secrets if len(secret) >= _SECRET_FROM for form in _forms(secret)}
    ordered, names = sorted(forms, key=len, reverse=True), _names(people)

    def plainly(text: str) -> str:
        for form in ordered:
            text = text.replace(form, MASK)
        return names.sub(MASK, text) if names else text

    def hide(text: str) -> str:
        text = plainly(text)
        for _found in range(_MOST_READINGS):
            telling = next((reading for reading in _readings(text) if plainly(reading) != reading), None)
            if telling is None:
                return text
            text = plainly(telling)
        return MASK

    return hide


_MOST_READINGS = 30
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)")
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}


def _readings(text: str) -> list[str]:
    """The text without one kind of escapes, without another, without both, and so on."""
    found = [text]
    for reading in found:  # grows meanwhile
        for unescape in (_without_backslashes, unquote, html.unescape):
            plain = unescape(reading)
            if plain not in found and len(found) < _MOST_READINGS:
                found.append(plain)
    return found[1:]


def _without_backslashes(text: str) -> str:
    if "\\" not in text:
        return text
    plain = _ESCAPE.sub(_escaped_character, text)
    return plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # joins two halves


def _escaped_character(found: re.Match[str]) -> str:
    said = found[1]
    return chr(int(said[1:], 16)) if len(said) == 5 else _ESCAPED.get(said, said)


def _forms(secret: str) -> Iterator[str]:
    """As it is, with a URL's blanks, as mistaken for another encoding, in hex, and within what is in base64."""
    plain = secret.encode("utf-8", "replace")
    yield from (secret, secret.replace(" ", "+"), plain.decode("latin-1"), plain.hex(), plain.hex().upper())
    for before in range(3):  # it may begin at each of three places of a group
        whole = base64.b64encode(b"\0" * before + plain).decode().rstrip("=")
        inside = whole[(0, 2, 3)[before] : len(whole) - (1 if (before + len(plain)) % 3 else 0)]
        yield from (inside, inside.replace("+", "-").replace("/", "_"))


def _names(people: Collection[str]) -> re.Pattern[str] | None:
    known = sorted({name.strip() for name in people if len(name.strip()) > 2}, key=len, reverse=True)
    words = [re.escape(name) if len(name) >= _NAME_FROM else rf"\b{re.escape(name)}\b" for name in known]
    return re.compile("|".join(words), re.IGNORECASE) if words else None


class _Masker:
    """Masks one body, until as much is shown as the log takes."""

    def __init__(self, hide: Callable[[str], str]) -> None:
        self.hide, self.left = hide, MAX_LOGGED

    def masked(self, value: Any, name: str = "") -> Any:
        self.left -= 2 + len(name)
        if self.left <= 0:
            return "…"
        lower = _snake(name)
        if _SECRET.search(lower) or (_tells_a_person(lower) and not isinstance(value, dict | list)):
            return MASK if value not in (None, "") else value
        if isinstance(value, dict):
            return {self.hide(key): self.masked(item, key) for key, item in value.items() if self.left > 0}
        if isinstance(value, list):
            return [self.masked(item, name) for item in value if self.left > 0]
        if isinstance(value, str):
            shown = _size(value) if _is_file(value, lower) else _without_people(self.hide(value))
            self.left -= len(shown)
            return shown
        return _number(value, self.hide)


def _snake(name: str) -> str:
    return _CAMEL.sub("_", name[-_LONGEST_NAME:]).replace("-", "_").lower()


def _tells_a_person(name: str) -> bool:
    return name not in _NOT_PERSONAL and _PERSONAL.search(name) is not None


def _is_file(text: str, name: str) -> bool:
    return name in _FILE_NAMES or len(text) > _LONGEST_TEXT or _FILE.match(text) is not None


def _size(text: str) -> str:
    return f"<{len(text)} characters>"


def _without_people(text: str) -> str:
    """E-mail addresses and phone numbers go by their looks too: carriers put them into sentences."""
    return _PHONE.sub(MASK, _EMAIL.sub(MASK, text) if "@" in text else text)
