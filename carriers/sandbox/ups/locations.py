"""Access Points (Locator) and address validation, which share the form of their addresses.

Coordinates of places and the points around them are assumed. They are the same at every start.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

from carriers.sandbox.carrier import SimulatedCarrier
from carriers.sandbox.geography import distance_km
from carriers.sandbox.messages import Answer, Request
from carriers.sandbox.ups import validation
from carriers.sandbox.ups.errors import Invalid, NotValid, succeed
from carriers.sandbox.ups.validation import COUNTRIES, UNSERVED, get_element

_OPTIONS = {"1", "8", "16", "24", "32", "40", "48", "56", "64"}
_KM = {"MI": 1.609344, "KM": 1.0}
_RADIUS = {"MI": (5, 100), "KM": (5, 150)}
_AROUND = 12  # points around each place
# Centers of countries. Places lie within a degree of them; other countries lie around 0, 0.
_CENTERS = {"US": (39.3, -76.6), "CA": (43.7, -79.4), "DE": (51.2, 9.5), "FR": (48.8, 2.3), "GB": (51.5, -0.1)}
_CLASSES = {"0": "UnClassified", "1": "Commercial", "2": "Residential"}
# Words of a street that request an outcome of the address validation.
_AMBIGUOUS, _UNKNOWN = "AMBIGUOUS", "NOWHERE"


def search(carrier: SimulatedCarrier, request: Request, version: str, option: str) -> Answer:
    """Answer with the points around a place, nearest first, or with the one of an id."""
    body = request.json().get("LocatorRequest")
    if not isinstance(body, dict) or get_element(body, "Request").get("RequestAction") != "Locator":
        raise NotValid("LocatorRequest.Request.RequestAction")
    if option not in _OPTIONS or not isinstance(body.get("Translate"), dict):
        raise NotValid("reqOption, Translate")
    unit = str(get_element(body, "UnitOfMeasurement").get("Code") or "MI")
    criteria = get_element(body, "LocationSearchCriteria")
    point_id = get_element(criteria, "AccessPointSearch").get("PublicAccessPointID")
    if point_id:
        point = carrier.store.get("ups_point", str(point_id))
        return _show(body, [(0.0, point)] if point else [], unit)
    address = get_element(body, "OriginAddress", "AddressKeyFormat")
    country = str(address.get("CountryCode") or "")
    if country not in COUNTRIES or unit not in _KM:
        raise NotValid("OriginAddress.AddressKeyFormat.CountryCode")
    radius = _number(criteria.get("SearchRadius"), *_RADIUS[unit], _RADIUS["MI"][1])
    most = _number(criteria.get("MaximumListSize"), 1, 50, 5)
    lat, lng = _locate(get_element(body, "OriginAddress"), address)
    status = get_element(criteria, "AccessPointSearch").get("AccessPointStatus")
    points = [] if country in UNSERVED else _points_around(carrier, address, lat, lng)
    measured = [(distance_km(lat, lng, point["lat"], point["lng"]) / _KM[unit], point) for point in points]
    inside = sorted((pair for pair in measured if pair[0] <= radius), key=lambda pair: pair[0])
    return _show(body, [pair for pair in inside if status in (None, pair[1]["status"])][:most], unit)


def is_open(carrier: SimulatedCarrier, point_id: str) -> bool:
    """Return whether parcels can be sent to a point: one that a search has shown, and active."""
    point = carrier.store.get("ups_point", point_id)
    return point is not None and point["status"] == "01"


def validate_address(carrier: SimulatedCarrier, request: Request, version: str, option: str) -> Answer:
    """Check an address of the US or Puerto Rico, or classify it, or both."""
    body = request.json().get("XAVRequest")
    address = body.get("AddressKeyFormat") if isinstance(body, dict) else None
    if not isinstance(address, dict) or option not in ("1", "2", "3"):
        raise NotValid("XAVRequest.AddressKeyFormat")
    if address.get("CountryCode") not in ("US", "PR"):
        raise Invalid("9264029", "The country code is not supported")  # the code is assumed
    lines = [str(line).upper() for line in validation.one_or_many(address.get("AddressLine"))]
    indicator, found = _find_candidates(address, lines, option)
    content: dict[str, Any] = {indicator: ""}
    if option != "1":
        content["AddressClassification"] = _classify(" ".join(lines) if found else "")
    if found and option != "2":
        content["Candidate"] = found if version != "1" or len(found) > 1 else found[0]
    return succeed("XAVResponse", body.get("Request"), content)


def _find_candidates(address: dict[str, Any], lines: list[str], option: str) -> tuple[str, list[dict[str, Any]]]:
    """Return the indicator of an outcome and its candidates."""
    state, code = str(address.get("PoliticalDivision1") or "").upper(), str(address.get("PostcodePrimaryLow") or "")
    street = " ".join(lines)
    is_place = validation.is_postal_code(code, "US") and _is_in_state(code, state, str(address["CountryCode"]))
    if not street or _UNKNOWN in street or not is_place:
        return "NoCandidatesIndicator", []
    if _AMBIGUOUS not in street and re.search(r"\d", street):
        return "ValidAddressIndicator", [_candidate(address, lines, code, option)]
    found = [_candidate(address, [f"{number} {street}"], code, option) for number in (1, 101)]
    return "AmbiguousAddressIndicator", found


def _is_in_state(code: str, state: str, country: str) -> bool:
    return country == "PR" or not state or validation.matches_state(code, country, state)


def _candidate(address: dict[str, Any], lines: list[str], code: str, option: str) -> dict[str, Any]:
    city, state = (str(address.get(f"PoliticalDivision{number}") or "").upper() for number in (2, 1))
    extension = str(address.get("PostcodeExtendedLow") or "") or f"{_digest('ext', *lines) % 9000 + 1000}"
    shown = {
        "AddressLine": lines,
        "Region": f"{city} {state} {code[:5]}-{extension}",
        "PoliticalDivision2": city,
        "PoliticalDivision1": state,
        "PostcodePrimaryLow": code[:5],
        "PostcodeExtendedLow": extension,
        "CountryCode": address["CountryCode"],
    }
    classified = {"AddressClassification": _classify(" ".join(lines))} if option == "3" else {}
    return classified | {"AddressKeyFormat": shown}


def _classify(street: str) -> dict[str, str]:
    code = "0" if not street else str(1 + _digest("class", street) % 2)
    return {"Code": code, "Description": _CLASSES[code]}


def _show(body: dict[str, Any], found: list[tuple[float, dict[str, Any]]], unit: str) -> Answer:
    """Locator's own envelope: a search without a result is a failure inside a 200 (code and text are assumed)."""
    response: dict[str, Any] = {"ResponseStatusCode": "1", "ResponseStatusDescription": "Success"}
    reference = get_element(body, "Request", "TransactionReference")
    if reference.get("CustomerContext"):
        response["TransactionReference"] = {"CustomerContext": reference["CustomerContext"]}
    if not found:
        error = {"ErrorSeverity": "Hard", "ErrorCode": "350202", "ErrorDescription": "No locations found"}
        response |= {"ResponseStatusCode": "0", "ResponseStatusDescription": "Failure", "Error": error}
    results = {"DropLocation": [_show_point(point, distance, unit) for distance, point in found]} if found else {}
    answer = {"Response": response, "SearchResults": results, "AllowAllConfidenceLevels": "False"}
    return Answer(200, {"LocatorResponse": answer})


