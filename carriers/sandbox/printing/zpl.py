"""Labels in ZPL II for 203 dpi printers, one label per package. The printer draws the barcode.

Texts in Latin-1 use the printer's own font. It may lack other letters, so all other texts are sent as pictures.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import pypdfium2
from PIL import Image, ImageOps
from reportlab.pdfgen.canvas import Canvas

from carriers.sandbox.printing.contents import (
    DOT,
    DPI,
    SIZES,
    TEST_NOTICE,
    barcode_text,
    find_blocks,
    number_pages,
    write_title,
)
from carriers.sandbox.printing.typesetting import BOLD, draw_line, wrap

_LEFT, _TOP, _GAP = 30, 90, 6
_BARCODE_HEIGHT, _BARCODE_ROOM = 170, 250
_SMALLEST = 12  # dots
# Heights of letters by the boxes' titles.
_DOTS = {"TO": 40}


def draw_zpl(
    shipment: Mapping[str, Any], *, carrier: str = "Pickit", size: str = "4x6", only: int | None = None
) -> bytes:
    """Write one label for each package, or for the one with the index ``only``."""
    width, height = (round(side / DOT) for side in SIZES[size])
    pages = [
        _write_page(shipment, package, carrier, page_number, width, height)
        for page_number, package in number_pages(shipment, only)
    ]
    return "".join(pages).encode()


def _write_page(
    shipment: Mapping[str, Any], package: Mapping[str, Any], carrier: str, page_number: str, width: int, height: int
) -> str:
    texts = [(40, f"{write_title(shipment, carrier)}  {page_number}", "")]
    for block in find_blocks(shipment, package):
        lines = [block.title, *block.lines] if block.title else block.lines
        texts += [(_DOTS.get(block.title, 26), line, block.country) for line in lines]
    fields, top = [], _TOP
    fitted = _fit(texts, width - 2 * _LEFT, height - _BARCODE_ROOM - _TOP)
    for (_, text, country), (dots, lines) in zip(texts, fitted, strict=True):
        if any(char > "ÿ" for char in text):
            comment = "".join(char for char in text if char not in "^~")
            fields.append(f"^FX {comment}^FS")
        fields += _write_text(lines, dots, f"^FO{_LEFT},{top}", width - 2 * _LEFT, country)
        top += (dots + _GAP) * len(lines)
    notice = f"^FO0,15^GB{width},60,60^FS\n^FO0,25^FR^A0N,44,44^FB{width},1,0,C^FD{TEST_NOTICE}^FS"
    barcode = f"^FO60,{height - _BARCODE_ROOM + 10}^BY3^BCN,{_BARCODE_HEIGHT},Y,N,N"
    number = f"^FD{barcode_text(shipment, package)}^FS"
    return "\n".join(["^XA", "^CI28", f"^PW{width}", f"^LL{height}", notice, *fields, barcode + number, "^XZ", ""])


def _fit(texts: list[tuple[int, str, str]], width: int, height: int) -> list[tuple[int, list[str]]]:
    """Return the heights and lines of texts, smaller where all would not fit.

    At the smallest size the longest text ends with an ellipsis.
    """
    scale = 1.0
    while True:
        sizes = [max(_SMALLEST, round(dots * scale)) for dots, _, _ in texts]
        # Roboto's letters are wider than those of the printer's font, which therefore needs no more lines.
        wrapped = [
            wrap(text, BOLD, width / dots, country) for dots, (_, text, country) in zip(sizes, texts, strict=True)
        ]
        while (too_high := _height(sizes, wrapped) > height) and max(sizes) == _SMALLEST:
            longest = max(wrapped, key=len)
            longest[-2:] = [f"{longest[-2][:-1]}…"]
        if not too_high:
            return list(zip(sizes, wrapped, strict=True))
        scale *= 0.9


def _height(sizes: list[int], wrapped: list[list[str]]) -> int:
    return sum((dots + _GAP) * len(lines) for dots, lines in zip(sizes, wrapped, strict=True))


def _write_text(lines: list[str], dots: int, origin: str, width: int, country: str) -> list[str]:
    """Return the commands for a text of several lines."""
    if all(" " <= char <= "ÿ" for line in lines for char in line):
        text = r"\&".join(_escape(line) for line in lines)
        return [f"{origin}^A0N,{dots},{dots}^FB{width},{len(lines)},{_GAP}^FH^FD{text}^FS"] if lines else []
    picture = _draw_lines(lines, dots, width, country)
    data = ImageOps.invert(picture.convert("L")).convert("1").tobytes().hex().upper()
    size = f"{len(data) // 2},{len(data) // 2},{(width + 7) // 8}"
    return [f"{origin}^GFA,{size},{data}^FS"]


def _draw_lines(lines: list[str], dots: int, width: int, country: str) -> Image.Image:
    """Return a picture of lines of text, one pixel for each dot."""
    height = (dots + _GAP) * len(lines)
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=(width * DOT, height * DOT), invariant=True)
    for number, line in enumerate(lines):
        base = height - (dots + _GAP) * number - round(dots * 0.85)
        draw_line(canvas, 0, base * DOT, line, BOLD, dots * DOT, country)
    canvas.save()
    page = pypdfium2.PdfDocument(buffer.getvalue())[0]
    picture = page.render(scale=DPI / 72).to_pil().convert("L").crop((0, 0, width, height))
    return picture.point(lambda grey: 255 if grey > 127 else 0)


def _escape(text: str) -> str:
    """Write characters of ZPL commands as hexadecimal codes (^FH). In a block (^FB) a backslash is written twice."""
    return "".join(f"_{ord(sign):02X}" * (1 + (sign == "\\")) if sign in "^~_\\" else sign for sign in text)
