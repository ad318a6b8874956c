"""Files of shipments and pickups."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, kw_only=True)
class Document:
    """A file that a carrier made or that a merchant attaches."""

    kind: str  # label invoice cn23 qr receipt manifest pod waybill other
    format: str  # PDF PNG GIF ZPL EPL TIFF HTML
    content: bytes = b""  # the file; empty beside a URL: fetched later
    url: str = ""  # https, at the carrier, to fetch
    parcel: int = 0  # number of its parcel, from 1; 0: the whole shipment
    copies: int = 1  # to print
    size: str = ""  # of a label: inches such as 4x6, or A4 A5 A6; empty: not stated


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The close of a day's shipments."""

    day: date  # local
    documents: tuple[Document, ...] = ()  # kind manifest
    closed: tuple[str, ...] = ()  # tracking numbers
