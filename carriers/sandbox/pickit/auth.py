"""Access tokens and client secrets."""

from __future__ import annotations

import hmac
import secrets
import time
from datetime import UTC, datetime
from typing import Any

from carriers.sandbox.carrier import SimulatedCarrier
from carriers.sandbox.messages import Answer, Request, rfc3339
from carriers.sandbox.pickit.errors import FAILURES, LOGIN_REFUSED, Invalid, PickitRefusal

TOKEN_SECONDS = 3600
_PREVIOUS_SECRET_SECONDS = 86_400


def issue_token(carrier: SimulatedCarrier, request: Request) -> Answer:
    body = request.json()
    secret = _verify_secret(carrier, body)
    if body.get("grant_type", "client_credentials") != "client_credentials":
        raise Invalid("Unsupported grant type", "grant_type")
    token = secrets.token_urlsafe(32)
    expires = time.time() + TOKEN_SECONDS
    carrier.store.put("token", token, {"account": body["client_id"], "secret": secret, "expires": expires})
    return Answer(200, {"access_token": token, "expires_in": TOKEN_SECONDS, "token_type": "Bearer"})


def rotate_secret(carrier: SimulatedCarrier, request: Request) -> Answer:
    """Issue a new secret. The previous one stays valid for a day."""
    body = request.json()
    if body.get("client_id") != request.account:
        raise Invalid("The token is another client's", "client_id")
    with carrier.store.atomic():
        _verify_secret(carrier, body)
        account = carrier.store.get("account", request.account)
        until = time.time() + _PREVIOUS_SECRET_SECONDS
        new = secrets.token_urlsafe(24)
        previous = [one for one in account.get("previous", []) if one[1] > time.time()]
        row = account | {"secret": new, "previous": [*previous, [account["secret"], until]]}
        carrier.store.put("account", request.account, row)
    valid_until = rfc3339(datetime.fromtimestamp(until, UTC))
    answer = {"client_id": request.account, "client_secret": new, "previous_valid_until": valid_until}
    return Answer(200, answer)


def authenticate(carrier: SimulatedCarrier, request: Request) -> None:
    """Raises ``PickitRefusal`` unless the token is valid and its account is not suspended."""
    token = carrier.store.get("token", request.token)
    account = carrier.store.get("account", token["account"]) if token else None
    if not token or not account or token["expires"] < time.time() or token["secret"] not in _valid_secrets(account):
        raise PickitRefusal(401, *FAILURES[401])
    if account.get("suspended"):
        raise PickitRefusal(403, *FAILURES[403])


def _verify_secret(carrier: SimulatedCarrier, body: dict[str, Any]) -> str:
    """Return the client secret of a body if it is valid, else raise ``PickitRefusal``."""
    account, secret = carrier.store.get("account", str(body.get("client_id"))), str(body.get("client_secret"))
    if not account or not any(hmac.compare_digest(one.encode(), secret.encode()) for one in _valid_secrets(account)):
        raise PickitRefusal(401, *LOGIN_REFUSED)
    return secret


def _valid_secrets(account: dict[str, Any]) -> list[str]:
    previous = [secret for secret, until in account.get("previous", []) if until > time.time()]
    return [account["secret"], *previous]
