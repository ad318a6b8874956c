"""Access tokens."""

from __future__ import annotations

import hmac
import secrets
import time

from carriers.sandbox.carrier import SimulatedCarrier
from carriers.sandbox.messages import Answer, Refusal, Request
from carriers.sandbox.velocity.errors import WRONG_PASSWORD, WRONG_TOKEN

TOKEN_SECONDS = 24 * 3600


def issue_token(carrier: SimulatedCarrier, request: Request) -> Answer:
    body = request.json()
    account = carrier.store.get("account", str(body.get("username")))
    if not account or not hmac.compare_digest(account["secret"].encode(), str(body.get("password")).encode()):
        raise Refusal(401, {"error": WRONG_PASSWORD})
    token = secrets.token_urlsafe(48)
    row = {"account": body["username"], "secret": account["secret"], "expires": time.time() + TOKEN_SECONDS}
    carrier.store.put("velocity_token", token, row)
    return Answer(200, {"token": token})


def authenticate(carrier: SimulatedCarrier, request: Request) -> None:
    """Raises ``Refusal`` unless the token is valid. A changed secret ends it."""
    token = carrier.store.get("velocity_token", request.token)
    account = carrier.store.get("account", token["account"]) if token else None
    if not token or not account or token["expires"] < time.time() or token["secret"] != account["secret"]:
        raise Refusal(401, {"error": WRONG_TOKEN})
