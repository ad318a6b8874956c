"""Normalize the texts of requests: one Unicode form, and no characters that nobody sees."""

from __future__ import annotations

import string
import unicodedata

# Persian, the scripts of India and emoji need them between letters.
_JOINERS = "\u200c\u200d"
# Controls, formats (bidi marks, zero width, soft hyphen, byte-order mark), unassigned and private characters.
_INVISIBLE = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))
# Letters and marks that print nothing: fillers, the braille blank, variation selectors.
_BLANK_LETTERS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\u180b\u180c\u180d") | frozenset(
    map(chr, [*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)])
)
_LINES = "\t\n\r"
_BLANK = _BLANK_LETTERS.union(_JOINERS, " \t\n\r\f\v")
_UPPER_CASE = str.maketrans(string.ascii_lowercase, string.ascii_uppercase)


def normalize_text(text: str) -> str:
    """Return a text in NFC without surrounding blanks and invisible characters; all blanks become spaces.

    Line ends stay, as instructions may have several lines. A text that prints nothing is empty.
    """
    if text.isascii() and text.isprintable():
        return text.strip()
    composed = unicodedata.normalize("NFC", text)
    shown = "".join(" " if unicodedata.category(one) == "Zs" else one for one in composed if _is_kept(one))
    return "" if _BLANK.issuperset(shown) else shown.strip(_JOINERS + " \t\n\r\f\v")


def normalize_identifier(text: str) -> str:
    """Return an identifier in NFC without surrounding blanks; other blanks become spaces.

    Raises ``ValueError`` for an invisible character: two identifiers that look the same must be the same.
    """
    stripped = text.strip()
    if stripped.isascii() and stripped.isprintable():
        return stripped
    composed = unicodedata.normalize("NFC", stripped)
    if any(_is_invisible(one) or one in _BLANK_LETTERS for one in composed):
        raise ValueError(text)
    return "".join(" " if unicodedata.category(one) == "Zs" else one for one in composed)


def number_key(text: str) -> str:
    """Return a number for comparison: without blanks, ASCII letters in upper case (as SQLite's ``UPPER``).

    Other texts are in NFC without invisible characters.
    """
    return "".join((text if text.isascii() else normalize_text(text)).split()).translate(_UPPER_CASE)


def _is_invisible(one: str) -> bool:
    return unicodedata.category(one) in _INVISIBLE


def _is_kept(one: str) -> bool:
    return one in _LINES or one in _JOINERS or not _is_invisible(one)
