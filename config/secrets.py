"""The secrets of an installation. Production has its own; demo mode has public ones."""

from __future__ import annotations

import base64
import os
import secrets

from django.core.exceptions import ImproperlyConfigured

from config.environment import env

DEMO = env.bool("DEBUG", default=False)
DEMO_SECRETS = {
    "SECRET_KEY": "demo-secret-key-that-is-for-trying-waybill-out-and-nothing-else",
    "ENCRYPTION_KEYS": "demo:ZGVtby1lbmNyeXB0aW9uLWtleS0zMi1ieXRlcy1vayE=",
    "API_KEY_PEPPER": "demo-pepper-for-api-keys",
    "TRACKING_NUMBER_SECRETS": "1:demo-secret-for-tracking-numbers",
}
_DEMO_KEY = b"demo-encryption-key-32-bytes-ok!"  # the bytes of the demo encryption key
# Demo secrets without their names and versions, and the placeholders of the documents. Production refuses them.
KNOWN_SECRETS = {
    *(value.rpartition(":")[2].rstrip("=") for value in DEMO_SECRETS.values()),
    _DEMO_KEY.decode(),
    _DEMO_KEY.hex(),
    "your-secret-key-here",
    "your-32-byte-encryption-key-here",
    "<32-byte-hex-string>",
    "test-secret",
}
_GENERATE = "`python manage.py generate_env` generates it"


def read_secrets() -> dict[str, str]:
    """Return the secrets. Raises an error that names all that are missing or known outside of production."""
    given = {
        "SECRET_KEY": env.str("SECRET_KEY"),
        # "id:key,…": the first key encrypts, all decrypt. ENCRYPTION_KEY is the documented name of a single key.
        "ENCRYPTION_KEYS": env.str("ENCRYPTION_KEYS", "ENCRYPTION_KEY"),
        "API_KEY_PEPPER": env.str("API_KEY_PEPPER"),
        # "version:secret,…": the first secret generates new numbers.
        "TRACKING_NUMBER_SECRETS": env.str("TRACKING_NUMBER_SECRETS"),
    }
    if DEMO:
        return {name: value or DEMO_SECRETS[name] for name, value in given.items()}
    if missing := [name for name, value in given.items() if not value]:
        verb, generate = ("is", _GENERATE) if len(missing) == 1 else ("are", _GENERATE.replace(" it", " them"))
        raise ImproperlyConfigured(
            f"{', '.join(missing)} {verb} not set. Waybill does not start without a secret of your own; {generate}. "
            "To try Waybill out, set DEBUG=true."
        )
    for name, value in given.items():
        if _is_known(value):
            raise ImproperlyConfigured(
                f"{name} holds a demo secret. Set one of your own ({_GENERATE}), or DEBUG=true to try Waybill out."
            )
    return given


def generate_secrets() -> dict[str, str]:
    """Return new secrets by the name of their variable, without characters that a shell or ``.env`` file reads."""
    return {
        "SECRET_KEY": secrets.token_urlsafe(50),
        "ENCRYPTION_KEYS": f"k1:{base64.b64encode(os.urandom(32)).decode()}",
        "API_KEY_PEPPER": secrets.token_urlsafe(32),
        "TRACKING_NUMBER_SECRETS": f"1:{secrets.token_urlsafe(32)}",
    }


def _is_known(value: str) -> bool:
    """Return whether a secret, or the first one of a list, is public: under any name or version, in any form."""
    first = value.partition(",")[0].strip()
    bare = first.rpartition(":")[2].strip().rstrip("=")
    return not KNOWN_SECRETS.isdisjoint({value, first, bare, bare.lower()})
