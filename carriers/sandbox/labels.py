"""Label files as PDF, PNG and ZPL: 4x6 inch, aligned to the dots of a 203 dpi printer, one page per package.

A6 shows the same page a little smaller, A4 shows it in the upper left corner. A PNG has the pages one below the other.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import font_roboto
import pypdfium2
from PIL import Image
from reportlab.graphics.barcode.code128 import Code128
from reportlab.lib.pagesizes import A4, A6, inch
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

WIDTH, HEIGHT = 4 * inch, 6 * inch
MARGIN = 0.15 * inch
DPI = 203
DOT = inch / DPI
SIZES = {"4x6": (WIDTH, HEIGHT), "A4": A4, "A6": A6}
# Sizes by format. A label printer has no A4 paper.
FORMATS = {"PDF": ("4x6", "A4", "A6"), "PNG": ("4x6", "A4", "A6"), "ZPL": ("4x6", "A6")}
REGULAR, BOLD = "Label", "Label-Bold"
pdfmetrics.registerFont(TTFont(REGULAR, font_roboto.Roboto))
pdfmetrics.registerFont(TTFont(BOLD, font_roboto.RobotoBold))
_SMALLEST = 4.0


def draw(shipment: Mapping[str, Any], label_format: str, size: str) -> bytes:
    """Draw a label in one of ``FORMATS``."""
    functions = {"PDF": draw_pdf, "PNG": draw_png, "ZPL": draw_zpl}
    return functions[label_format](shipment, size=size)


def draw_png(shipment: Mapping[str, Any], *, size: str = "4x6") -> bytes:
    """Draw the pages in black and white, at 203 dots per inch."""
    pages = [page.render(scale=DPI / 72).to_pil() for page in pypdfium2.PdfDocument(draw_pdf(shipment, size=size))]
    whole = Image.new("L", (max(page.width for page in pages), sum(page.height for page in pages)), 255)
    top = 0
    for page in pages:
        whole.paste(page.convert("L"), (0, top))
        top += page.height
    buffer = io.BytesIO()
    whole.point(lambda grey: 255 if grey > 127 else 0).convert("1").save(buffer, "PNG", dpi=(DPI, DPI))
    return buffer.getvalue()


def draw_zpl(shipment: Mapping[str, Any], *, size: str = "4x6") -> bytes:
    """Write ZPL II for a 203 dpi printer, one label per package. The printer draws the barcode."""
    width, height = (round(side / DOT) for side in SIZES[size])
    total = len(shipment["packages"])
    pages = [
        _write_zpl_page(shipment, package, f"{number} of {total}", width, height)
        for number, package in enumerate(shipment["packages"], start=1)
    ]
    return "".join(pages).encode()


def _write_zpl_page(
    shipment: Mapping[str, Any], package: Mapping[str, Any], page_number: str, width: int, height: int
) -> str:
    texts = [
        (40, f"PICKIT {shipment['service_type'].upper()}  {page_number}"),
        *((24, line) for line in ["FROM", *_address_lines(shipment["origin"])]),
        *((34, line) for line in ["TO", *_address_lines(shipment["destination"])]),
        (24, f"{package['weight_kg']} kg  Order {shipment['order_id']}  {shipment['reference']}"),
        (24, f"Routing {routing_code(shipment['destination'])}  {shipment.get('pickup_code') or ''}".rstrip()),
    ]
    fields, top = [], 30
    for dots, text in texts:
        fields.append(f"^FO30,{top}^A0N,{dots},{dots}^FB{width - 60},1^FH^FD{_escape_zpl(text)}^FS")
        top += dots + 8
    barcode = f"^FO60,{height - 250}^BY3^BCN,170,Y,N,N^FD{shipment['tracking_number']}^FS"
    return "\n".join(["^XA", "^CI28", f"^PW{width}", f"^LL{height}", *fields, barcode, "^XZ", ""])


def _escape_zpl(text: str) -> str:
    """Write characters of ZPL commands as hexadecimal codes (^FH)."""
    return "".join(f"_{ord(sign):02X}" if sign in "^~_\\" or sign < " " else sign for sign in text)


def draw_pdf(shipment: Mapping[str, Any], *, carrier: str = "Pickit", size: str = "4x6") -> bytes:
    """Draw one page for each package of a shipment."""
    buffer = io.BytesIO()
    width, height = SIZES[size]
    canvas = Canvas(buffer, pagesize=(width, height), invariant=True)
    scale = min(1.0, width / WIDTH, height / HEIGHT)
    canvas.setTitle(f"{carrier} {shipment['tracking_number']}")
    total = len(shipment["packages"])
    for number, package in enumerate(shipment["packages"], start=1):
        canvas.translate(0, height - HEIGHT * scale)
        canvas.scale(scale, scale)
        _draw_page(canvas, shipment | {"carrier": carrier}, package, number, total)
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def _draw_page(
    canvas: Canvas, shipment: Mapping[str, Any], package: Mapping[str, Any], number: int, total: int
) -> None:
    rows = _Rows(canvas)
    rows.bar(f"{shipment['carrier']}  {shipment['service_type']}".upper(), f"{number} of {total}", height=0.42 * inch)
    rows.box("FROM", _address_lines(shipment["origin"]), height=0.95 * inch, size=8)
    rows.box("TO", _address_lines(shipment["destination"]), height=1.45 * inch, size=12, bold=True)
    point = shipment.get("pickup_point")
    if point:
        rows.box("PICKUP POINT", [f"{point['id']}  {point['name']}", point["address"]], height=0.55 * inch, size=8)
    facts = [
        f"Weight {package['weight_kg']} kg     Order {shipment['order_id']}",
        f"Reference {shipment['reference']}",
        f"Routing {routing_code(shipment['destination'])}",
    ]
    if shipment.get("pickup_code"):
        facts.append(f"Pickup code {shipment['pickup_code']}")
    rows.box("", facts, height=0.72 * inch, size=8)
    rows.barcode(shipment["tracking_number"])


def routing_code(destination: Mapping[str, Any]) -> str:
    """Return the code for sorting: country, beginning of the postal code, length of the city."""
    return f"{destination['country']}-{destination['postal_code'][:3]}-{len(destination['city']):02}".upper()


def _address_lines(address: Mapping[str, Any]) -> list[str]:
    city_line = " ".join(filter(None, (address.get("city"), address.get("state"), address.get("postal_code"))))
    parts = [
        address.get("company"),
        address.get("contact_name"),
        address.get("street"),
        city_line,
        f"{address.get('country', '')}   {address.get('contact_phone') or ''}".strip(),
    ]
    return [part for part in parts if part]


class _Rows:
    """Boxes from the top of the page downwards. Text wraps and gets smaller until it fits."""

    def __init__(self, canvas: Canvas) -> None:
        self.canvas, self.top = canvas, HEIGHT - MARGIN

    def bar(self, left: str, right: str, *, height: float) -> None:
        canvas, base = self.canvas, self.top - height
        canvas.rect(MARGIN, base, WIDTH - 2 * MARGIN, height, fill=1)
        canvas.setFillGray(1)
        size = _largest_size(left, BOLD, 18, WIDTH - 2 * MARGIN - 1.0 * inch)
        canvas.setFont(BOLD, size)
        canvas.drawString(MARGIN + 6, base + height / 2 - size / 3, left)
        canvas.setFont(BOLD, 14)
        canvas.drawRightString(WIDTH - MARGIN - 6, base + height / 2 - 5, right)
        canvas.setFillGray(0)
        self.top = base - 4

    def box(self, title: str, lines: list[str], *, height: float, size: float, bold: bool = False) -> None:
        canvas, base = self.canvas, self.top - height
        canvas.rect(MARGIN, base, WIDTH - 2 * MARGIN, height)
        title_height = 9 if title else 3
        if title:
            canvas.setFont(BOLD, 6)
            canvas.drawString(MARGIN + 4, self.top - 7, title)
        font = BOLD if bold else REGULAR
        wrapped, size = _fit(lines, font, size, WIDTH - 2 * MARGIN - 12, height - title_height - 2)
        canvas.setFont(font, size)
        line_at = self.top - title_height - size
        for line in wrapped:
            canvas.drawString(MARGIN + 6, line_at, line)
            line_at -= size * 1.15
        self.top = base - 4

    def barcode(self, text: str) -> None:
        # Three printer dots per module and a start on the dot grid, so that each bar ends at the edge of a dot.
        code = Code128(text, barWidth=3 * DOT, barHeight=0.85 * inch, quiet=False)
        left = round((WIDTH - code.width) / 2 / DOT) * DOT
        base = self.top - 0.9 * inch
        code.drawOn(self.canvas, left, base)
        self.canvas.setFont(BOLD, 13)
        self.canvas.drawCentredString(WIDTH / 2, base - 15, text)


def _fit(lines: list[str], font: str, size: float, width: float, height: float) -> tuple[list[str], float]:
    """Return the wrapped lines and the largest size at which all fit. At the smallest size an ellipsis ends them."""
    while True:
        wrapped = [part for line in lines for part in _wrap(line, font, size, width)]
        most = max(1, int(height / (size * 1.15)))
        if len(wrapped) <= most:
            return wrapped, size
        if size <= _SMALLEST:
            return [*wrapped[: most - 1], wrapped[most - 1][:-1] + "…"], size
        size -= 0.5


def _wrap(text: str, font: str, size: float, width: float) -> list[str]:
    lines, current = [], ""
    for word in text.split():
        while pdfmetrics.stringWidth(word, font, size) > width:
            fitting = next(n for n in range(len(word), 0, -1) if pdfmetrics.stringWidth(word[:n], font, size) <= width)
            if current:
                lines.append(current)
                current = ""
            lines.append(word[:fitting])
            word = word[fitting:]
        candidate = f"{current} {word}".strip()
        if current and pdfmetrics.stringWidth(candidate, font, size) > width:
            lines.append(current)
            current = word
        else:
            current = candidate
    return [*lines, current] if current else lines


def _largest_size(text: str, font: str, size: float, width: float) -> float:
    while size > _SMALLEST and pdfmetrics.stringWidth(text, font, size) > width:
        size -= 0.5
    return size
