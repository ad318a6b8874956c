"""The actor of the running request: its API key or person and its address, for events and logs."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import lru_cache

from django.conf import settings
from django.http import HttpRequest

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

# Headers that proxies add.
_OF_PROXIES = (
    "HTTP_X_FORWARDED_FOR",
    "HTTP_X_FORWARDED_PROTO",
    "HTTP_X_FORWARDED_HOST",
    "HTTP_X_REAL_IP",
    "HTTP_FORWARDED",
    "HTTP_VIA",
)


@dataclass(frozen=True)
class Actor:
    """The author of a change. ``name``: ``key:<id>``, ``person:<id>``, ``staff:<id>``, or empty for Waybill itself."""

    name: str = ""
    address: str | None = None


WAYBILL = Actor()
_current: ContextVar[Actor] = ContextVar("actor", default=WAYBILL)


def current() -> Actor:
    """Return the actor of the running request or task."""
    return _current.get()


def identify(name: str) -> None:
    """Set the name of the running request's actor, after authentication."""
    _current.set(replace(_current.get(), name=name))


@contextmanager
def from_address(address: str | None) -> Iterator[None]:
    """Run a request as an unnamed actor at this address."""
    token = _current.set(Actor(address=address))
    try:
        yield
    finally:
        _current.reset(token)


def client_address(request: HttpRequest) -> str:
    """Return the address of a request's client.

    Of ``X-Forwarded-For``, read from the right, the first address that is not in ``TRUSTED_PROXIES`` is the client's.
    The client may have forged everything to the left of it.
    """
    hops = [hop.strip() for hop in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",") if hop.strip()]
    address = _parse_address(request.META.get("REMOTE_ADDR", ""))
    while address is not None and hops and is_within(address, settings.TRUSTED_PROXIES):
        previous = _parse_address(hops.pop())
        if previous is None:
            break
        address = previous
    return str(address) if address else "0.0.0.0"  # noqa: S104 a socket has no address in tests


def is_client_hidden(request: HttpRequest) -> bool:
    """Return whether a proxy outside ``TRUSTED_PROXIES`` forwarded the request: ``client_address`` is the proxy's."""
    forwarded = any(name in request.META for name in _OF_PROXIES)
    return forwarded and not is_within(request.META.get("REMOTE_ADDR", ""), settings.TRUSTED_PROXIES)


def is_within(address: str | IPAddress, networks: list[str]) -> bool:
    """Return whether an address is in one of the networks (or is one of the addresses)."""
    parsed = _parse_address(str(address))
    return parsed is not None and any(
        parsed in network for network in map(_parse_network, networks) if network.version == parsed.version
    )


@lru_cache(maxsize=1024)
def _parse_network(text: str) -> IPNetwork:
    return ipaddress.ip_network(text, strict=False)


def _parse_address(text: str) -> IPAddress | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    # A dual-stack socket reports 192.0.2.1 as ::ffff:192.0.2.1.
    return getattr(address, "ipv4_mapped", None) or address
