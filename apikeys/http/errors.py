"""Error responses: one root class, with a subclass per code.

The body is always JSON: ``{"error": code, "message": text, "details": {field: [text]}, "correlation_id": id}``. Carrier
errors add ``carrier``, ``carrier_code``, ``carrier_message`` and ``retryable``. A new error is a subclass with a code,
a status and a docstring.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

Text = str | Promise
Details = Mapping[str, Sequence[Text] | Any]


class WaybillError(Exception):
    """The root of all error responses.

    details: maps a field of the caller's request to a list of sentences.
    retry_after_s: becomes the ``Retry-After`` header.
    """

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500
    message: ClassVar[Text] = _("Internal server error.")
    # Whether the same request may be sent again: nothing was done.
    retryable: ClassVar[bool] = False

    def __init__(
        self,
        message: Text | None = None,
        *,
        details: Details | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        self.text = message or self.message
        self.details = dict(details or {})
        self.retry_after_s = retry_after_s
        super().__init__(str(self.text))

    def body(self) -> dict[str, Any]:
        """Return the response body without the correlation id, which the handler adds."""
        return {"error": self.code, "message": str(self.text), "details": _plain(self.details)}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Promise) else value


class ValidationFailed(WaybillError):
    """The request is malformed; ``details`` names each field."""

    code, status, message = "validation_error", 400, _("Some of the data is not valid.")


class BusinessRuleViolated(WaybillError):
    """The request is well-formed but violates a rule, such as the order of statuses."""

    code, status, message = "business_error", 400, _("This violates a business rule.")


class UnsupportedOperation(WaybillError):
    """The carrier does not offer this operation, or its adapter does not implement it."""

    code, status, message = "unsupported_operation", 400, _("The carrier does not support this operation.")


class InvalidApiKey(WaybillError):
    """The API key is missing, unknown, expired or revoked."""

    code, status, message = "invalid_api_key", 401, _("API key invalid or missing.")


class NotAuthenticated(WaybillError):
    """The caller could not be authenticated, for example because of a wrong signature."""

    code, status, message = "not_authenticated", 401, _("Authentication failed.")


class PermissionRefused(WaybillError):
    """The caller is authenticated but lacks the permission."""

    code, status, message = "permission_denied", 403, _("You may not do this.")


class NotFound(WaybillError):
    """This merchant and mode have no such object. Another merchant's object gets the same response."""

    code, status, message = "not_found", 404, _("Not found.")


class TrackingNotFound(NotFound):
    """There is no unit with this tracking id."""

    code, message = "tracking_not_found", _("Tracking ID not found.")


class ShipmentNotFound(NotFound):
    """There is no shipment with this id, tracking number or carrier id."""

    code, message = "shipment_not_found", _("Shipment not found.")


class WarehouseNotFound(NotFound):
    """There is no warehouse with this id."""

    code, message = "warehouse_not_found", _("Warehouse not found.")


class MethodNotAllowed(WaybillError):
    """The path does not support this method."""

    code, status, message = "method_not_allowed", 405, _("Method not allowed here.")


class Conflict(WaybillError):
    """The state of the resource does not allow this; the message names the state."""

    code, status, message = "conflict", 409, _("This conflicts with the current state.")


class CannotCancel(WaybillError):
    """The shipment cannot be cancelled in its state, or the carrier refuses to cancel it."""

    code, status, message = "cannot_cancel", 409, _("The shipment can no longer be cancelled.")


class InProgress(WaybillError):
    """Another request with the same Idempotency-Key, or changing the same object, still runs."""

    code, status, message, retryable = (
        "in_progress",
        409,
        _("A request with this Idempotency-Key is still running."),
        True,
    )


class PayloadTooLarge(WaybillError):
    """The body is larger than the limit."""

    code, status, message = "payload_too_large", 413, _("The request body is too large.")


class UnsupportedMediaType(WaybillError):
    """The body is not JSON (``Content-Type: application/json``)."""

    code, status, message = "unsupported_media_type", 415, _("Send the body as application/json.")


class IdempotencyMismatch(WaybillError):
    """The Idempotency-Key was used before with another request."""

    code, status, message = (
        "idempotency_mismatch",
        422,
        _("This Idempotency-Key was already used with a different request."),
    )


class RateLimited(WaybillError):
    """A rate limit is exceeded. ``details.limit`` names it: one of ours or the carrier's."""

    code, status, message, retryable = "rate_limited", 429, _("Too many requests."), True


class Unavailable(WaybillError):
    """A part of Waybill that this request needs is down. Nothing was done."""

    code, status, message = "unavailable", 503, _("This is not available at the moment.")
    retryable = True
