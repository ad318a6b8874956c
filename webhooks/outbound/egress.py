"""Send POST requests to merchant URLs, with protection against SSRF.

Only https is allowed (in demo mode also http to loopback), without credentials in the URL. Private, loopback,
link-local and metadata addresses are refused when a URL is saved, and at each attempt for the address that is connected
to. Redirects are not followed; time and body are limited.
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
# IPv6 ranges that requests-hardened does not block: IPv4-compatible and site-local.
_ALSO_BLOCKED = [ipaddress.ip_network("::/96"), ipaddress.ip_network("fec0::/10")]


@dataclass(frozen=True)
class Result:
    """The result of one attempt."""

    outcome: str
    status: int | None = None
    response: str = ""
    error: str = ""
    retry_after_s: int | None = None


def check_url(url: str) -> None:
    """Raise ``ValidationError`` for a URL that is not allowed. The host is not resolved."""
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname or "", parts.port
    except ValueError as error:
        raise ValidationError(_("This is not a URL.")) from error
    if not host or parts.username or parts.password or parts.fragment:
        raise ValidationError(_("Give a URL with a host and without user name, password or fragment."))
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        address = None
    is_loopback = host == "localhost" or (address is not None and address.is_loopback)
    if settings.WEBHOOK_ALLOW_LOOPBACK and is_loopback and parts.scheme in ("http", "https"):
        return
    if parts.scheme != "https":
        raise ValidationError(_("Only https URLs are called."))
    if is_loopback or (address is not None and not _is_public(address)):
        raise ValidationError(_("This address is private."))


def post(url: str, *, body: bytes, headers: dict[str, str]) -> Result:
    """Send one POST request. Errors of the network or the endpoint are returned, not raised."""
    config = Config(
        ip_filter_enable=True,
        ip_filter_allow_loopback_ips=settings.WEBHOOK_ALLOW_LOOPBACK,
        never_redirect=True,
        default_timeout=(5, settings.WEBHOOK_TIMEOUT_S),
        user_agent_override="Waybill-Webhooks/1.0",
    )
    try:
        check_url(url)
        with HTTPSession(config=config) as session:
            session.trust_env = False
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


def _read(response: requests.Response) -> Result:
    """Return the result of a response, with the beginning of its body."""
    try:
        text = next(response.iter_content(_MAX_RESPONSE), b"")[:_MAX_RESPONSE].decode("utf-8", "replace")
    except requests.RequestException:
        text = ""
    finally:
        response.close()
    status = response.status_code
    if 200 <= status < 300:
        outcome = Outcome.DELIVERED
    else:
        outcome = Outcome.REDIRECT if 300 <= status < 400 else Outcome.HTTP_ERROR
    retry_after = response.headers.get("Retry-After", "")
    return Result(
        outcome,
        status=status,
        response=text.replace("\0", ""),
        retry_after_s=int(retry_after[:6]) if retry_after.isascii() and retry_after.isdigit() else None,
    )


def _is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return address.is_global and not any(address in net for net in _ALSO_BLOCKED if net.version == address.version)
