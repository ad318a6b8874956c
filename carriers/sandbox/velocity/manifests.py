"""Manifests, which drivers sign: A4, with the AWB as a barcode."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from reportlab.graphics.barcode.code128 import Code128
from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas

from carriers.sandbox.printing.contents import TEST_NOTICE
from carriers.sandbox.printing.typesetting import BOLD, REGULAR, draw_line, fit, replace_missing

_LEFT, _TOP = 20 * mm, A4[1] - 25 * mm
_WIDTH, _HEIGHT = A4[0] - 2 * _LEFT, 48 * mm


def draw_pdf(shipment: Mapping[str, Any], *, carrier: str) -> bytes:
    """Draw the manifest of one shipment, which is described as for a label."""
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=A4, invariant=True)
    canvas.setTitle(f"{carrier} manifest {shipment['tracking_number']}")
    canvas.setFont(BOLD, 18)
    canvas.drawString(_LEFT, _TOP, f"{carrier} manifest - {TEST_NOTICE}")
    sender, recipient = shipment["origin"], shipment["destination"]
    weight = sum(package["weight_kg"] for package in shipment["packages"])
    lines = [
        f"Courier: {shipment['service_type']}",
        f"Picked up at: {sender['company']}, {sender['street']}, {sender['city']} {sender['postal_code']}",
        f"Goes to: {recipient['city']} {recipient['postal_code']}",
        f"AWB {shipment['tracking_number']}     Order {shipment['order_id']}",
        f"Packages: {len(shipment['packages'])}     Weight: {weight} kg",
    ]
    wrapped, size = fit([replace_missing(line)[0] for line in lines], REGULAR, 10, _WIDTH, _HEIGHT)
    for number, line in enumerate(wrapped):
        draw_line(canvas, _LEFT, _TOP - 10 * mm - 1.6 * size * number, line, REGULAR, size)
    canvas.setFont(REGULAR, 10)
    code = Code128(shipment["tracking_number"], barWidth=0.4 * mm, barHeight=15 * mm, quiet=False)
    code.drawOn(canvas, _LEFT, _TOP - 75 * mm)
    canvas.line(_LEFT, _TOP - 110 * mm, _LEFT + 80 * mm, _TOP - 110 * mm)
    canvas.drawString(_LEFT, _TOP - 115 * mm, "Driver, date, signature")
    canvas.save()
    return buffer.getvalue()
