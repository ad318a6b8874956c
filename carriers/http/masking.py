"""Mask secrets, personal data and files in carriers' requests and answers before they are logged or shown.

Fields are masked by name. Our own secrets are also masked by value, because carriers repeat requests in their errors.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode

from carriers.adapters.xml import parse_xml

MASK = "***"
_FORM = "application/x-www-form-urlencoded"
MAX_LOGGED = 8_000
_MAX_PARSED = 1_000_000  # bytes; of a larger body only the size is logged
_MAX_REFUSAL = 100_000  # bytes; the message is a sentence or a web page
# A shorter secret protects nothing, and its text occurs in many answers by chance.
_MIN_SECRET_LENGTH = 6
_MIN_NAME_LENGTH = 4  # a shorter name is masked only as a separate word

# End of the name of a field that contains a secret: access_token, clientSecret, x-api-key.
_SECRET = re.compile(
    r"(^|_)(\w*tokens?|\w*passw(or)?d|passphrase|\w*secret(_key)?|api_?(key|uid)|authorization|authenticator|"
    r"(private|access|session|child)_key|bearer|jwt|client_id)$"
)
# End of the name of a field with personal data: contact_name, billingEmail, address_line_1, street2.
_PERSONAL = re.compile(
    r"(^|_)((first|last|full|sur|user)?name_?\d?|company|e?_?mails?|"
    r"(phone|mobile|mobile_?phone|telephone|tel|fax|sms)(_?(no|number|extension))?|"
    r"address|address_?(line)?_?\d|address_lines?|address_(house|street)|address_info(rmation)?_?\d?|"
    r"streets?(_?\d|_lines?|_line_?\d|_address)?|house_(number|no)|landmark|post_number|"
    r"recipient|consignee|receiver|addressee|contact|(collected|signed|received)_by|delivered_to|"
    r"signature(_image)?|delivery_photo|pickup_code(_used)?|notes|instructions?|comments?|memo|"
    r"(pickup_address|additional_services?|free_text)_(message|text|value)|preferred_(neighbour|location)|"
    r"parcel_outlet_routing|account_holder|iban|bic|birth_?date|date_of_birth|"
    r"tax_identification_number|tax_id(_number)?|vat_(number|tax_id)|eori(_number)?)$"
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
# Files in other fields: PDF, PNG, JPEG, GIF and ZPL in base64 or raw, data URLs.
_FILE = re.compile(r"\s*(JVBERi0|iVBORw0KGgo|/9j/|R0lGOD|XlhB|%PDF|\^XA|data:)")
_FILE_NAME_END = re.compile(r"(^|_)(image|form_file)$")
_XML_START = re.compile(rb"\s*(?:<\?[^>]*>\s*|<!--.*?-->\s*)*<(?:[\w.-]+:)?([A-Za-z_][\w.-]{0,99})", re.DOTALL)
_LONGEST_TEXT = 2_000
_LONGEST_NAME = 100
_EMAIL = re.compile(r"[^\s@<>\"'(),;:]{1,64}@[^\s@<>\"'(),;:]{1,255}\.\w+")
_PHONE = re.compile(r"\+\d[\d ().-]{6,}\d")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def mask_body(
    body: bytes, *, content_type: str = "", secrets: Collection[str] = (), people: Collection[str] = ()
) -> str:
    """Return a body for the call log, without secrets, personal data and files.

    JSON is returned masked, a form as masked pairs, of XML the name of the root and the size, of others the size.
    """
    if not body:
        return ""
    if len(body) > _MAX_PARSED:
        return f"<{len(body)} bytes>"
    hide = _make_hider(secrets, people)
    if _FORM in content_type:
        text = _mask_pairs(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True), hide)
        return text[:MAX_LOGGED]
    if root := _xml_root(body, content_type):
        return f"<XML {hide(root)}, {len(body)} bytes>"
    try:
        text = json.dumps(_Masker(hide).mask(json.loads(body)), ensure_ascii=False)[:MAX_LOGGED]
    except (ValueError, RecursionError):
        return f"<{len(body)} bytes, not readable as JSON>"
    return text.encode("utf-8", "replace").decode()  # the database refuses lone surrogates


def mask_url(url: str, *, secrets: Collection[str] = ()) -> str:
    """Return a URL for the call log. Query parameters are masked by name, as the fields of bodies are."""
    hide = _make_hider(secrets)
    head, mark, query = url.partition("?")
    return hide(head) + (f"?{_mask_pairs(parse_qsl(query, keep_blank_values=True), hide)}" if mark else "")


def _mask_pairs(pairs: Iterable[tuple[str, str]], hide: Callable[[str], str]) -> str:
    masker = _Masker(hide)
    return urlencode([(hide(name), masker.mask(_without_xml(value), name)) for name, value in pairs], safe="*")


def _without_xml(text: str) -> str:
    root = _xml_root(text.encode("utf-8", "replace"), "xml") if text.lstrip().startswith("<") else ""
    return f"<XML {root}, {len(text)} characters>" if root else text


def _xml_root(body: bytes, content_type: str) -> str:
    """Return the name of an XML document's root; empty if it is another document."""
    is_xml = ("xml" in content_type and "html" not in content_type) or body.lstrip().startswith(b"<?xml")
    found = _XML_START.match(body[:2_000]) if is_xml else None
    return found[1].decode("utf-8", "replace") if found else ""


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


