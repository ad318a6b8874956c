"""Velocity's refusals and failures."""

from __future__ import annotations

from typing import Any

from carriers.sandbox.messages import Refusal

WRONG_PASSWORD, WRONG_TOKEN, TOO_MANY = "Invalid credentials", "Invalid or expired token", "Too many requests"


class Invalid(Refusal):
    """A body that fails validation, with a message per field."""

    def __init__(self, errors: dict[str, str]) -> None:
        super().__init__(400, {"message": "Validation failed", "errors": errors})


def refuse_if(errors: dict[str, str]) -> None:
    """Raises ``Invalid`` if there are errors."""
    if errors:
        raise Invalid(errors)


def error_body(status: int, message: str = "", operation: str = "") -> dict[str, Any]:
    """Return the body of a failure, with the document's texts unless a message is given."""
    if status == 401:
        return {"error": message or (WRONG_PASSWORD if operation == "token" else WRONG_TOKEN)}
    if status >= 500:
        booking = operation in ("create_label", "create_return")
        texts = ("Failed to create shipment", "Carrier API timeout") if booking else ("Server error", "Server error")
        return {"message": message or texts[0], "error": message or texts[1]}
    if status == 400:
        return {"message": message or "Validation failed", "errors": {}}
    return {"message": message or (TOO_MANY if status == 429 else "Refused")}
