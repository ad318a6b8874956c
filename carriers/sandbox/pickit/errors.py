"""Pickit's refusals and failures."""

from __future__ import annotations

from typing import Any

from carriers.sandbox.messages import Refusal

RATE_LIMIT = 20  # requests a second
LOGIN_REFUSED = ("INVALID_CLIENT", "Unknown client or wrong secret")
# Code and message by HTTP status. Any other status is an internal error of Pickit.
FAILURES = {
    400: ("VALIDATION_ERROR", "The request is not valid"),
    401: ("INVALID_TOKEN", "The access token is missing, unknown or expired"),
    403: ("FORBIDDEN", "This account is suspended"),
    429: ("RATE_LIMITED", f"At most {RATE_LIMIT} requests a second"),
}


class PickitRefusal(Refusal):
    """A refusal in Pickit's error format."""

    def __init__(self, status: int, code: str, message: str, field: str | None = None, **headers: str) -> None:
        super().__init__(status, {"error": {"code": code, "message": message, "field": field}}, **headers)


class Invalid(PickitRefusal):
    """A request that fails validation."""

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(400, "VALIDATION_ERROR", message, field)


def error_body(status: int, message: str = "", operation: str = "") -> dict[str, Any]:
    """Return the body of a failure, with Pickit's message unless one is given."""
    known = LOGIN_REFUSED if (status, operation) == (401, "token") else FAILURES.get(status)
    code, default = known or ("INTERNAL_ERROR", "Internal server error")
    return {"error": {"code": code, "message": message or default, "field": None}}
