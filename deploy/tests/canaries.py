"""Secrets made for a test, and the search for them in every encoding."""

from __future__ import annotations

import base64
import html
import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import quote, quote_plus


@dataclass(frozen=True)
class Canary:
    """A named secret. ``core`` is a random part of it that no escaping changes."""

    name: str
    text: str
    core: str

    @cached_property
    def needles(self) -> set[bytes]:
        """Return the encodings: plain, base64 and base64url (also inside a text), hex, percent, JSON and HTML."""
        found = {form for text in (self.text, self.core) for form in _forms(text)}
        return {form for form in found if len(form) >= 8}


def canary(name: str) -> Canary:
    """Create a text that JSON, URLs and HTML encode differently."""
    core = secrets.token_hex(10)
    return Canary(name, f'canary "é"/+&{core}', core)


def printable(name: str) -> Canary:
    """Create a text of printable ASCII, as headers and keys require."""
    core = secrets.token_urlsafe(18).replace("-", "q").replace("_", "z")
    return Canary(name, f"canary/{core}", core)


def issued(name: str, text: str, *, shown: int = 0) -> Canary:
    """Wrap a secret made by Waybill or a carrier. ``shown`` is the length of the prefix that may be shown."""
    return Canary(name, text, text[shown:][-32:])


def webhook_secret(name: str) -> tuple[Canary, Canary]:
    """Create an endpoint's secret: its text, and the key that the text encodes."""
    key = f"canary-{secrets.token_hex(12)}"
    text = base64.b64encode(key.encode()).decode()
    return Canary(name, f"whsec_{text}", text.rstrip("=")[-20:]), Canary(f"{name}, decoded", key, key[-24:])


def found_in(content: bytes, wanted: list[Canary]) -> set[str]:
    """Return the names of the secrets that the content contains."""
    return {one.name for one in wanted if any(needle in content for needle in one.needles)}


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
    """Return the base64 characters of the text when ``shift`` bytes precede it and others follow."""
    start = {0: 0, 1: 2, 2: 3}[shift]
    whole = (shift + len(plain)) * 8 // 6
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        yield encode(bytes(shift) + plain)[start:whole]
