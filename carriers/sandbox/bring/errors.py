"""Bring's refusals and failures. Each API has its own format; some answers are plain text."""

from __future__ import annotations

import csv
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from carriers.sandbox.messages import Refusal

Body = dict[str, Any] | str
BOOKINGS = ("create_label", "create_return")
SUBSCRIPTIONS = ("subscribe", "unsubscribe", "list_subscriptions", "test_subscription")
# The one sentence for 401 that a paper quotes, typing error included. The others are assumed.
_TRACKING_401 = (
    "401 - Unathorized. The Tracking API no longer supports unauthenticated requests. Make sure your requests are "
    "authenticated. Read more about this on our Bring developer site. https://developer.bring.com/api/tracking/"
)
_TEXTS = {
    400: "Bad request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not found",
    429: "Too many requests",
    503: "Service unavailable",
}
_TRACKING = {
    400: {"message": "Invalid query"},
    404: {"message": "No shipments found"},
    500: {"system": "ExternalErrorPakker", "message": "Error getting track & trace information"},
    503: {
        "system": "TooBusyPakker_TooBusyPakker",
        "message": "Server too busy/ Temporarily blocked due to too many invalid requests",
    },
}
# Codes of failures that validation does not find, by HTTP status.
_BOOKING_CODES = {400: "BOOK-INPUT-001", 403: "BOOK-AUTHORIZATION-001", 503: "BOOK-INTERNAL-002"}


class ErrorType(NamedTuple):
    """An error of the Booking API. With ``is_suffixable`` the code names the party: ``BOOK-INPUT-015-RECIPIENT``."""

    code: str
    message: str
    is_suffixable: bool


def _read_catalogue() -> dict[str, ErrorType]:
    with (Path(__file__).parent / "booking_errors.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {row["code"]: ErrorType(row["code"], row["message"], bool(row["suffixable"])) for row in rows}


CATALOGUE = _read_catalogue()


class BringRefusal(Refusal):
    """A refusal in the format of the operation's API."""

    def __init__(self, status: int, operation: str, message: str = "") -> None:
        super().__init__(status, error_body(status, message, operation))


class BookingRefusal(Refusal):
    """A booking that is refused. 400 is documented, and 200 if it is refused in part."""

    def __init__(self, errors: Sequence[dict[str, Any]], correlation_id: Any = None, status: int = 400) -> None:
        super().__init__(status, _booking_body(errors, correlation_id))


class GuideRefusal(Refusal):
    """A request to the Shipping Guide with invalid fields."""

    def __init__(self, fields: dict[str, str]) -> None:
        errors = [{"code": "INVALID_ARGUMENT", "message": text, "field": name} for name, text in fields.items()]
        super().__init__(400, {"fieldErrors": errors})


def make_error(code: str, party: str = "", message: str = "") -> dict[str, Any]:
    """Return an error of the catalogue. ``party`` is ``sender`` or ``recipient``; ``message`` replaces its text."""
    known = CATALOGUE[code]
    suffix = f"-{party.upper()}" if party and known.is_suffixable else ""
    text = message or known.message
    return {"uniqueId": str(uuid.uuid4()), "code": code + suffix, "messages": [{"lang": "en", "message": text}]}


def error_body(status: int, message: str = "", operation: str = "") -> Body:
    """Return the body of a failure, with Bring's own text unless a message is given."""
    if operation in SUBSCRIPTIONS:
        text = message or _TEXTS.get(status, "Internal Bring error")
        return {"uuid": uuid.uuid4().hex[:6], "status": str(status), "reason": text}
    if operation == "track" and status in _TRACKING:
        return _tracking_body(status, message)
    if operation == "track" and status == 401:
        return message or _TRACKING_401
    if operation == "quote" and status == 400:
        return {"fieldErrors": [{"code": "INVALID_ARGUMENT", "message": message or _TEXTS[400], "field": ""}]}
    if status in (401, 429):
        return message or _TEXTS[status]
    if operation in BOOKINGS:
        return _booking_body([make_error(_BOOKING_CODES.get(status, "BOOK-INTERNAL-001"), message=message)], None)
    if operation == "schedule_pickup":
        code = "PICKUP-INPUT-001" if status == 400 else "PICKUP-INTERNAL-001"
        return {"pickupConfirmation": None, "errors": [make_error(code, message=message)]}
    return message or _TEXTS.get(status, "Internal server error")


def _booking_body(errors: Sequence[dict[str, Any]], correlation_id: Any) -> dict[str, Any]:
    return {"consignments": [{"confirmation": None, "errors": list(errors), "correlationId": correlation_id}]}


def _tracking_body(status: int, message: str) -> dict[str, Any]:
    error = _TRACKING[status] | {"code": status} | ({"message": message} if message else {})
    body = {"apiVersion": "2", "consignmentSet": [{"error": error}]}
    return {"shipments": [body]} if status == 503 else body  # as in Bring's sample
