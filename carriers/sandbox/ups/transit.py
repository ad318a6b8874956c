"""Transit times: business days from pickup to delivery. The days are assumed; holidays are not counted."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from babel import Locale

from carriers.sandbox.carrier import SimulatedCarrier
from carriers.sandbox.messages import Answer, Request
from carriers.sandbox.ups import validation
from carriers.sandbox.ups.errors import Invalid, NotValid
from carriers.sandbox.ups.services import SERVICES, UNGUARANTEED, Service, services_between
from carriers.sandbox.ups.validation import Consignment, get_element

_NAMES = Locale("en").territories
# Codes of the services in Time in Transit, within the US and abroad. Those abroad are published without names: assumed.
LEVELS_US = {"14": "1DM", "01": "1DA", "13": "1DP", "59": "2DM", "02": "2DA", "12": "3DS", "03": "GND"}
LEVELS_ABROAD = {"54": "21", "07": "01", "65": "28", "08": "05", "11": "68"}
_TIMES = {"14": "08:00:00", "01": "10:30:00", "13": "15:00:00", "59": "10:30:00", "54": "09:00:00", "07": "12:00:00"}
_END_OF_DAY = "23:00:00"
_FUTURE_DAYS, _PAST_DAYS = 60, 35


def count_business_days(consignment: Consignment, service: Service) -> int:
    """Return the days of transit: two more abroad."""
    return service.days + (2 if consignment.is_abroad else 0)


def find_arrival(start: date, days: int) -> date:
    """Return the date after business days, Monday to Friday."""
    found = start
    while days or found.weekday() >= 5:
        found += timedelta(days=1)
        days -= found.weekday() < 5 and days > 0
    return found


def show_for_rating(consignment: Consignment, code: str, service: Service, *, bill_type: str) -> dict[str, Any]:
    """Return the element ``TimeInTransit`` of a rated shipment."""
    requested = get_element(consignment.body, "DeliveryTimeInformation", "Pickup").get("Date")
    start = _parse(requested, "%Y%m%d", datetime.now(UTC).date())
    days = count_business_days(consignment, service)
    found = find_arrival(start, days)
    estimated = {
        "Arrival": {"Date": f"{found:%Y%m%d}", "Time": _TIMES.get(code, _END_OF_DAY).replace(":", "")},
        "BusinessDaysInTransit": str(days),
        "Pickup": {"Date": f"{start:%Y%m%d}", "Time": "170000"},
        "DayOfWeek": f"{found:%a}".upper(),
        "TotalTransitDays": str((found - start).days),
    }
    summary = {"Service": {"Description": service.name}, "EstimatedArrival": estimated}
    return {"PickupDate": f"{start:%Y%m%d}", "PackageBillType": bill_type, "ServiceSummary": summary}


def show_times(carrier: SimulatedCarrier, request: Request, version: str) -> Answer:
    """Answer Time in Transit, which alone has JSON numbers and names in lower camel case."""
    if not request.headers.get("transid") or not request.headers.get("transactionsrc"):
        raise NotValid("transId, transactionSrc")
    body = request.json()
    _check_types(body)
    origin, destination = (str(body.get(f"{end}CountryCode") or "") for end in ("origin", "destination"))
    start = _parse(body.get("shipDate"), "%Y-%m-%d", datetime.now(UTC).date())
    wrong = _find_wrong_fields(body, {"origin": origin, "destination": destination}, start)
    if wrong:
        # Wrong fields are listed in a success; their codes are not published.
        listed = {"invalidFieldList": wrong, "invalidFieldListCodes": [], "destinationAmbiguous": False}
        return Answer(200, {"validationList": listed | {"originAmbiguous": False}})
    consignment = validation.make_route(origin, destination)
    is_served = not {origin, destination} & validation.UNSERVED
    services = [_show_service(consignment, code, start) for code in services_between(consignment)] if is_served else []
    answer = {
        "shipDate": f"{start:%Y-%m-%d}",
        "shipTime": str(body.get("shipTime") or ""),
        "serviceLevel": "A",
        "billType": str(body.get("billType") or "03"),
        "residentialIndicator": str(body.get("residentialIndicator") or "02"),
        "destinationCountryName": _NAMES[destination],
        "destinationCountryCode": destination,
        "destinationPostalCode": str(body.get("destinationPostalCode") or ""),
        "destinationCityName": str(body.get("destinationCityName") or ""),
        "originCountryName": _NAMES[origin],
        "originCountryCode": origin,
        "originPostalCode": str(body.get("originPostalCode") or ""),
        "originCityName": str(body.get("originCityName") or ""),
        "weight": str(body.get("weight") or 0.0),
        "guaranteeSuspended": False,
        "numberOfServices": len(services),
        "services": services,
    }
    return Answer(200, {"emsResponse": answer})


def _find_wrong_fields(body: dict[str, Any], countries: dict[str, str], start: date) -> list[str]:
    wrong = [f"{end}CountryCode" for end, country in countries.items() if country not in _NAMES]
    for end, country in countries.items():
        code = str(body.get(f"{end}PostalCode") or "")
        if country in ("US", "PR", "CA") and not validation.is_postal_code(code, country):
            wrong.append(f"{end}PostalCode")
    if not -_PAST_DAYS <= (start - datetime.now(UTC).date()).days <= _FUTURE_DAYS:
        wrong.append("shipDate")
    if countries["origin"] != countries["destination"] and body.get("weight") is None:
        wrong.append("weight")
    return wrong


def _show_service(consignment: Consignment, code: str, start: date) -> dict[str, Any]:
    service = SERVICES[code]
    days = count_business_days(consignment, service)
    found = find_arrival(start, days)
    time = _TIMES.get(code, _END_OF_DAY)
    levels = (
        LEVELS_US
        if {consignment.origin["country"], consignment.destination["country"]} <= {"US", "PR"}
        else LEVELS_ABROAD
    )
    rest = (found - start).days - days
    return {
        "serviceLevel": levels.get(code, code),
        "serviceLevelDescription": service.name,
        "shipDate": f"{start:%Y-%m-%d}",
        "deliveryDate": f"{found:%Y-%m-%d}",
        "commitTime": time,
        "deliveryTime": time,
        "deliveryDayOfWeek": f"{found:%a}".upper(),
        "nextDayPickupIndicator": "0",
        "saturdayPickupIndicator": "0",
        "saturdayDeliveryIndicator": "0",
        "guaranteeIndicator": "0" if code in UNGUARANTEED else "1",
        "totalTransitDays": (found - start).days,
        "businessTransitDays": days,
        "restDaysCount": rest,
        "holidayCount": 0,
        "delayCount": 0,
        "pickupDate": f"{start:%Y-%m-%d}",
        "pickupTime": "17:00:00",
        "cstccutoffTime": "16:00:00",
    }


def _check_types(body: dict[str, Any]) -> None:
    """Raises ``Invalid`` for numbers that are sent as text, as other APIs of UPS want them."""
    for name in ("weight", "shipmentContentsValue", "numberOfPackages", "maxList"):
        value = body.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise Invalid("10002", f"{name}: a number is expected")


def _parse(text: Any, form: str, default: date) -> date:
    try:
        found = datetime.strptime(str(text), form).replace(tzinfo=UTC).date() if text else default
    except ValueError:
        raise NotValid("date") from None
    if not 1900 < found.year < 2200:
        raise NotValid("date")
    return found
