"""The tables of a carrier's APIs: base URLs, authentication, headers, and the kinds of request bodies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Bearer:
    """An access token in ``Authorization``, fetched by ``fetch_token(kind)``. ``scheme`` empty: the token alone."""

    kind: str = "main"
    scheme: str = "Bearer"


@dataclass(frozen=True)
class Basic:
    """HTTP Basic authentication with two fields of the credential."""

    user: str
    password: str


@dataclass(frozen=True)
class HeaderKey:
    """A header with a field of the credential."""

    header: str
    field: str


@dataclass(frozen=True)
class QueryKey:
    """A query parameter with a field of the credential."""

    param: str
    field: str


Auth = Bearer | Basic | HeaderKey | QueryKey


def auth_fields(auth: Auth) -> tuple[str, ...]:
    """Return the fields of the credential that an authentication sends itself."""
    match auth:
        case Basic(user, password):
            return user, password
        case HeaderKey(_, name) | QueryKey(_, name):
            return (name,)
    return ()


@dataclass(frozen=True, kw_only=True)
class Api:
    """One API of a carrier.

    Attributes:
        sandbox: base URL of the carrier's test environment; empty if there is none: test credentials then call the
            simulated carrier.
        production: base URL.
        auth: sent with each request, all of them.
        headers: fixed headers. "{id32}" and "{id36}" stand for our correlation id, as 32 hex digits and as UUID.
        file_hosts: hosts ("host" or "host:port") besides the base URLs' that serve files and redirects; "*.x.com" is
            any host below x.com.
    """

    sandbox: str = ""
    production: str
    auth: tuple[Auth, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    file_hosts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Json:
    """A body of any JSON value; a ``Decimal`` is written as a number."""

    value: Any


@dataclass(frozen=True)
class Form:
    """A body of ``application/x-www-form-urlencoded``."""

    fields: Mapping[str, str]


@dataclass(frozen=True)
class Xml:
    """An XML document."""

    content: bytes


@dataclass(frozen=True)
class FilePart:
    """A file in a ``Multipart``."""

    name: str
    content: bytes
    content_type: str = "application/octet-stream"


@dataclass(frozen=True)
class Multipart:
    """A body of ``multipart/form-data``: fields, and files by the name of their field."""

    fields: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, FilePart] = field(default_factory=dict)


Body = Json | Form | Xml | Multipart
