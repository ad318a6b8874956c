"""Small pictures, most as data URLs: signatures, photos, QR codes."""

from __future__ import annotations

import base64
import io
import random

from PIL import Image, ImageDraw
from reportlab.graphics.barcode.qrencoder import QRCode, QRErrorCorrectLevel


def signature(name: str) -> str:
    """Return a scribble as PNG."""
    return _data_url(draw_signature(name), "PNG")


def draw_signature(name: str) -> Image.Image:
    """Draw a scribble. It depends only on the name."""
    image = Image.new("L", (240, 80), 255)
    generator = random.Random(name)
    points = [(10 + 11 * n, 40 + generator.randint(-28, 28)) for n in range(21)]
    ImageDraw.Draw(image).line(points, fill=0, width=2, joint="curve")
    return image


def photo(text: str) -> str:
    """Draw a parcel in front of a door."""
    image = Image.new("RGB", (320, 240), (196, 202, 208))
    draw = ImageDraw.Draw(image)
    draw.rectangle((110, 20, 230, 220), fill=(92, 64, 48))
    draw.rectangle((140, 160, 200, 220), fill=(214, 178, 120), outline=(120, 90, 50))
    draw.text((10, 222), text, fill=(0, 0, 0))
    return _data_url(image, "JPEG")


def qr(text: str) -> str:
    """Draw a QR code with a quiet zone, eight pixels per module."""
    code = QRCode(3, QRErrorCorrectLevel.M)
    code.addData(text)
    code.make()
    size = code.getModuleCount()
    image = Image.new("1", (size + 8, size + 8), 1)
    for row in range(size):
        for column in range(size):
            if code.isDark(row, column):
                image.putpixel((column + 4, row + 4), 0)
    return _data_url(image.resize(((size + 8) * 8,) * 2), "PNG")


def _data_url(image: Image.Image, kind: str) -> str:
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"
