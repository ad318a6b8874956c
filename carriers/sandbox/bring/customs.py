"""Validation of customs information: the structure of March 2025 and the older one, which Bring still takes.

The papers describe ``customsInformation`` of a consignment in words only. The names of its fields are those of Bring's
example that its shop plugin quotes. The error codes of its rules are assumed, apart from that of a missing country of
origin.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from carriers.sandbox.bring.errors import make_error
from carriers.sandbox.bring.products import EXPORTS, Service

_NATURES = ("SALE_OF_GOODS", "RETURNED_GOODS", "GIFT", "COMMERCIAL_SAMPLE", "DOCUMENTS", "OTHER")
_OLD_LINE = ("quantity", "goodsDescription", "tarriffLineAmount", "itemNetWeightInKg")
_NEW_LINE = ("goodsDescription", "amount", "currency", "netWeight")
_TRANSIT = "NVIT"  # Norwegian goods that pass through Sweden or Finland
Error = dict[str, Any]


def check(service: Service, consignment: dict[str, Any], parties: dict[str, Any]) -> Iterator[Error]:
    """Yield the errors of the customs information of a booking with both parties."""
    new, old = consignment.get("customsInformation"), consignment["product"].get("ediCustomsDeclarations")
    origin, destination = (str(parties[party].get("countryCode")).upper() for party in ("sender", "recipient"))
    is_export = origin == "NO" and destination != "NO"
    if isinstance(new, dict) and new:
        yield from _check_new(new, parties, service, is_export=is_export)
    elif isinstance(old, dict) and old:
        yield from _check_old(old, service, is_export=is_export)
    elif is_export and service.id in EXPORTS:
        yield make_error("BOOK_VALIDATION-014")


def _check_old(customs: dict[str, Any], service: Service, *, is_export: bool) -> Iterator[Error]:
    lines = _lines(customs.get("ediCustomsDeclaration"))
    if not lines or any(not line.get(name) for line in lines for name in _OLD_LINE):
        yield make_error("BOOK_VALIDATION-012")
    nature = customs.get("natureOfTransaction")
    if is_export and nature not in _NATURES:
        yield make_error("BOOK_VALIDATION-013")
    yield from _check_ioss(customs.get("iossNumber"), nature, {"sender": {}})
    yield from _check_weight(lines, "itemNetWeightInKg", service)


def _check_new(
    customs: dict[str, Any], parties: dict[str, Any], service: Service, *, is_export: bool
) -> Iterator[Error]:
    lines = _lines(customs.get("customsDeclarations"))
    pieces = (line.get("numberOfPieces") or line.get("quantity") for line in lines)
    if not lines or not all(pieces) or any(not line.get(name) for line in lines for name in _NEW_LINE):
        yield make_error("BOOK_VALIDATION-012")
    articles = [line["customsArticleNumber"] for line in lines if line.get("customsArticleNumber")]
    if not all(re.fullmatch(r"[0-9]{6,10}", str(one)) for one in articles):
        yield make_error("BOOK-VALIDATION-001", message="customsArticleNumber: 6 to 10 digits")
    if customs.get("type") == _TRANSIT:
        if is_export:
            yield make_error("BOOK-VALIDATION-001", message=f"{_TRANSIT} is not an export")
        return
    nature = customs.get("natureOfCargo")
    nature = nature if isinstance(nature, dict) else {}
    kind = nature.get("type")
    if kind not in _NATURES or kind == "OTHER" and not nature.get("detail"):
        yield make_error("BOOK_VALIDATION-013")
    if customs.get("consent") is not True:
        yield make_error("BOOK-VALIDATION-001", message="Consent is required for customs information")
    if is_export:
        yield from _check_export(lines, parties)
    yield from _check_ioss(customs.get("ioss"), kind, parties)
    if customs.get("voec") and kind != "SALE_OF_GOODS":
        yield make_error("BOOK-VALIDATION-001", message="VOEC is only allowed with SALE_OF_GOODS")
    yield from _check_weight(lines, "netWeight", service)


def _check_export(lines: list[dict[str, Any]], parties: dict[str, Any]) -> Iterator[Error]:
    if any(not line.get("countryCodeOrigin") for line in lines):
        yield make_error("BOOK-INPUT-028")
    for party in ("importer", "exporter"):
        if not isinstance(parties.get(party), dict):
            yield make_error("BOOK-VALIDATION-001", message=f"{party.title()} must be specified")


def _check_ioss(number: Any, nature: Any, parties: dict[str, Any]) -> Iterator[Error]:
    if number and parties["sender"].get("reference"):
        yield make_error("BOOK-VALIDATION-001", message="IOSS cannot be combined with a reference of the sender")
    if number and (nature != "SALE_OF_GOODS" or not re.fullmatch(r"IM[0-9]{10}", str(number))):
        yield make_error("BOOK-VALIDATION-001", message="IOSS: IM and 10 digits, with SALE_OF_GOODS only")


def _check_weight(lines: list[dict[str, Any]], name: str, service: Service) -> Iterator[Error]:
    weights = [line[name] for line in lines if isinstance(line.get(name), int | float)]
    most = service.max_kg * service.max_packages
    if any(weight > most for weight in weights) or sum(weights) > most:
        yield make_error("BOOK_VALIDATION-015")


def _lines(value: Any) -> list[dict[str, Any]]:
    return [line for line in value if isinstance(line, dict)] if isinstance(value, list) else []
