"""Who acts: the key or person of the running request and the address it came from, for the record of what happened."""

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


@dataclass(frozen=True)
class Actor:
    """``name``: ``key:<id>``, ``person:<id>``, ``staff:<id>``, or empty for Waybill itself."""

    name: str = ""
    address: str | None = None


WAYBILL = Actor()
_current: ContextVar[Actor] = ContextVar("actor", default=WAYBILL)


def current() -> Actor:
    """Who the running piece of work is done for."""
    return _current.get()


def identify(name: str) -> None:
    """Say who the running request is from, once that is known."""
    _current.set(replace(_current.get(), name=name))


@contextmanager
def at(address: str | None) -> Iterator[None]:
    """Run a request that came from this address."""
    token = _current.set(Actor(address=address))
    try:
        yield
    finally:
        _current.reset(token)


def client_address(request: HttpRequest) -> str:
    """The address that a request came from.

    ``X-Forwarded-For`` counts only as far as ``TRUSTED_PROXIES`` have written it: read from the right, the first
    address that is not one of them is the client. Whatever stands left of it may be forged.
    """
    hops = [hop.strip() for hop in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",") if hop.strip()]
    address = _parsed(request.META.get("REMOTE_ADDR", ""))
    while address is not None and hops and is_within(address, settings.TRUSTED_PROXIES):
        nearer = _parsed(hops.pop())
        if nearer is None:
            break
        address = nearer
    return str(address) if address else "0.0.0.0"  # noqa: S104 a socket without an address, as in tests


def is_within(address: str | IPAddress, networks: list[str]) -> bool:
    """Whether an address lies in one of the networks (or is one of the addresses)."""
    parsed = _parsed(str(address))
    return parsed is not None and any(
        parsed in network for network in map(_network, networks) if network.version == parsed.version
    )


@lru_cache(maxsize=1024)
def _network(text: str) -> IPNetwork:
    return ipaddress.ip_network(text, strict=False)


def _parsed(text: str) -> IPAddress | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    # ::ffff:192.0.2.1 is how a dual-stack socket shows 192.0.2.1
    return getattr(address, "ipv4_mapped", None) or address
