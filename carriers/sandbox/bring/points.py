"""Pickup points: three in each postal code, the same at every start. Their ids are made from the code."""

from __future__ import annotations

import hashlib
import math
import re
from typing import Any

from carriers.sandbox.bring import places
from carriers.sandbox.bring.errors import BringRefusal
from carriers.sandbox.bring.places import Place
from carriers.sandbox.carrier import SimulatedCarrier
from carriers.sandbox.geography import distance_km
from carriers.sandbox.messages import Answer, Request

# Types of the three points of a postal code.
_TYPES = {"NO": ("4", "37", "21"), "SE": ("34", "39", "34"), "DK": ("85", "43", "85")}
_TYPES |= {"FI": ("Posti", "LOCKER", "Noutopiste")}
_LOCKERS = {"37", "39", "43", "LOCKER"}
_NAMES = {"NO": ("Meny", "Pakkeboks", "Postkontor"), "SE": ("ICA", "Bring Paketbox", "Coop")}
_NAMES |= {"DK": ("Netto", "Pakkeboks", "Købmand"), "FI": ("Posti", "Pakettiautomaatti", "K-Market")}
_STREETS = {"NO": "Storgata", "SE": "Storgatan", "DK": "Hovedgaden", "FI": "Kauppakatu"}
_DAYS = ("MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY")
_WEEKS = {"Norwegian": "Man - Fre", "English": "Mon - Fri", "Finnish": "Maa - Per", "Danish": "Man - Fre"}
_WEEKS |= {"Swedish": "Mån - Fre"}
_AROUND = 8  # neighbouring postal codes on each side whose points are found too
_KM_PER_MINUTE = 0.6
_SEARCHED = ("name", "visitingAddress", "visitingCity", "county", "municipality", "locationDescription")


def search_by_postal_code(carrier: SimulatedCarrier, request: Request, country: str, code: str) -> Answer:
    place = places.find(country, code)
    if place is None:
        raise BringRefusal(404, "pickup_points", f"Postal code {code} does not exist in {country}")
    return _search(request, place, place.latitude, place.longitude)


def search_by_location(carrier: SimulatedCarrier, request: Request, country: str, lat: str, lng: str) -> Answer:
    place = places.find_near(country, float(lat), float(lng))
    return _search(request, place, float(lat), float(lng))


def show_default(carrier: SimulatedCarrier, request: Request, code: str) -> Answer:
    point = find("NO", f"1{code:0>5}")
    if point is None:
        raise BringRefusal(404, "pickup_points", f"Postal code {code} does not exist in NO")
    return Answer(200, {"pickupPoint": [point | {"distanceType": "AERIAL_DISTANCE", "capabilities": []}]})


def show(carrier: SimulatedCarrier, request: Request, country: str, point_id: str) -> Answer:
    point = find(country, point_id)
    if point is None:
        raise BringRefusal(404, "pickup_point", f"No pickup point {point_id} in {country}")
    return Answer(200, {"pickupPoint": [point]})


def list_all(carrier: SimulatedCarrier, request: Request, country: str) -> Answer:
    """Answer with points of one postal code per region; Bring would list thousands."""
    codes = (f"{number}{'150' if country in ('NO', 'DK') else '0150'}" for number in range(10))
    found = [find(country, f"1{code:0>5}") for code in codes]
    return Answer(200, {"pickupPoint": [point for point in found if point]})


def find(country: str, point_id: str) -> dict[str, Any] | None:
    """Return a point by its id: 1, 2 or 3 and the postal code in five digits."""
    if not re.fullmatch(r"[123][0-9]{5}", point_id) or country not in places.DIGITS:
        return None
    code = point_id[1:][-places.DIGITS[country] :]
    place = places.find(country, code)
    return _make(place, int(point_id[0])) if place and point_id[1:] == f"{code:0>5}" else None


def is_locker(point: dict[str, Any]) -> bool:
    return point["type"] in _LOCKERS


