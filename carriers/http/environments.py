"""Keep the requests of a credential within its environment: the sandbox or production.

The base URLs come from the adapter's ``apis`` and the settings, the environment from the credential's mode, and not
from the adapter that makes the request.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from urllib.parse import SplitResult, unquote, urlsplit

from django.conf import settings
from django.utils.translation import gettext as _

from carriers.adapters.apis import Body
from carriers.adapters.base import CarrierAdapter
from carriers.adapters.operations import OPERATIONS, Effect, is_read
from carriers.adapters.registry import adapter_class
from carriers.models import Credential, Environment
from carriers.types import errors

log = logging.getLogger(__name__)
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_PORTS = {"http": 80, "https": 443}


def base_urls(adapter: type[CarrierAdapter], environment: str) -> dict[str, str]:
    """Return the base URLs of a carrier's APIs by name.

    ``CARRIER_BASE_URLS`` decides. Without an entry, the sandbox is the simulated carrier if ``CARRIER_SIMULATED`` is
    set or the carrier has no test environment.
    """
    urls = {}
    for name, api in adapter.apis.items():
        url = api.production if environment == Environment.PRODUCTION else api.sandbox
        if environment == Environment.SANDBOX and (settings.CARRIER_SIMULATED or not api.sandbox):
            path = urlsplit(api.sandbox or api.production).path
            url = f"{settings.CARRIER_SANDBOX_URL.rstrip('/')}/{adapter.slug}{path}"
        urls[name] = settings.CARRIER_BASE_URLS.get((adapter.slug, environment, name), url).rstrip("/")
    return urls


def check_request(credential: Credential, operation: str, url: str, body: Body | None) -> None:
    """Raise ``CarrierRejected`` for a request that must not be sent with this credential.

    Its URL must be of the credential's environment. With ``test_flag``, a write or purchase must be a test in the
    sandbox and must not be one in production. A write may have no flag (None); a purchase without one is not a test.
    """
    adapter, environment = adapter_class(credential.carrier), credential.environment
    if not _is_of_environment(adapter, environment, operation, url):
        raise _refused(adapter, operation, _("Not sent: the URL is not of the credential's environment."))
    if adapter.test_flag and OPERATIONS[operation] in (Effect.WRITE, Effect.PURCHASE):
        is_test = adapter.is_test(operation, body)
        has_none = is_test is None and OPERATIONS[operation] is Effect.WRITE
        if not has_none and bool(is_test) != (environment == Environment.SANDBOX):
            text = _("Not sent: it would be a test.") if is_test else _("Not sent: it would not be a test.")
            raise _refused(adapter, operation, text)


def may_download(credential: Credential, url: str) -> bool:
    """Return whether a file may be fetched: from the carrier's hosts by https, by http only from a simulated carrier.

    The simulated carrier may also use another name of this machine.
    """
    adapter = adapter_class(credential.carrier)
    own = [urlsplit(one) for one in base_urls(adapter, credential.environment).values()]
    parts = urlsplit(url)
    if parts.username is not None or parts.password is not None:
        return False
    if parts.scheme == "http":
        if credential.environment != Environment.SANDBOX or parts.hostname not in _LOOPBACK:
            return False
        ports = {_port(one) for one in own if one.hostname in _LOOPBACK}
        return _port(parts) in ports or _is_file_host(adapter, parts)
    return parts.scheme == "https" and (
        any(_origin(parts) == _origin(one) for one in own) or _is_file_host(adapter, parts)
    )


def _is_file_host(adapter: type[CarrierAdapter], parts: SplitResult) -> bool:
    host = (parts.hostname or "").lower()
    name = host if _port(parts) == _PORTS[parts.scheme] else f"{host}:{_port(parts)}"
    for allowed in (one.lower() for api in adapter.apis.values() for one in api.file_hosts):
        if name == allowed or (allowed.startswith("*.") and name.endswith(allowed[1:])):
            return True
    return False


def _is_of_environment(adapter: type[CarrierAdapter], environment: str, operation: str, url: str) -> bool:
    """Return whether the longest base URL that a URL is below is of this environment.

    The base URL of a sandbox may be below the one of production. Where both are equal, also by a wrong setting, only
    reads are sent with a sandbox's credential, unless the carrier has a flag for tests or is simulated on this machine.
    """
    sandbox, production = (list(base_urls(adapter, one).values()) for one in Environment.values)
    if environment == Environment.PRODUCTION:
        return 0 < _longest_base(production, url) >= _longest_base(sandbox, url)
    own = _longest_base(sandbox, url)
    other = _longest_base([*production, *(api.production for api in adapter.apis.values())], url)
    is_harmless = is_read(operation) or adapter.test_flag or urlsplit(url).hostname in _LOOPBACK
    return own > other or (0 < own == other and is_harmless)


def _longest_base(bases: Iterable[str], url: str) -> int:
    """Return the length of the longest base URL that this URL is below; 0 if there is none."""
    parts = urlsplit(url)
    if parts.username is not None or {".", ".."} & set(unquote(parts.path).split("/")):
        return 0
    found = [0]
    for base in map(urlsplit, bases):
        path = base.path.rstrip("/")
        if _origin(base) == _origin(parts) and (parts.path == path or parts.path.startswith(f"{path}/")):
            found.append(1 + len(path))
    return max(found)


def _origin(parts: SplitResult) -> tuple[str, str, int]:
    return parts.scheme, (parts.hostname or "").lower(), _port(parts)


def _port(parts: SplitResult) -> int:
    return parts.port or _PORTS.get(parts.scheme, 0)


def _refused(adapter: type[CarrierAdapter], operation: str, text: str) -> errors.CarrierRejected:
    log.error("request not of the credential's environment", extra={"carrier": adapter.slug, "operation": operation})
    return errors.CarrierRejected(carrier=adapter.name, carrier_code="wrong_environment", carrier_message=text)
