"""Text in all scripts: glyphs, direction, lines and letters without a glyph."""

import io

import pypdfium2
import pytest
from PIL import ImageChops
from reportlab.pdfgen.canvas import Canvas

from carriers.sandbox.printing import typesetting
from carriers.sandbox.printing.typesetting import BOLD, REGULAR
from carriers.tests.scripts import NAMES, STREETS

TEXTS = [*NAMES.items(), *STREETS.items()]
ROW = 20


def draw(texts):
    """Return a page with one row for each text."""
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=(500, ROW * len(texts)))
    for number, (country, text) in enumerate(texts):
        style = (REGULAR, BOLD)[number % 2]
        typesetting.draw_line(canvas, 5, ROW * (len(texts) - number) - 14, text, style, 12, country)
    canvas.save()
    return pypdfium2.PdfDocument(buffer.getvalue())[0]


def rows(texts):
    """Return the picture of each row."""
    picture = draw(texts).render(scale=2).to_pil().convert("L")
    return [picture.crop((0, ROW * 2 * row, picture.width, ROW * 2 * (row + 1))) for row in range(len(texts))]


def test_names_and_streets_of_all_scripts_are_drawn():
    # A missing glyph is a box, which would look the same if a letter was changed.
    changed = [(country, text[1] + text[1:]) for country, text in TEXTS]
    for (country, text), row, other in zip(TEXTS, rows(TEXTS), rows(changed), strict=True):
        assert ImageChops.invert(row).getbbox(), text
        assert ImageChops.difference(row, other).getbbox(), text
        assert typesetting.replace_missing(text, country) == (text, False)


def test_texts_can_be_read_from_the_file():
    content = draw(TEXTS).get_textpage().get_text_range()
    for _, text in TEXTS:
        for word in text.replace("\u200c", " ").split():
            assert word.strip("()") in content


def test_text_after_a_drawn_one_is_visible():
    plain, _ = rows([("US", "Jane"), ("US", "Jane")])
    _, *others = rows([("AE", NAMES["AE"]), ("US", "Jane"), ("US", "Jane")])
    assert ImageChops.difference(plain, others[1]).getbbox() is None


def test_arabic_is_joined_and_begins_at_the_right():
    first, separate, other_end = rows([("AE", "بيت 1"), ("AE", "ب\u200cي\u200cت 1"), ("AE", "1 بيت")])
    assert ImageChops.difference(first, separate).getbbox()
    assert ImageChops.difference(first, other_end).getbbox()
    [brackets], [letters] = (
        [ImageChops.invert(row).getbbox()[0] for row in rows([("IL", text)])] for text in ("(א", "א")
    )
    assert brackets == letters  # the bracket is at the right of the letter


@pytest.mark.parametrize("text", ["ភ្នំពេញ", "ရန်ကုန်", "བོད"])
def test_letters_without_a_glyph_are_written_in_latin(text):
    written, is_replaced = typesetting.replace_missing(f"{text} 12")
    assert is_replaced
    assert written.isascii()
    assert len(written) > len(" 12?")


def test_lines_have_at_most_the_requested_width_and_lose_nothing():
    for country, text in [*TEXTS, ("TH", STREETS["TH"].replace(" ", "") * 5), ("US", "W" * 200)]:
        for width in (3, 8, 15):
            lines = typesetting.wrap(text, BOLD, width, country)
            assert "".join(lines).replace(" ", "") == text.replace(" ", "")
            # One letter with its marks may be wider than a line.
            assert all(typesetting.measure(line, BOLD, country) <= width or len(line) < 4 for line in lines)


def test_a_text_that_never_fits_ends_with_an_ellipsis_and_hides_no_other():
    wrapped, size = typesetting.fit(["Jane", "x y " * 500, "Springfield"], REGULAR, 12, 200, 50)
    assert size == typesetting.SMALLEST
    assert (wrapped[0], wrapped[-1]) == ("Jane", "Springfield")
    assert wrapped[-2].endswith("…")
