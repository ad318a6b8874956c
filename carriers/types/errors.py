"""What can go wrong at a carrier, in the caller's words.

Every class carries the carrier's own code and text (shown verbatim, never as our own sentence) and says whether the
same request may be repeated. ``details`` names fields of *our* request, so a merchant can act on it.
"""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _

from apikeys.http.errors import Details, Text, WaybillError

_MOST_CODE, _MOST_WORDS = 64, 1_000  # characters of what a carrier says of itself


class CarrierError(WaybillError):
    """The root of the carriers' errors."""

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
        self.carrier_code = carrier_code[:_MOST_CODE]
        self.carrier_message = carrier_message[:_MOST_WORDS]
        self.answer: Any = None  # the carrier's, where it failed in words that its adapter can read

    def body(self) -> dict[str, Any]:
        """The shape of ``WaybillError.body`` plus the carrier's part."""
        return super().body() | {
            "carrier": self.carrier,
            "carrier_code": self.carrier_code,
            "carrier_message": self.carrier_message,
            "retryable": self.retryable,
        }


class CarrierRejected(CarrierError):
    """The carrier read the request and refused it.

    ``details`` names the field of our request where the carrier says which.
    """

    code, status, message = "carrier_rejected", 400, _("The carrier refused the request.")


class CarrierUnsupported(CarrierError):
    """The adapter does not offer this operation."""

    code, status, message = "unsupported_operation", 400, _("The carrier does not support this operation.")


class CarrierAuthentication(CarrierError):
    """The carrier refuses our credential there: nothing that the caller's API key could mend."""

    code, status, message = "carrier_authentication", 502, _("The carrier refused the stored credential.")


class CredentialUnreadable(CarrierAuthentication):
    """What is stored of our credential does not open (changed in the database, or its key is gone), or was deleted."""

    message = _("The stored credential cannot be read. Save it again, with all its fields.")


class CarrierNotFound(CarrierError):
    """The carrier does not know the number, point or document asked for."""

    code, status, message = "not_found", 404, _("The carrier does not know this.")


class CarrierShipmentNotFound(CarrierNotFound):
    """The carrier does not know the shipment, though we have booked it there."""

    code, message = "shipment_not_found", _("The carrier does not know this shipment.")


class CarrierWarehouseNotFound(CarrierNotFound):
    """The carrier does not know the warehouse that the shipment departs from."""

    code, message = "warehouse_not_found", _("The carrier does not know this warehouse.")


class ProofNotAvailable(CarrierNotFound):
    """The parcel has not been delivered, so there is no proof of it."""

    message = _("There is no proof of delivery yet.")


class CarrierCannotCancel(CarrierError):
    """The carrier refuses to cancel, because of the parcel's state there."""

    code, status, message = "cannot_cancel", 409, _("The carrier refuses to cancel.")


class NotServiceable(CarrierError):
    """The carrier does not serve this route, place or parcel."""

    code, status, message = "not_serviceable", 422, _("The carrier does not serve this.")


class CarrierRateLimited(CarrierError):
    """The carrier's own limit; ``retry_after_s`` as the carrier said."""

    code, status, message, retryable = "rate_limited", 429, _("The carrier's rate limit is reached."), True


class CarrierUnavailable(CarrierError):
    """The carrier cannot be reached or answers 5xx. The request had no effect there (reads, refused connections)."""

    code, status, message, retryable = "carrier_unavailable", 503, _("The carrier is not available."), True


class CarrierTimeout(CarrierError):
    """No answer to a *read* in time."""

    code, status, message, retryable = "carrier_timeout", 504, _("The carrier did not answer in time."), True


class OutcomeUnknown(CarrierError):
    """A write left us without a readable answer (timeout, lost connection, 5xx, garbage): it may have happened.

    Never repeated; the caller of the adapter must look it up by our reference.
    """

    code, status, message = "carrier_timeout", 504, _("The carrier did not answer; the outcome is not known yet.")
