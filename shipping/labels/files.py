"""Read the stored files of shipments, and join the labels of several parcels to one file."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from io import BytesIO
from typing import BinaryIO, NamedTuple

from django.utils.translation import gettext as _
from PIL import Image
from pypdf import PdfWriter
from pypdf.errors import PyPdfError
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from apikeys.http.errors import NotFound
from shipping.common import lookup
from shipping.models import Document, Shipment
from shipping.models.documents import DOCUMENT_TYPES, name_file

log = logging.getLogger(__name__)
_IMAGES = ("PNG", "GIF")
_DPI = 203  # of label printers; images that state none are drawn for them
_POINTS_PER_INCH = 72


class StoredFile(NamedTuple):
    """A file for download."""

    file: BinaryIO
    format: str
    content_type: str
    name: str


def select_documents(shipment: Shipment, kind: str) -> list[Document]:
    """Return a shipment's documents of a kind, by parcel. Uses prefetched documents."""
    return [document for document in shipment.documents.all() if document.kind == kind]


def open_kind(shipment: Shipment, kind: str) -> StoredFile | None:
    """Return the documents of a kind as one file.

    None if there are none, if one is not fetched yet or lost, or if their formats cannot be joined. A label that was
    ordered as a PDF is one, even if the carrier makes only images.
    """
    rows = select_documents(shipment, kind)
    if not rows or not all(row.file for row in rows):
        return None
    try:
        if len(rows) == 1 and not _is_drawn(shipment, rows[0]):
            return StoredFile(rows[0].file.open("rb"), rows[0].format, rows[0].content_type, rows[0].file_name)
        file_format, content = join([_read_file(row, is_drawn=_is_drawn(shipment, row)) for row in rows])
    except FileNotFoundError:
        return None
    except (ValueError, OSError, PyPdfError):
        log.exception("labels not joined", extra={"shipment": str(shipment.id)})
        return None
    name = name_file(shipment, kind, file_format)
    return StoredFile(BytesIO(content), file_format, DOCUMENT_TYPES[file_format], name)


def joined_format(shipment: Shipment, kind: str) -> str:
    """Return the format of the file that ``open_kind`` returns. The shipment has documents of the kind."""
    rows = select_documents(shipment, kind)
    is_image = len(rows) > 1 and rows[0].format in _IMAGES
    return "PDF" if is_image or _is_drawn(shipment, rows[0]) else rows[0].format


def get_document(shipment: Shipment, document_id: str) -> Document:
    """Return a shipment's document that has its file. Raises ``NotFound``, with the reason if the file is missing."""
    row = shipment.documents.filter(id=document_id).first() if lookup.is_id(document_id) else None
    if row is None:
        raise NotFound
    if row.file and row.file.storage.exists(row.file.name):
        return row
    if row.fetch_at:
        raise NotFound(_("The carrier has not provided this file yet. It is fetched when it is ready."))
    raise NotFound(_("The carrier has not provided this file."))


def read(document: Document) -> bytes:
    """Return a document's content. Raises ``FileNotFoundError`` if the storage has lost it."""
    with document.file.open("rb") as file:
        return file.read()


def join(files: Sequence[tuple[str, bytes]]) -> tuple[str, bytes]:
    """Return one file, with its format, that prints all files in order.

    PDFs are merged, ZPL and EPL are joined, and images are drawn into a PDF, one page each.
    Raises ``ValueError`` for formats that have no common one.
    """
    formats = {file_format for file_format, _content in files}
    if len(files) == 1:
        return files[0]
    if formats in ({"ZPL"}, {"EPL"}):
        return files[0][0], b"\n".join(content for _format, content in files)
    if not formats <= {"PDF", *_IMAGES}:
        raise ValueError("files of these formats cannot be joined")
    writer, joined = PdfWriter(), BytesIO()
    for file_format, content in files:
        writer.append(BytesIO(_draw_page(content) if file_format in _IMAGES else content))
    writer.write(joined)
    return "PDF", joined.getvalue()


def _is_drawn(shipment: Shipment, document: Document) -> bool:
    ordered = shipment.request.get("label_format") or "PDF"
    return document.kind == "label" and ordered == "PDF" and document.format in _IMAGES


def _read_file(document: Document, *, is_drawn: bool) -> tuple[str, bytes]:
    content = read(document)
    return ("PDF", _draw_page(content)) if is_drawn else (document.format, content)


def _draw_page(content: bytes) -> bytes:
    """Return a PDF of one page with an image in its own size, without loss."""
    image = Image.open(BytesIO(content))
    dots = [dpi if dpi > 1 else _DPI for dpi in image.info.get("dpi", (_DPI, _DPI))]
    width, height = (float(pixels * _POINTS_PER_INCH / dpi) for pixels, dpi in zip(image.size, dots, strict=True))
    page = BytesIO()
    canvas = Canvas(page, pagesize=(width, height))
    canvas.drawImage(ImageReader(image.convert("RGB")), 0, 0, width, height)
    canvas.save()
    return page.getvalue()
