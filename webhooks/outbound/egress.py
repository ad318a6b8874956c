"""POST to a merchant's URL without becoming the merchant's hands in our network.

https only (http for loopback in demo mode), no credentials in the URL, no private, loopback, link-local or metadata
address, checked at save and again at every attempt on the very address that is connected to; no redirects, bounded
time, bounded body.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

import requests
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from requests_hardened import Config, HTTPSession
from requests_hardened.ip_filter import InvalidIPAddress

from webhooks.models import Attempt

Outcome = Attempt.Outcome
_MAX_RESPONSE = 1000
# Loopback and site-local addresses in IPv6 clothes that the filtering library lets through.
_ALSO_REFUSED = [ipaddress.ip_network("::/96"), ipaddress.ip_network("fec0::/10")]


@dataclass(frozen=True)
class Result:
    """How an endpoint answered."""

    outcome: str
    status: int | None = None
    response: str = ""
    error: str = ""
    retry_after_s: int | None = None


def check_url(url: str) -> None:
    """Raises ``ValidationError`` for a URL that is not allowed whatever it resolves to."""
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname or "", parts.port
    except ValueError as error:
        raise ValidationError(_("This is not a URL.")) from error
    if not host or parts.username or parts.password or parts.fragment:
        raise ValidationError(_("Give a URL with a host and without user name, password or fragment."))
    address = _as_address(host)
    loopback = host == "localhost" or (address is not None and address.is_loopback)
    if settings.WEBHOOK_ALLOW_LOOPBACK and loopback and parts.scheme in ("http", "https"):
        return
    if parts.scheme != "https":
        raise ValidationError(_("Only https URLs are called."))
    if loopback or (address is not None and not _is_public(address)):
        raise ValidationError(_("This address is private."))


def post(url: str, *, body: bytes, headers: dict[str, str]) -> Result:
    """One attempt; never raises for what the network or the endpoint does."""
    try:
        check_url(url)
        with _session() as session:
            response = session.request("POST", url, data=body, headers=headers, stream=True)
            return _read(response)
    except (ValidationError, InvalidIPAddress) as error:
        return Result(Outcome.BLOCKED, error=str(error)[:300])
    except requests.exceptions.SSLError as error:
        return Result(Outcome.TLS, error=str(error)[:300])
    except requests.Timeout as error:
        return Result(Outcome.TIMEOUT, error=type(error).__name__)
    except (requests.RequestException, OSError, ValueError) as error:
        dns = "resol" in str(error).lower() or "name or service" in str(error).lower()
        return Result(Outcome.DNS if dns else Outcome.REFUSED, error=str(error)[:300])


def _session() -> HTTPSession:
    session = HTTPSession(
        config=Config(
            ip_filter_enable=True,
            ip_filter_allow_loopback_ips=settings.WEBHOOK_ALLOW_LOOPBACK,
            never_redirect=True,
            default_timeout=(5, settings.WEBHOOK_TIMEOUT_S),
            user_agent_override="Waybill-Webhooks/1.0",
        )
    )
    session.trust_env = False
    return session


def _read(response: requests.Response) -> Result:
    try:
        text = next(response.iter_content(_MAX_RESPONSE), b"")[:_MAX_RESPONSE].decode("utf-8", "replace")
    except requests.RequestException:
        text = ""
    finally:
        response.close()
    retry_after = response.headers.get("Retry-After", "")
    return Result(
        _judge(response.status_code),
        status=response.status_code,
        response=text.replace("\0", ""),
        retry_after_s=int(retry_after[:6]) if retry_after.isascii() and retry_after.isdigit() else None,
    )


def _judge(status: int) -> str:
    if 200 <= status < 300:
        return Outcome.DELIVERED
    return Outcome.REDIRECT if 300 <= status < 400 else Outcome.HTTP_ERROR


def _as_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return address.is_global and not any(address in net for net in _ALSO_REFUSED if net.version == address.version)