def find_personal_values(body: bytes, content_type: str = "") -> list[str]:
    """Return the personal data in a request's body, because carriers repeat it in the texts of their answers."""
    try:
        if _FORM in content_type:
            return list(_iterate_personal_values(dict(parse_qsl(body.decode()))))
        value = parse_xml(body) if "xml" in content_type else json.loads(body or b"null")
        return list(_iterate_personal_values(value))
    except (ValueError, RecursionError):
        return []


def _iterate_personal_values(value: Any, name: str = "", parent: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _iterate_personal_values(item, key, name)
    elif isinstance(value, list):
        for item in value:
            yield from _iterate_personal_values(item, name, parent)
    elif isinstance(value, str) and _is_personal(_to_snake_case(name), _to_snake_case(parent)):
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
    words = [rf"\b{re.escape(name)}\b" if _is_short(name) else re.escape(name) for name in known]
    return re.compile("|".join(words), re.IGNORECASE) if words else None


def _is_short(name: str) -> bool:
    """Return whether a name occurs in other texts by chance, as a house number does in a tracking number."""
    return len(name) < (_MIN_SECRET_LENGTH if name.isdigit() else _MIN_NAME_LENGTH)


class _Masker:
    """Masks one body, up to the length that is logged."""

    def __init__(self, hide: Callable[[str], str]) -> None:
        self.hide, self.left = hide, MAX_LOGGED

    def mask(self, value: Any, name: str = "", parent: str = "") -> Any:
        """Return a value without what must not be logged. ``name`` and ``parent``: of its field and the one around."""
        self.left -= 2 + len(name)
        if self.left <= 0:
            return "…"
        lower = _to_snake_case(name)
        is_personal = not isinstance(value, dict | list) and _is_personal(lower, _to_snake_case(parent))
        if _SECRET.search(lower) or is_personal:
            return MASK if value not in (None, "") else value
        if isinstance(value, dict):
            return {self.hide(key): self.mask(item, key, name) for key, item in value.items() if self.left > 0}
        if isinstance(value, list):
            return [self.mask(item, name, parent) for item in value if self.left > 0]
        if isinstance(value, str):
            shown = self._mask_text(value, lower)
            self.left -= len(shown)
            return shown
        return _mask_number(value, self.hide)

    def _mask_text(self, text: str, name: str) -> str:
        if name in _FILE_NAMES or _FILE_NAME_END.search(name) or len(text) > _LONGEST_TEXT or _FILE.match(text):
            return f"<{len(text)} characters>"
        text = self.hide(text)
        # E-mail addresses and phone numbers are masked by their form too, because carriers put them into sentences.
        return _PHONE.sub(MASK, _EMAIL.sub(MASK, text) if "@" in text else text)


def _to_snake_case(name: str) -> str:
    return _CAMEL.sub("_", name[-_LONGEST_NAME:]).replace("-", "_").lower()


def _is_personal(name: str, parent: str = "") -> bool:
    """Return whether a field is personal by its name, or together with the field around it: ``phone: {number}``."""
    if name in _NOT_PERSONAL:
        return False
    return _PERSONAL.search(name) is not None or (parent != "" and _PERSONAL.search(f"{parent}_{name}") is not None)
