"""The labels of several parcels are one file that prints them all, without loss."""

from io import BytesIO

import pytest
from PIL import Image
from pypdf import PdfReader
from reportlab.pdfgen.canvas import Canvas

from shipping.labels.files import join


def draw_pdf(*texts):
    file = BytesIO()
    canvas = Canvas(file, pagesize=(288, 432))
    for text in texts:
        canvas.drawString(20, 20, text)
        canvas.showPage()
    canvas.save()
    return file.getvalue()


def draw_image(image_format, size, **info):
    """Return an image with thin bars, as a barcode has them."""
    image = Image.new("L", size, 255)
    for x in range(0, size[0], 3):
        image.putpixel((x, 5), 0)
    file = BytesIO()
    image.save(file, image_format, **info)
    return file.getvalue()


def test_single_file_is_given_as_it_is():
    for one in (("PDF", b"%PDF"), ("GIF", b"GIF89a"), ("TIFF", b"II")):
        assert join([one]) == one


def test_pdfs_are_merged_in_order():
    joined_format, joined = join([("PDF", draw_pdf("one", "two")), ("PDF", draw_pdf("three"))])
    pages = PdfReader(BytesIO(joined)).pages
    assert joined_format == "PDF"
    assert [page.extract_text().strip() for page in pages] == ["one", "two", "three"]


def test_printer_languages_are_joined():
    assert join([("ZPL", b"^XA1^XZ"), ("ZPL", b"^XA2^XZ")]) == ("ZPL", b"^XA1^XZ\n^XA2^XZ")
    assert join([("EPL", b"N\nP1"), ("EPL", b"N\nP1")])[0] == "EPL"


def test_images_are_drawn_into_a_pdf_in_their_size_and_without_loss():
    gif, png = draw_image("GIF", (812, 1218)), draw_image("PNG", (600, 900), dpi=(300, 300))
    joined_format, joined = join([("GIF", gif), ("PNG", png), ("PDF", draw_pdf("three"))])
    pages = PdfReader(BytesIO(joined)).pages
    assert joined_format == "PDF"
    sizes = [(round(float(page.mediabox.width)), round(float(page.mediabox.height))) for page in pages]
    assert sizes == [(288, 432), (144, 216), (288, 432)]  # 4x6 and 2x3 inches
    for page, original in zip(pages, (gif, png), strict=False):
        drawn, before = page.images[0].image.convert("L"), Image.open(BytesIO(original)).convert("L")
        assert (drawn.size, drawn.tobytes()) == (before.size, before.tobytes())


def test_formats_without_a_common_one_are_not_joined():
    with pytest.raises(ValueError, match="joined"):
        join([("PDF", draw_pdf("one")), ("ZPL", b"^XA^XZ")])