def _show_point(point: dict[str, Any], distance: float, unit: str) -> dict[str, Any]:
    address = {
        "ConsigneeName": point["name"],
        "AddressLine": point["street"],
        "PoliticalDivision2": point["city"],
        "PoliticalDivision1": point["state"],
        "PostcodePrimaryLow": point["postal_code"],
        "CountryCode": point["country"],
    }
    is_active = point["status"] == "01"
    availability = (
        {"AvailableIndicator": ""}
        if is_active
        else {"UnavailableReason": {"Code": "02", "Description": "Location Full"}}
    )
    statuses = {"01": "ACTIVE-AVAILABLE", "07": "ACTIVE-UNAVAILABLE"}
    return {
        "LocationID": point["location_id"],
        "OriginOrDestination": "02",
        "IVR": {"PhraseID": ""},
        "Geocode": {"Latitude": f"{point['lat']:.8f}", "Longitude": f"{point['lng']:.8f}"},
        "AddressKeyFormat": address,
        "PhoneNumber": ["4105550199"],
        "LocationAttribute": [
            {
                "OptionType": {"Code": "01", "Description": "Location"},
                "OptionCode": [{"Code": "018", "Description": "UPS Access Point™"}],
            }
        ],
        "Distance": {
            "Value": f"{distance:.1f}"[:4],
            "UnitOfMeasurement": {"Code": unit, "Description": {"MI": "MILES", "KM": "KILOMETERS"}[unit]},
        },
        "Timezone": "America/New_York" if point["country"] == "US" else "",
        "OperatingHours": {"StandardHours": [{"HoursType": "10", "DayOfWeek": _hours()}]},
        "AccessPointInformation": {
            "PublicAccessPointID": point["id"],
            "AccessPointStatus": {"Code": point["status"], "Description": statuses[point["status"]]},
            "Availability": {"ShippingAvailability": availability, "DCRAvailability": availability},
        },
    }


