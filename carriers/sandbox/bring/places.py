"""Postal codes of Norway, Sweden, Denmark and Finland: every code of the right form exists, apart from 0000 and 9999.

Cities are real for the codes that Bring recommends for tests; all other codes belong to the largest city of their
region. Bring knows more countries.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any, NamedTuple

from carriers.sandbox.bring.errors import BringRefusal
from carriers.sandbox.carrier import SimulatedCarrier
from carriers.sandbox.messages import Answer, Request

DIGITS = {"NO": 4, "DK": 4, "SE": 5, "FI": 5}
_PO_BOXES = {"0001", "0021"}  # those of Bring's sample
# Country, beginning of the code, city, municipality, county, latitude, longitude.
_ROWS = (
    ("NO", "0", "OSLO", "OSLO", "OSLO", 59.913, 10.739),
    ("NO", "1", "SANDVIKA", "BÆRUM", "AKERSHUS", 59.890, 10.526),
    ("NO", "1407", "VINTERBRO", "ÅS", "AKERSHUS", 59.735, 10.756),
    ("NO", "2", "HAMAR", "HAMAR", "INNLANDET", 60.795, 11.068),
    ("NO", "3", "DRAMMEN", "DRAMMEN", "BUSKERUD", 59.744, 10.205),
    ("NO", "4", "STAVANGER", "STAVANGER", "ROGALAND", 58.970, 5.733),
    ("NO", "4050", "SOLA", "SOLA", "ROGALAND", 58.890, 5.649),
    ("NO", "5", "BERGEN", "BERGEN", "VESTLAND", 60.393, 5.324),
    ("NO", "6", "ÅLESUND", "ÅLESUND", "MØRE OG ROMSDAL", 62.472, 6.149),
    ("NO", "7", "TRONDHEIM", "TRONDHEIM", "TRØNDELAG", 63.431, 10.395),
    ("NO", "8", "BODØ", "BODØ", "NORDLAND", 67.280, 14.405),
    ("NO", "9", "TROMSØ", "TROMSØ", "TROMS", 69.649, 18.956),
    ("NO", "917", "LONGYEARBYEN", "SVALBARD", "SVALBARD", 78.223, 15.627),
    ("NO", "9600", "HAMMERFEST", "HAMMERFEST", "FINNMARK", 70.663, 23.682),
    ("SE", "1", "STOCKHOLM", "STOCKHOLM", "STOCKHOLM", 59.329, 18.069),
    ("SE", "2", "MALMÖ", "MALMÖ", "SKÅNE", 55.605, 13.004),
    ("SE", "3", "HALMSTAD", "HALMSTAD", "HALLAND", 56.674, 12.858),
    ("SE", "4", "GÖTEBORG", "GÖTEBORG", "VÄSTRA GÖTALAND", 57.709, 11.975),
    ("SE", "43954", "ÅSA", "KUNGSBACKA", "HALLAND", 57.350, 12.117),
    ("SE", "5", "LINKÖPING", "LINKÖPING", "ÖSTERGÖTLAND", 58.411, 15.622),
    ("SE", "6", "KARLSTAD", "KARLSTAD", "VÄRMLAND", 59.379, 13.504),
    ("SE", "68301", "HAGFORS", "HAGFORS", "VÄRMLAND", 60.030, 13.650),
    ("SE", "7", "UPPSALA", "UPPSALA", "UPPSALA", 59.859, 17.639),
    ("SE", "8", "SUNDSVALL", "SUNDSVALL", "VÄSTERNORRLAND", 62.391, 17.307),
    ("SE", "83752", "ÅRE", "ÅRE", "JÄMTLAND", 63.399, 13.082),
    ("SE", "9", "UMEÅ", "UMEÅ", "VÄSTERBOTTEN", 63.826, 20.263),
    ("DK", "0", "KØBENHAVN C", "KØBENHAVN", "HOVEDSTADEN", 55.676, 12.568),
    ("DK", "1", "KØBENHAVN K", "KØBENHAVN", "HOVEDSTADEN", 55.679, 12.579),
    ("DK", "2", "FREDERIKSBERG", "FREDERIKSBERG", "HOVEDSTADEN", 55.679, 12.533),
    ("DK", "2990", "NIVÅ", "FREDENSBORG", "HOVEDSTADEN", 55.933, 12.505),
    ("DK", "3", "RØNNE", "BORNHOLM", "HOVEDSTADEN", 55.101, 14.707),
    ("DK", "4", "ROSKILDE", "ROSKILDE", "SJÆLLAND", 55.642, 12.080),
    ("DK", "5", "ODENSE C", "ODENSE", "SYDDANMARK", 55.404, 10.402),
    ("DK", "5883", "OURE", "SVENDBORG", "SYDDANMARK", 55.117, 10.741),
    ("DK", "6", "ESBJERG", "ESBJERG", "SYDDANMARK", 55.476, 8.459),
    ("DK", "7", "VEJLE", "VEJLE", "SYDDANMARK", 55.709, 9.536),
    ("DK", "8", "AARHUS C", "AARHUS", "MIDTJYLLAND", 56.157, 10.211),
    ("DK", "8799", "TUNØ", "ODDER", "MIDTJYLLAND", 55.950, 10.433),
    ("DK", "9", "AALBORG", "AALBORG", "NORDJYLLAND", 57.048, 9.922),
    ("FI", "0", "HELSINKI", "HELSINKI", "UUSIMAA", 60.170, 24.938),
    ("FI", "1", "LAHTI", "LAHTI", "PÄIJÄT-HÄME", 60.983, 25.661),
    ("FI", "2", "TURKU", "TURKU", "VARSINAIS-SUOMI", 60.451, 22.267),
    ("FI", "3", "TAMPERE", "TAMPERE", "PIRKANMAA", 61.498, 23.761),
    ("FI", "4", "JYVÄSKYLÄ", "JYVÄSKYLÄ", "KESKI-SUOMI", 62.241, 25.720),
    ("FI", "5", "KOUVOLA", "KOUVOLA", "KYMENLAAKSO", 60.868, 26.704),
    ("FI", "6", "VAASA", "VAASA", "POHJANMAA", 63.096, 21.616),
    ("FI", "7", "KUOPIO", "KUOPIO", "POHJOIS-SAVO", 62.892, 27.678),
    ("FI", "8", "JOENSUU", "JOENSUU", "POHJOIS-KARJALA", 62.601, 29.763),
    ("FI", "9", "OULU", "OULU", "POHJOIS-POHJANMAA", 65.012, 25.465),
)


class Place(NamedTuple):
    country: str
    code: str
    city: str
    municipality: str
    county: str
    latitude: float
    longitude: float


def find(country: str, code: object) -> Place | None:
    """Return the place of a postal code, or None. ``SJ`` is Norway, as at Bring."""
    country = "NO" if country == "SJ" else country
    text = str(code).replace(" ", "")
    digits = DIGITS.get(country, 0)
    if not digits or not re.fullmatch(rf"[0-9]{{{digits}}}", text) or text.startswith(("0000", "9999")):
        return None
    rows = [row for row in _ROWS if row[0] == country and text.startswith(row[1])]
    if not rows:  # no Swedish code begins with 0
        return None
    *_, city, municipality, county, latitude, longitude = max(rows, key=lambda row: len(row[1]))
    north, east = hashlib.sha256(f"{country}{text}".encode()).digest()[:2]
    at = (round(latitude + (north - 128) / 6000, 6), round(longitude + (east - 128) / 3000, 6))
    return Place(country, text, city, municipality, county, *at)


def find_near(country: str, latitude: float, longitude: float) -> Place | None:
    """Return a place in the city nearest to a point."""
    rows = [row for row in _ROWS if row[0] == country]
    nearest = min(rows, key=lambda row: (row[5] - latitude) ** 2 + ((row[6] - longitude) / 2) ** 2, default=None)
    return find(country, f"{nearest[1]:0<{DIGITS[country]}}".replace("0000", "0150")) if nearest else None


def show(carrier: SimulatedCarrier, request: Request, country: str, code: str) -> Answer:
    """Answer as the Postal Code API of 2023. Its path and fields are assumed: no paper has them, public clients do."""
    place = _get(country, code)
    shown: dict[str, Any] = {"postal_code": place.code, "city": place.city, "municipality": place.municipality}
    shown |= {"county": place.county, "municipalityId": f"{int(place.code) // 100:04}", "po_box": code in _PO_BOXES}
    return Answer(200, {"postal_codes": [shown | {"latitude": str(place.latitude), "longitude": str(place.longitude)}]})


def show_deprecated(carrier: SimulatedCarrier, request: Request, country: str, code: str) -> Answer:
    """Answer as the older path of the RAML, which Bring has deprecated and still serves."""
    place = _get(country, code)
    kind = "PO_BOX" if place.code in _PO_BOXES else "NORMAL"
    return Answer(200, {"postalCode": {"city": place.city, "postalcode": place.code, "postalCodeType": kind}})


def _get(country: str, code: str) -> Place:
    place = find(country.upper(), code)
    if place is None:  # the status is assumed
        raise BringRefusal(404, "coverage", f"Postal code {code} does not exist in {country.upper()}")
    return place
