"""Secrets that are put in on purpose, and the search for them in every form in which a text may be written."""

from __future__ import annotations

import base64
import html
import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote, quote_plus


@dataclass(frozen=True)
class Canary:
    """A secret by name. ``core``: a part of it that stands nowhere by chance; escaping leaves it as it is."""

    name: str
    text: str
    core: str

    def needles(self) -> set[bytes]:
        """Plain, base64 and base64url (also inside of a longer text), hex, percent, JSON and HTML."""
        found = {form for text in (self.text, self.core) for form in _forms(text)}
        return {form for form in found if len(form) >= 8}


def canary(name: str) -> Canary:
    """A text that JSON, URLs and HTML each write in their own way."""
    core = secrets.token_hex(10)
    return Canary(name, f'canary "é"/+&{core}', core)


def signs(name: str) -> Canary:
    """The same in the printable ASCII that headers and keys take."""
    core = secrets.token_urlsafe(18).replace("-", "q").replace("_", "z")
    return Canary(name, f"canary/{core}", core)


def given_out(name: str, text: str, *, told: int = 0) -> Canary:
    """A secret that Waybill or a carrier made. ``told``: so much of its beginning may be shown to tell it by."""
    return Canary(name, text, text[told:][-32:])


def webhook_secret(name: str) -> tuple[Canary, Canary]:
    """An endpoint's secret as it is handed over, and the key that it stands for."""
    key = f"canary-{secrets.token_hex(12)}"
    text = base64.b64encode(key.encode()).decode()
    return Canary(name, f"whsec_{text}", text.rstrip("=")[-20:]), Canary(f"{name}, decoded", key, key[-24:])


def found_in(content: bytes, wanted: list[Canary]) -> set[str]:
    """The names of the canaries that stand in there."""
    return {one.name for one in wanted if any(needle in content for needle in one.needles())}


def _forms(text: str) -> Iterator[bytes]:
    plain = text.encode()
    once = {text, json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}
    twice = {json.dumps(form)[1:-1] for form in once}
    for form in (
        once | twice | {html.escape(text), quote(text, safe=""), quote(text), quote_plus(text), repr(text)[1:-1]}
    ):
        yield form.encode()
    yield plain.hex().encode()
    yield plain.hex().upper().encode()
    for shift in range(3):
        yield from _shifted(plain, shift)


def _shifted(plain: bytes, shift: int) -> Iterator[bytes]:
    """What base64 shows of it when ``shift`` bytes stand before it and others follow."""
    start = {0: 0, 1: 2, 2: 3}[shift]
    whole = (shift + len(plain)) * 8 // 6
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        yield encode(bytes(shift) + plain)[start:whole]
