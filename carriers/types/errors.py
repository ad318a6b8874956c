"""The errors of carrier operations.

Each has the carrier's code and message, shown verbatim, and states whether the same request may be repeated.
``details`` names fields of our request, so that a merchant can correct them.
"""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _

from apikeys.http.errors import Details, Text, WaybillError

_MAX_CODE, _MAX_MESSAGE = 64, 1_000  # characters


class CarrierError(WaybillError):
    """Base class of carrier errors."""

    def __init__(
        self,
        message: Text | None = None,
        *,
        carrier: str,
        carrier_code: str = "",
        carrier_message: str = "",
        details: Details | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(message, details=details, retry_after_s=retry_after_s)
        self.carrier = carrier
        self.carrier_code = carrier_code[:_MAX_CODE]
        self.carrier_message = carrier_message[:_MAX_MESSAGE]
        self.has_carriers_words = False  # a refusal inside a success, which leaves the outcome of a purchase open
        self.answer: Any = None  # the response of a 429 or 5xx, for the adapter to read its code and message

    def body(self) -> dict[str, Any]:
        """Return ``WaybillError.body`` with the carrier's part."""
        return super().body() | {
            "carrier": self.carrier,
            "carrier_code": self.carrier_code,
            "carrier_message": self.carrier_message,
            "retryable": self.retryable,
        }


class CarrierRejected(CarrierError):
    """The carrier refused the request. ``details`` names the field of our request if the carrier names one."""

    code, status, message = "carrier_rejected", 400, _("The carrier refused the request.")


class CarrierUnsupported(CarrierError):
    """The adapter does not have this operation."""

    code, status, message = "unsupported_operation", 400, _("The carrier does not support this operation.")


class CarrierAuthentication(CarrierError):
    """The carrier refused the credential that we hold for it. The caller's API key is valid."""

    code, status, message = "carrier_authentication", 502, _("The carrier refused the stored credential.")


class CredentialUnreadable(CarrierAuthentication):
    """The stored credential cannot be decrypted (changed in the database, or its key is gone) or was deleted."""

    message = _("The stored credential cannot be read. Save it again, with all its fields.")


class CarrierNotFound(CarrierError):
    """The carrier does not know the requested number, pickup point or document."""

    code, status, message = "not_found", 404, _("The carrier does not know this.")


class CarrierShipmentNotFound(CarrierNotFound):
    """The carrier does not know a shipment that we have booked there."""

    code, message = "shipment_not_found", _("The carrier does not know this shipment.")


class CarrierWarehouseNotFound(CarrierNotFound):
    """The carrier does not know the warehouse that the shipment departs from."""

    code, message = "warehouse_not_found", _("The carrier does not know this warehouse.")


class ProofNotAvailable(CarrierNotFound):
    """The parcel is not delivered yet, so there is no proof."""

    message = _("There is no proof of delivery yet.")


class CarrierCannotCancel(CarrierError):
    """The carrier refuses to cancel in the parcel's present state."""

    code, status, message = "cannot_cancel", 409, _("The carrier refuses to cancel.")


class NotServiceable(CarrierError):
    """The carrier does not serve this route, location or parcel."""

    code, status, message = "not_serviceable", 422, _("The carrier does not serve this.")


class CarrierRateLimited(CarrierError):
    """The carrier's rate limit is reached; ``retry_after_s`` is the carrier's."""

    code, status, message, retryable = "rate_limited", 429, _("The carrier's rate limit is reached."), True


class CarrierUnavailable(CarrierError):
    """The carrier was not reached, or answered a read with 5xx. The request had no effect."""

    code, status, message, retryable = "carrier_unavailable", 503, _("The carrier is not available."), True


class CarrierTimeout(CarrierError):
    """The carrier did not answer a read in time."""

    code, status, message, retryable = "carrier_timeout", 504, _("The carrier did not answer in time."), True


class OutcomeUnknown(CarrierError):
    """A write or purchase got no readable response (timeout, lost connection, 5xx, garbage): it may have happened.

    A purchase is never repeated; the adapter's caller looks it up by our reference.
    """

    code, status, message = "carrier_timeout", 504, _("The carrier did not answer; the outcome is not known yet.")
