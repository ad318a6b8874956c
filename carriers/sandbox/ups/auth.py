"""Access tokens: OAuth client credentials, with a form body and a Basic header."""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
import time
from typing import Any

from carriers.sandbox.carrier import SimulatedCarrier
from carriers.sandbox.messages import Answer, Request
from carriers.sandbox.ups.errors import FAILURES, UpsRefusal

# The document names no lifetime; 14399 was seen by others.
TOKEN_SECONDS = 14_399


def issue_token(carrier: SimulatedCarrier, request: Request) -> Answer:
    """Issue a token. All values of the answer are strings."""
    client_id, account = _check_client(carrier, request)
    if request.form().get("grant_type") != "client_credentials":
        raise UpsRefusal(400, "10400", "Invalid/Missing grant_type")  # the code is published, the text is assumed
    token = secrets.token_urlsafe(96)
    issued, seconds = time.time(), account["token_seconds"]
    row = {"account": client_id, "secret": account["secret"], "expires": issued + seconds}
    carrier.store.put("ups_token", token, row)
    answer = {
        "token_type": "Bearer",
        "issued_at": str(int(issued * 1000)),
        "client_id": client_id,
        "access_token": token,
        "scope": "",
        "expires_in": str(seconds),
        "refresh_count": "0",
        "status": "approved",
    }
    return Answer(200, answer)


def _check_client(carrier: SimulatedCarrier, request: Request) -> tuple[str, dict[str, Any]]:
    """Return the client id of a Basic header and its account. Raises ``UpsRefusal``."""
    client_id, secret = _read_basic(request)
    account = carrier.store.get("account", client_id)
    if not account or "shipper_numbers" not in account:
        raise UpsRefusal(401, "10401", "ClientId is Invalid")  # assumed
    if not hmac.compare_digest(account["secret"].encode(), secret.encode()):
        raise UpsRefusal(401, *FAILURES[401])
    if account["blocked"]:
        raise UpsRefusal(403, *FAILURES[403])
    return client_id, account


def authenticate(carrier: SimulatedCarrier, request: Request) -> None:
    """Raises ``UpsRefusal`` unless the token is valid. A changed secret ends it."""
    token = carrier.store.get("ups_token", request.token)
    account = carrier.store.get("account", token["account"]) if token else None
    if not token or not account or token["secret"] != account["secret"]:
        raise UpsRefusal(401, *FAILURES[401])
    if token["expires"] <= time.time():
        raise UpsRefusal(401, "251004", "Bearer Token expired (oauth)")  # published by Track Alert only
    if account["blocked"]:
        raise UpsRefusal(403, *FAILURES[403])


def shipper_numbers(carrier: SimulatedCarrier, request: Request) -> list[str]:
    """Return the shipper numbers of the client."""
    return (carrier.store.get("account", request.account) or {}).get("shipper_numbers", [])


def client_of(request: Request) -> str:
    """Return the client id of a Basic header, or an empty string."""
    try:
        return _read_basic(request)[0]
    except UpsRefusal:
        return ""


def _read_basic(request: Request) -> tuple[str, str]:
    kind, _, encoded = request.headers.get("authorization", "").partition(" ")
    try:
        client_id, colon, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        client_id, colon, secret = "", "", ""
    if kind != "Basic" or not colon:
        raise UpsRefusal(401, "10400", "Invalid/Missing Authorization Header")
    return client_id, secret
