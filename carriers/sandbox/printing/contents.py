"""What a label shows, whatever its format: boxes of printable lines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from reportlab.lib.pagesizes import A4, A6, inch

from carriers.sandbox.printing.typesetting import replace_missing

WIDTH, HEIGHT = 4 * inch, 6 * inch
MARGIN = 0.15 * inch
DPI = 203
DOT = inch / DPI
SIZES = {"4x6": (WIDTH, HEIGHT), "A4": A4, "A6": A6}
# Sizes by format. A label printer has no A4 paper.
FORMATS = {"PDF": ("4x6", "A4", "A6"), "PNG": ("4x6", "A4", "A6"), "ZPL": ("4x6", "A6")}
# Simulated carriers take no parcels.
TEST_NOTICE = "TEST LABEL - DO NOT SHIP"
LATIN_NOTICE = "* In Latin letters: not all characters can be printed."


class Block(NamedTuple):
    """A box of a label. The country decides the forms of Han characters."""

    title: str
    lines: list[str]
    country: str
    is_bold: bool = False
    height: float = 0.0
    size: float = 8.0


def write_title(shipment: Mapping[str, Any], carrier: str) -> str:
    """Return the first line of a label."""
    return f"TEST  {carrier}  {shipment['service_type']}".upper()


def number_pages(shipment: Mapping[str, Any], only: int | None) -> list[tuple[str, Mapping[str, Any]]]:
    """Return packages with their page numbers: all, or the one with the index ``only``."""
    total = len(shipment["packages"])
    pages = [(f"{number} of {total}", package) for number, package in enumerate(shipment["packages"], start=1)]
    return pages if only is None else pages[only : only + 1]


def find_blocks(shipment: Mapping[str, Any], package: Mapping[str, Any]) -> list[Block]:
    """Return the boxes of a package's label from top to bottom."""
    origin, destination = shipment["origin"], shipment["destination"]
    sender, recipient, here = _address_lines(origin), _address_lines(destination), destination.get("country", "")
    found = [
        Block("FROM", sender, origin.get("country", ""), height=0.95 * inch),
        Block("TO", recipient, here, is_bold=True, height=1.45 * inch, size=12),
    ]
    point = shipment.get("pickup_point")
    if point:
        lines = [f"{point['id']}  {point['name']}", point["address"]]
        found.append(Block("PICKUP POINT", lines, here, height=0.55 * inch))
    weight = package.get("weight") or f"{package['weight_kg']} kg"
    facts = [
        f"Weight {weight}     Order {shipment['order_id']}",
        f"Reference {shipment['reference']}",
        f"Routing {routing_code(destination)}",
        *shipment.get("facts", ()),
    ]
    if shipment.get("pickup_code"):
        facts.append(f"Pickup code {shipment['pickup_code']}")
    found.append(Block("", facts, here, height=0.72 * inch))
    return [block._replace(lines=_printable(block.lines, block.country)) for block in found]


def barcode_text(shipment: Mapping[str, Any], package: Mapping[str, Any]) -> str:
    """Return the number of a package, or else of the shipment."""
    return package.get("tracking_number") or shipment["tracking_number"]


def routing_code(destination: Mapping[str, Any]) -> str:
    """Return the code for sorting: country, beginning of the postal code if there is one, length of the city."""
    parts = (destination["country"], (destination.get("postal_code") or "")[:3], f"{len(destination['city']):02}")
    return "-".join(filter(None, parts)).upper()


def _address_lines(address: Mapping[str, Any]) -> list[str]:
    city_line = " ".join(filter(None, (address.get("city"), address.get("state"), address.get("postal_code"))))
    parts = [
        address.get("company"),
        address.get("contact_name"),
        address.get("street"),
        address.get("street2"),
        address.get("street3"),
        city_line,
        f"{address.get('country', '')}   {address.get('contact_phone') or ''}".strip(),
    ]
    return [part for part in parts if part]


def _printable(lines: list[str], country: str) -> list[str]:
    """Return lines whose characters all have a glyph, with a notice if some had none."""
    found = [replace_missing(line, country) for line in lines]
    printable = [f"* {text}" if is_replaced else text for text, is_replaced in found]
    return [*printable, LATIN_NOTICE] if any(is_replaced for _, is_replaced in found) else printable