def _search(request: Request, place: Place, latitude: float, longitude: float) -> Answer:
    query = request.query
    most = query.get("numberOfResponses", "10")
    kind = query.get("pickupPointType", "")
    if not most.isdigit() or kind not in ("", "manned", "locker"):
        raise BringRefusal(400, "pickup_points", "numberOfResponses or pickupPointType is not valid")
    digits = places.DIGITS[place.country]
    numbers = range(int(place.code) - _AROUND, int(place.code) + _AROUND + 1)
    codes = (f"{number:0>{digits}}" for number in numbers if number > 0)
    around = [one for code in codes if (one := places.find(place.country, code))]
    points = [_make(one, index) for one in around for index in (1, 2, 3)]
    wanted = [point for point in points if _matches(point, query, kind)]
    measured = [(distance_km(latitude, longitude, one["latitude"], one["longitude"]), one) for one in wanted]
    measured.sort(key=lambda pair: pair[0])
    found = [_show_distance(point, distance) for distance, point in measured[: int(most)]]
    return Answer(200, {"pickupPoint": found})


def _matches(point: dict[str, Any], query: dict[str, str], kind: str) -> bool:
    if kind and is_locker(point) != (kind == "locker"):
        return False
    text = query.get("searchForText", "").lower()
    if text and not any(text in str(point.get(name, "")).lower() for name in _SEARCHED):
        return False
    days = query.get("openingHoursSearchType", "ALL_WEEKDAYS")
    wanted = _DAYS[:5] if days == "ALL_WEEKDAYS" else (days,)
    hours = {one["day"]: one for one in point["openingHours"]}
    before, after = query.get("openOnOrBefore", "2359"), query.get("openOnOrAfter", "0000")
    return all(day in hours and hours[day]["opening"] <= before and hours[day]["closing"] >= after for day in wanted)


def _show_distance(point: dict[str, Any], distance: float) -> dict[str, Any]:
    """Return a point as lists show it. The distance is a text."""
    return point | {
        "distanceInKm": f"{distance:.1f}",
        "distanceType": "DRIVING_DISTANCE",
        "durationInMinutes": f"{math.ceil(distance / _KM_PER_MINUTE)}",
        "durationType": "DRIVING_TIME",
    }


def _make(place: Place, index: int) -> dict[str, Any]:
    country, code, city = place.country, place.code, place.city
    point_id = f"{index}{code:0>5}"
    digest = hashlib.sha256(f"{country}{point_id}".encode()).digest()
    kind, number = _TYPES[country][index - 1], digest[0] % 90 + 1
    street = f"{_STREETS[country]} {number}"
    is_box = country == "NO" and index == 1  # shops that receive their own post in a box
    latitude, longitude = place.latitude + (digest[1] - 128) / 12000, place.longitude + (digest[2] - 128) / 6000
    opening, closing = ("0000", "2359") if kind in _LOCKERS else ("0800", "2200")
    days = _DAYS if kind in _LOCKERS else _DAYS[:6]
    point = {
        "id": point_id,
        "unitId": point_id,
        "name": f"{_NAMES[country][index - 1]} {city.title()} {code}",
        "address": f"POSTBOKS {number}" if is_box else street,
        "postalCode": code,
        "city": city,
        "countryCode": country,
        "municipality": place.municipality,
        "county": place.county,
        "visitingAddress": street,
        "visitingPostalCode": code,
        "visitingCity": city,
        "locationDescription": "By the main entrance" if kind in _LOCKERS else "",
        **{f"openingHours{language}": f"{week}: {opening}-{closing}" for language, week in _WEEKS.items()},
        "latitude": round(latitude, 6),
        "longitude": round(longitude, 6),
        "utmX": f"{200000 + digest[3] * 300}",
        "utmY": f"{6600000 + digest[4] * 300}",
        "googleMapsLink": f"http://maps.google.com/maps?f=q&hl=en&geocode=&q={latitude:.6f},{longitude:.6f}",
        "distanceInKm": "",
        "type": kind,
        "additionalServiceCode": "1036" if country == "NO" else "0010",
        "openingHours": [{"day": day, "opening": opening, "closing": closing} for day in days],
        "temporaryOpeningHours": [],
        "specialOpeningHours": [],
    }
    if kind == "37":
        point["maxParcelDimensions"] = {"length": 44.5, "width": 50.5, "height": 60.0}
    return point
