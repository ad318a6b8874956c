"""Text in the scripts of the world: fonts, direction, shaping and lines.

Roboto draws Latin, Greek and Cyrillic. All else is drawn with Kurinto (``weblate-fonts``), shaped by HarfBuzz, as the
outlines of its glyphs; the PDF contains the text itself too. Characters without a glyph are written in Latin letters.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import font_roboto
import uharfbuzz
import weblate_fonts
from anyascii import anyascii
from bidi.algorithm import get_display
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.pdfgen.pathobject import PDFPathObject

REGULAR, BOLD = "Label", "Label-Bold"
_ROBOTO = {REGULAR: font_roboto.Roboto, BOLD: font_roboto.RobotoBold}
_KURINTO = Path(weblate_fonts.__file__).parent / "static/weblate_fonts/kurinto/ttf"
_WEIGHTS = {REGULAR: "Rg", BOLD: "Bd"}
# Kurinto's fonts for Han characters, which countries write differently.
_HAN = {"JP": "JP", "KR": "KR", "KP": "KR", "TW": "TC", "HK": "TC", "MO": "TC"}
_RTL_SCRIPTS = ("HEBREW", "ARABIC", "SYRIAC", "THAANA", "NKO")
_JOINERS = "\u200c\u200d"
# The algorithm for directions removes joiners. Two marks that have no other use stand for them.
_STAND_INS = str.maketrans(_JOINERS, "\ufe00\ufe01")
_ORIGINALS = str.maketrans("\ufe00\ufe01", _JOINERS)
_VIRAMA = 9  # combining class
_THAI_LEADING_VOWELS = "เแโใไ"
LINE_HEIGHT = 1.15
SMALLEST = 4.0
_Point = tuple[float, float]
for name, file in _ROBOTO.items():
    pdfmetrics.registerFont(TTFont(name, file))


class _Run(NamedTuple):
    """Characters of one font, script and direction, in the order of reading."""

    text: str
    font: uharfbuzz.Font
    is_rtl: bool


def measure(text: str, style: str, country: str = "") -> float:
    """Return the width of a line in ems."""
    if _is_simple(text, style):
        return pdfmetrics.stringWidth(text, style, 1)
    return sum(
        position.x_advance / run.font.face.upem for run in _split(text, style, country) for _, position in _shape(run)
    )


def draw_line(canvas: Canvas, left: float, base: float, text: str, style: str, size: float, country: str = "") -> None:
    """Draw a line in black. Han characters look as in the given country."""
    canvas.setFont(style, size)
    if _is_simple(text, style):
        canvas.drawString(left, base, text)
        return
    canvas.saveState()
    _write_actual_text(canvas, left, base, text)
    canvas.translate(left, base)
    for run in _split(text, style, country):
        scale = size / run.font.face.upem
        for glyph, position in _shape(run):
            path = canvas.beginPath()
            pen = _Pen(path, scale, position.x_offset, position.y_offset)
            run.font.draw_glyph_with_pen(glyph.codepoint, pen)
            canvas.drawPath(path, stroke=0, fill=1)
            canvas.translate(position.x_advance * scale, 0)
    canvas.restoreState()


def fit(
    lines: Sequence[str], style: str, size: float, width: float, height: float, country: str = ""
) -> tuple[list[str], float]:
    """Return the wrapped lines and the largest size at which all fit.

    If they do not fit at the smallest size, the longest ones end with an ellipsis.
    """
    while True:
        wrapped = [wrap(line, style, width / size, country) for line in lines]
        most = max(len(lines), int(height / (size * LINE_HEIGHT)))
        while size <= SMALLEST and sum(map(len, wrapped)) > most:
            longest = max(wrapped, key=len)
            longest[-2:] = [f"{longest[-2][:-1]}…"]
        if sum(map(len, wrapped)) <= most:
            return [part for parts in wrapped for part in parts], size
        size -= 0.5


def largest_size(text: str, style: str, size: float, width: float) -> float:
    """Return the largest size at which a line is not wider than ``width``."""
    while size > SMALLEST and measure(text, style) * size > width:
        size -= 0.5
    return size


def wrap(text: str, style: str, width: float, country: str = "") -> list[str]:
    """Split a text into lines of at most ``width`` ems: at blanks, and in words that are longer than a line."""
    lines, current = [], ""
    for word in text.split():
        candidate = f"{current} {word}".strip()
        if measure(candidate, style, country) <= width:
            current = candidate
            continue
        if current:
            lines.append(current)
        while measure(word, style, country) > width:
            end = _break_point(word, style, width, country)
            lines.append(word[:end])
            word = word[end:]
        current = word
    return [*lines, current] if current else lines


def replace_missing(text: str, country: str = "") -> tuple[str, bool]:
    """Write the characters that no font has in Latin letters, or as question marks. Control characters are left out.

    Returns: the text, and whether a character was replaced.
    """
    result, missing, is_replaced = [], "", False
    for char in [*unicodedata.normalize("NFC", text), ""]:
        if char and _has_no_glyph(char, country):
            missing += char
            continue
        if missing:
            result.append(anyascii(missing) or "?")
            missing, is_replaced = "", True
        if char.isspace() or unicodedata.category(char or " ") != "Cc":
            result.append(char)
    return "".join(result), is_replaced


def _has_no_glyph(char: str, country: str) -> bool:
    if char.isspace() or unicodedata.category(char) in ("Cc", "Cf"):
        return False
    return not any(font.get_nominal_glyph(ord(char)) for font in _fonts(REGULAR, country))


def _break_point(word: str, style: str, width: float, country: str) -> int:
    """Return the length of the longest beginning of a word that fits, at least one character with its marks."""
    low, high = 1, len(word)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if measure(word[:middle], style, country) <= width else (low, middle - 1)
    end = low
    while end > 1 and not _is_break(word, end):
        end -= 1
    while end < len(word) and not _is_break(word, end):
        end += 1
    return end


def _is_break(word: str, at: int) -> bool:
    """Return whether a word may be split before a character."""
    before, after = word[at - 1], word[at]
    joins_next = before in _THAI_LEADING_VOWELS or before == "\u200d" or unicodedata.combining(before) == _VIRAMA
    return not joins_next and unicodedata.category(after)[0] != "M" and after not in _JOINERS


def _is_simple(text: str, style: str) -> bool:
    """Return whether each character is one glyph of Roboto, from left to right."""
    glyphs = pdfmetrics.getFont(style).face.charToGlyph
    return all(ord(char) in glyphs and not unicodedata.combining(char) for char in text)


def _language_country(text: str, country: str) -> str:
    """Return the country whose forms of Han characters a text has: of its other letters' language, else as given."""
    names = {unicodedata.name(char, "").split(" ")[0] for char in text}
    return "JP" if names & {"HIRAGANA", "KATAKANA"} else "KR" if "HANGUL" in names else country