def _hours() -> list[dict[str, str]]:
    """Day 1 is Sunday. Hours have no leading zero; Friday ends at midnight, which is 0."""
    days = [{"Day": str(day), "OpenHours": "930", "CloseHours": "0" if day == 6 else "2100"} for day in range(2, 8)]
    return [{"Day": "1", "ClosedIndicator": ""}, *days]


def _points_around(carrier: SimulatedCarrier, address: dict[str, Any], lat: float, lng: float) -> list[dict[str, Any]]:
    """Return the points of a place and store them, so that they are found by their ids."""
    postal_code, country = str(address.get("PostcodePrimaryLow") or ""), str(address["CountryCode"])
    points = []
    for number in range(_AROUND):
        seed = _digest("point", country, postal_code or f"{lat:.2f},{lng:.2f}", str(number))
        points.append(
            {
                "id": f"U{seed % 10**8:08}",
                "location_id": str(100_000 + seed % 900_000),
                "name": ("CORNER MARKET", "CITY PHARMACY", "THE UPS STORE", "KIOSK")[seed % 4],
                "street": f"{seed % 900 + 1} MARKET ST",
                "city": str(address.get("PoliticalDivision2") or "ANYTOWN").upper(),
                "state": str(address.get("PoliticalDivision1") or "").upper(),
                "postal_code": postal_code,
                "country": country,
                "lat": lat + (seed // 7 % 2001 - 1000) / 10_000,
                "lng": lng + (seed // 13 % 2001 - 1000) / 10_000,
                "status": "07" if number == _AROUND - 1 else "01",
            }
        )
    with carrier.store.atomic():
        for point in points:
            carrier.store.put("ups_point", point["id"], point)
    return points


def _locate(origin: dict[str, Any], address: dict[str, Any]) -> tuple[float, float]:
    code = get_element(origin, "Geocode")
    try:
        return float(code["Latitude"]), float(code["Longitude"])
    except (KeyError, TypeError, ValueError):
        lat, lng = _CENTERS.get(str(address.get("CountryCode")), (0.0, 0.0))
    seed = _digest("place", str(address.get("PostcodePrimaryLow")), str(address.get("PoliticalDivision2")))
    return lat + (seed % 2001 - 1000) / 1000, lng + (seed // 7 % 2001 - 1000) / 1000


def _number(value: Any, low: int, high: int, default: int) -> int:
    if value is None:
        return default
    if not isinstance(value, str) or not value.isascii() or not value.isdigit() or not low <= int(value) <= high:
        raise NotValid(f"LocationSearchCriteria: a whole number from {low} to {high}")
    return int(value)


def _digest(*texts: str) -> int:
    return int.from_bytes(hashlib.sha256(":".join(texts).encode()).digest()[:8], "big")
