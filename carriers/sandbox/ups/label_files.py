"""Label images, receipts and the commercial invoice.

UPS's own label is landscape; here it is the sandbox's label of 4x6 inch (assumed), so that it prints the same in each
format. EPL and SPL are the picture of the label in the printer's raster commands.
"""

from __future__ import annotations

import base64
import io
from decimal import Decimal
from html import escape
from typing import Any

from PIL import Image, ImageOps
from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas

from carriers.sandbox.printing.contents import TEST_NOTICE
from carriers.sandbox.printing.labels import draw_pdf, draw_picture, save_picture
from carriers.sandbox.printing.typesetting import BOLD, REGULAR, draw_line, fit, replace_missing
from carriers.sandbox.printing.zpl import draw_zpl
from carriers.sandbox.ups.services import SERVICES
from carriers.sandbox.ups.validation import get_element, one_or_many, read_decimal

_LEFT, _WIDTH = 15 * mm, A4[0] - 30 * mm


def draw_label(shipment: dict[str, Any], index: int, image_format: str) -> bytes:
    """Draw the label of a package as GIF, ZPL, EPL or SPL."""
    contents = _contents(shipment)
    if image_format == "ZPL":
        return draw_zpl(contents, carrier="UPS", only=index)
    picture = draw_picture(draw_pdf(contents, carrier="UPS", only=index))
    writers = {"EPL": write_epl, "SPL": write_spl}
    return writers[image_format](picture) if image_format in writers else save_picture(picture, "GIF")


def show_label(shipment: dict[str, Any], index: int, image_format: str) -> dict[str, Any]:
    """Return the element ``ShippingLabel``."""
    image = encode(draw_label(shipment, index, image_format))
    shown = {"ImageFormat": {"Code": image_format, "Description": image_format}, "GraphicImage": image}
    if image_format == "GIF":
        shown["HTMLImage"] = encode(
            write_page("Label", f'<img src="./label{shipment["packages"][index]["number"]}.gif">')
        )
    elif shipment["origin"]["country"] != "US" and index == 0:
        shown["InternationalSignatureGraphicImage"] = image  # the Warsaw text; here the label again (assumed)
    return shown


def write_page(title: str, content: str) -> bytes:
    """Return an HTML page. The content is not escaped."""
    page = f"<html><head><title>{escape(title)}</title></head><body><h1>{TEST_NOTICE}</h1>{content}</body></html>"
    return page.encode()


def encode(file: bytes) -> str:
    return base64.b64encode(file).decode()


def write_epl(picture: Image.Image) -> bytes:
    """Write a picture in EPL2: GW takes rows of bytes, with 1 for white."""
    row_bytes = (picture.width + 7) // 8
    head = f"\nN\nq{picture.width}\nQ{picture.height},24\nGW0,0,{row_bytes},{picture.height},".encode()
    return head + picture.convert("1").tobytes() + b"\nP1\n"


def write_spl(picture: Image.Image) -> bytes:
    """Write a picture in Star's raster mode: a row per command, with 1 for black."""
    ink = ImageOps.invert(picture.convert("L")).convert("1").tobytes()
    row_bytes = (picture.width + 7) // 8
    size = b"b" + row_bytes.to_bytes(2, "little")
    rows = b"".join(size + ink[at : at + row_bytes] for at in range(0, len(ink), row_bytes))
    return b"\x1b*rA" + rows + b"\x1b*rB"


def draw_invoice(shipment: dict[str, Any], forms: dict[str, Any]) -> bytes:
    """Draw a commercial invoice: parties, products and their total."""
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=A4, invariant=True)
    canvas.setTitle(f"UPS invoice {shipment['tracking_number']}")
    top = A4[1] - 20 * mm
    draw_line(canvas, _LEFT, top, f"COMMERCIAL INVOICE - {TEST_NOTICE}", BOLD, 14)
    wrapped, size = fit(
        [replace_missing(line)[0] for line in _invoice_lines(shipment, forms)], REGULAR, 10, _WIDTH, A4[1] - 50 * mm
    )
    for number, line in enumerate(wrapped, start=1):
        draw_line(canvas, _LEFT, top - 6 * mm - number * size * 1.3, line, REGULAR, size)
    canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def _invoice_lines(shipment: dict[str, Any], forms: dict[str, Any]) -> list[str]:
    currency, total, lines = str(forms.get("CurrencyCode") or ""), Decimal(0), _invoice_head(shipment, forms)
    for product in one_or_many(forms.get("Product")):
        unit = get_element(product, "Unit")
        value = (read_decimal(unit.get("Number")) or Decimal(0)) * (read_decimal(unit.get("Value")) or Decimal(0))
        total += value
        name = " ".join(map(str, one_or_many(product.get("Description"))))
        code, origin = product.get("CommodityCode") or "-", product.get("OriginCountryCode")
        lines.append(f"{unit.get('Number')} x {name}   HS {code}   from {origin}   {value:.2f} {currency}")
    for name in ("FreightCharges", "InsuranceCharges"):
        amount = read_decimal(get_element(forms, name).get("MonetaryValue"))
        if amount:
            total += amount
            lines.append(f"{name.removesuffix('Charges')}: {amount} {currency}")
    return [*lines, f"Total: {total:.2f} {currency}"]


def _invoice_head(shipment: dict[str, Any], forms: dict[str, Any]) -> list[str]:
    def party(end: str) -> str:
        one = shipment[end]
        parts = (one["company"], one["contact_name"], *one["lines"], one["city"], one["postal_code"], one["country"])
        return ", ".join(filter(None, parts))

    return [
        f"From: {party('origin')}",
        f"To: {party('destination')}",
        f"Shipment {shipment['tracking_number']}   Packages {len(shipment['packages'])}",
        f"Invoice {forms.get('InvoiceNumber') or '-'} of {forms.get('InvoiceDate') or '-'}   "
        f"Terms {forms.get('TermsOfShipment') or '-'}   Reason {forms.get('ReasonForExport') or '-'}",
    ]


def _contents(shipment: dict[str, Any]) -> dict[str, Any]:
    """Return the contents of a label, as ``labels`` expects them."""
    parties = {}
    for end in ("origin", "destination"):
        party = shipment[end]
        street, street2, street3 = (*party["lines"], "", "", "")[:3]
        parties[end] = party | {"street": street, "street2": street2, "street3": street3}
    packages = [package | {"weight": f"{package['weight']} {package['unit']}"} for package in shipment["packages"]]
    facts = [f"Goods {shipment['description']}"] if shipment["description"] else []
    facts += ["UPS PRINT RETURN LABEL"] if shipment["return_code"] else []
    return {
        "tracking_number": shipment["tracking_number"],
        "service_type": SERVICES[shipment["service"]].name.removeprefix("UPS "),
        "packages": packages,
        "order_id": ", ".join(shipment["references"][1:2]) or "-",
        "reference": ", ".join(shipment["references"][:1]) or "-",
        "facts": facts,
        "pickup_point": shipment["point"],
    } | parties
