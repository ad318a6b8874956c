"""Label files as PDF, PNG and GIF: 4x6 inch, aligned to the dots of a 203 dpi printer, one page per package.

A6 shows the same page a little smaller, A4 shows it in the upper left corner. A picture has the pages one below the
other. ``zpl`` writes the same labels for label printers. A package may have its own ``tracking_number``. ``only`` is
the index of a single package to draw; its page still says which of all packages it is.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import pypdfium2
from PIL import Image
from reportlab.graphics.barcode.code128 import Code128
from reportlab.lib.units import inch
from reportlab.pdfgen.canvas import Canvas

from carriers.sandbox.printing.contents import (
    DOT,
    DPI,
    HEIGHT,
    MARGIN,
    SIZES,
    TEST_NOTICE,
    WIDTH,
    Block,
    barcode_text,
    find_blocks,
    number_pages,
    write_title,
)
from carriers.sandbox.printing.typesetting import BOLD, LINE_HEIGHT, REGULAR, draw_line, fit, largest_size
from carriers.sandbox.printing.zpl import draw_zpl


def draw(shipment: Mapping[str, Any], label_format: str, size: str) -> bytes:
    """Draw a label in one of ``FORMATS``."""
    functions = {"PDF": draw_pdf, "PNG": draw_png, "ZPL": draw_zpl}
    return functions[label_format](shipment, size=size)


def draw_png(shipment: Mapping[str, Any], *, size: str = "4x6") -> bytes:
    """Draw the pages in black and white, at 203 dots per inch."""
    return save_picture(draw_picture(draw_pdf(shipment, size=size)), "PNG")


def save_picture(picture: Image.Image, picture_format: str) -> bytes:
    """Return the file of a picture in black and white."""
    buffer = io.BytesIO()
    picture.save(buffer, picture_format, dpi=(DPI, DPI))
    return buffer.getvalue()


def draw_picture(file: bytes) -> Image.Image:
    """Return the pages of a PDF in black and white, at 203 dots per inch."""
    pages = [page.render(scale=DPI / 72).to_pil() for page in pypdfium2.PdfDocument(file)]
    whole = Image.new("L", (max(page.width for page in pages), sum(page.height for page in pages)), 255)
    top = 0
    for page in pages:
        whole.paste(page.convert("L"), (0, top))
        top += page.height
    return whole.point(lambda grey: 255 if grey > 127 else 0).convert("1")


def draw_pdf(
    shipment: Mapping[str, Any], *, carrier: str = "Pickit", size: str = "4x6", only: int | None = None
) -> bytes:
    """Draw one page for each package of a shipment."""
    buffer = io.BytesIO()
    width, height = SIZES[size]
    canvas = Canvas(buffer, pagesize=(width, height), invariant=True)
    scale = min(1.0, width / WIDTH, height / HEIGHT)
    canvas.setTitle(f"{carrier} {shipment['tracking_number']}")
    for page_number, package in number_pages(shipment, only):
        canvas.translate(0, height - HEIGHT * scale)
        canvas.scale(scale, scale)
        _draw_page(canvas, shipment, package, write_title(shipment, carrier), page_number)
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def _draw_page(
    canvas: Canvas, shipment: Mapping[str, Any], package: Mapping[str, Any], heading: str, page_number: str
) -> None:
    rows = _Rows(canvas)
    rows.bar(heading, page_number, height=0.42 * inch)
    for block in find_blocks(shipment, package):
        rows.box(block)
    rows.barcode(barcode_text(shipment, package))
    rows.notice(TEST_NOTICE)


class _Rows:
    """Boxes from the top of the page downwards. Text wraps and gets smaller until it fits."""

    def __init__(self, canvas: Canvas) -> None:
        self.canvas, self.top = canvas, HEIGHT - MARGIN

    def bar(self, left: str, right: str, *, height: float) -> None:
        canvas, base = self.canvas, self.top - height
        canvas.rect(MARGIN, base, WIDTH - 2 * MARGIN, height, fill=1)
        canvas.setFillGray(1)
        size = largest_size(left, BOLD, 18, WIDTH - 2 * MARGIN - 1.0 * inch)
        draw_line(canvas, MARGIN + 6, base + height / 2 - size / 3, left, BOLD, size)
        canvas.setFont(BOLD, 14)
        canvas.drawRightString(WIDTH - MARGIN - 6, base + height / 2 - 5, right)
        canvas.setFillGray(0)
        self.top = base - 4

    def box(self, block: Block) -> None:
        canvas, base = self.canvas, self.top - block.height
        canvas.rect(MARGIN, base, WIDTH - 2 * MARGIN, block.height)
        title_height = 9 if block.title else 3
        if block.title:
            canvas.setFont(BOLD, 6)
            canvas.drawString(MARGIN + 4, self.top - 7, block.title)
        style, width = BOLD if block.is_bold else REGULAR, WIDTH - 2 * MARGIN - 12
        wrapped, size = fit(block.lines, style, block.size, width, block.height - title_height - 2, block.country)
        line_at = self.top - title_height - size
        for line in wrapped:
            draw_line(canvas, MARGIN + 6, line_at, line, style, size, block.country)
            line_at -= size * LINE_HEIGHT
        self.top = base - 4

    def barcode(self, text: str) -> None:
        # Three printer dots per module and a start on the dot grid, so that each bar ends at the edge of a dot.
        code = Code128(text, barWidth=3 * DOT, barHeight=0.85 * inch, quiet=False)
        left = round((WIDTH - code.width) / 2 / DOT) * DOT
        base = self.top - 0.9 * inch
        code.drawOn(self.canvas, left, base)
        self.canvas.setFont(BOLD, 13)
        self.canvas.drawCentredString(WIDTH / 2, base - 15, text)

    def notice(self, text: str) -> None:
        canvas, height = self.canvas, 0.24 * inch
        canvas.rect(MARGIN, MARGIN / 2, WIDTH - 2 * MARGIN, height, fill=1)
        canvas.setFillGray(1)
        canvas.setFont(BOLD, 13)
        canvas.drawCentredString(WIDTH / 2, MARGIN / 2 + 5, text)
        canvas.setFillGray(0)