@lru_cache(maxsize=600)
def _fonts(style: str, country: str) -> tuple[uharfbuzz.Font, ...]:
    """Return the fonts, the first choice first."""
    first = _HAN.get(country, "SC")
    names = [first, *(name for name in ("JP", "SC", "KR", "TC") if name != first), ""]
    files = [_ROBOTO[style], *(_KURINTO / f"KurintoSans{name}-{_WEIGHTS[style]}.ttf" for name in names)]
    return tuple(_load(str(file)) for file in files)


@lru_cache(maxsize=16)
def _load(file: str) -> uharfbuzz.Font:
    return uharfbuzz.Font(uharfbuzz.Face(uharfbuzz.Blob.from_file_path(file)))


def _split(text: str, style: str, country: str) -> Iterator[_Run]:
    """Yield the runs of a line from left to right."""
    fonts = _fonts(style, _language_country(text, country))
    visual = get_display(text.translate(_STAND_INS)).translate(_ORIGINALS)
    keys, font, script, is_rtl = [], fonts[0], "", False
    for char in visual:
        name = unicodedata.name(char, "")
        is_of_rtl_script = name.startswith(_RTL_SCRIPTS)
        # Joiners and marks belong to the character before them. Those of scripts from the right come before theirs.
        if (unicodedata.category(char)[0] != "M" or is_of_rtl_script) and char not in _JOINERS:
            font = next((one for one in fonts if one.get_nominal_glyph(ord(char))), fonts[0])
            script = name.split(" ")[0]
            is_mark = unicodedata.bidirectional(char) == "NSM"
            is_rtl = unicodedata.bidirectional(char) in ("R", "AL") or (is_mark and is_of_rtl_script)
        keys.append((font, script, is_rtl))
    begin = 0
    for end in range(1, len(visual) + 1):
        if end == len(visual) or keys[end] != keys[begin]:
            font, _, is_rtl = keys[begin]
            part = visual[begin:end]
            yield _Run(part[::-1] if is_rtl else part, font, is_rtl)
            begin = end


def _shape(run: _Run) -> list[tuple[uharfbuzz.GlyphInfo, uharfbuzz.GlyphPosition]]:
    """Return the glyphs of a run from left to right."""
    buffer = uharfbuzz.Buffer()
    buffer.add_str(run.text)
    buffer.guess_segment_properties()
    buffer.direction = "rtl" if run.is_rtl else "ltr"
    uharfbuzz.shape(run.font, buffer)
    return list(zip(buffer.glyph_infos, buffer.glyph_positions, strict=True))


class _Pen:
    """Writes a glyph's outline into a path of a page, with the protocol of FontTools' pens."""

    def __init__(self, path: PDFPathObject, scale: float, left: float, base: float) -> None:
        self.path, self.scale, self.left, self.base = path, scale, left, base
        self.last = (0.0, 0.0)

    def moveTo(self, point: _Point) -> None:
        self.last = self._place(point)
        self.path.moveTo(*self.last)

    def lineTo(self, point: _Point) -> None:
        self.last = self._place(point)
        self.path.lineTo(*self.last)

    def curveTo(self, *points: _Point) -> None:
        first, second, self.last = map(self._place, points)
        self.path.curveTo(*first, *second, *self.last)

    def qCurveTo(self, *points: _Point) -> None:
        """Add a quadratic curve as the cubic one that equals it."""
        control, end = map(self._place, points)
        first, second = (
            tuple(side + (middle - side) * 2 / 3 for side, middle in zip(point, control, strict=True))
            for point in (self.last, end)
        )
        self.path.curveTo(*first, *second, *end)
        self.last = end

    def closePath(self) -> None:
        self.path.close()

    endPath = closePath

    def _place(self, point: _Point) -> _Point:
        return (point[0] + self.left) * self.scale, (point[1] + self.base) * self.scale


def _write_actual_text(canvas: Canvas, left: float, base: float, text: str) -> None:
    """Write the text that drawn outlines stand for, so that it can be searched and copied."""
    canvas.addLiteral(f"/Span <</ActualText <FEFF{text.encode('utf-16-be').hex()}>>> BDC")
    invisible = canvas.beginText(left, base)
    invisible.setTextRenderMode(3)
    invisible.textOut(".")
    canvas.drawText(invisible)
    canvas.addLiteral("EMC")
