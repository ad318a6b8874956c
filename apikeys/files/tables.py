"""Read CSV files as Excel, LibreOffice and Numbers write them: every encoding, separator and line end of theirs.

A row that cannot be read costs only itself: it is returned with the reason. Memory does not grow with the file.
"""

from __future__ import annotations

import codecs
import csv
import re
import unicodedata
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TextIO

# A byte-order mark and its encoding. The mark of UTF-32 starts with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_OTHER_FILES = {
    b"PK\x03\x04": "an Excel, LibreOffice or Numbers workbook (save it as CSV UTF-8) or a ZIP file",
    b"\xd0\xcf\x11\xe0": "an Excel workbook; save it as CSV UTF-8",
    b"\x1f\x8b": "compressed with gzip; unpack it first",
    b"%PDF": "a PDF",
}
_SEPARATORS = ",;\t|"
# Excel's own first line, which names the separator: sep=;
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?[\r\n]*', re.IGNORECASE)
_MAX_LINE = 1024 * 1024
_MAX_LINES_OF_A_ROW = 100
Reader = Callable[[str], str]


class UnreadableFile(Exception):
    """A file that cannot be read at all. The text is the reason."""


@dataclass(frozen=True)
class Row:
    """A row with its number in a spreadsheet (the header is row 1), its cells by column, and reasons to refuse it."""

    number: int
    cells: dict[str, str] = field(default_factory=dict)
    errors: dict[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Table:
    """The rows of a CSV file, without blank ones, and the names of columns that are not read."""

    rows: Iterator[Row]
    ignored: tuple[str, ...]


@dataclass(frozen=True)
class File:
    """A text file that can be decoded from start to end.

    In a UTF-8 file, a few bad bytes are kept as surrogates: they cost only their row.
    """

    path: Path
    encoding: str
    errors: str
    lines: int
    is_json: bool

    def open(self) -> TextIO:
        """Open the file; line ends stay as they are."""
        return self.path.open(encoding=self.encoding, errors=self.errors, newline="")


def inspect(path: Path, encoding: str = "") -> File:
    """Find a file's encoding and decode all of it once, so that a bad byte is found before anything is stored.

    Args:
        encoding: Encoding of a file that is neither UTF-8 nor has a byte-order mark.

    Raises: ``UnreadableFile``.
    """
    try:
        with path.open("rb") as file:
            head = file.read(8)
        for start, kind in _OTHER_FILES.items():
            if head.startswith(start):
                raise UnreadableFile(f"{path} is {kind}.")
        found = next((name for mark, name in _MARKS if head.startswith(mark)), "")
        if not found and len(head) > 1 and 0 in head[:2]:  # UTF-16 of an ASCII character
            found = "utf-16-be" if head[0] == 0 else "utf-16-le"
        try:
            return _decode(path, found or "utf-8")
        except UnicodeDecodeError:
            return _decode_damaged(path, found, encoding)
    except OSError as error:
        raise UnreadableFile(f"{path} cannot be read: {error}") from error
    except LookupError as error:
        raise UnreadableFile(f"There is no encoding {encoding!r}.") from error
    except UnicodeDecodeError as error:
        raise UnreadableFile(f"{path} is not {error.encoding} throughout.") from error


def read_table(source: TextIO, columns: Mapping[str, Reader], required: frozenset[str]) -> Table:
    """Read the header, and return the rows below it.

    Separator and column names are recognized: names in any case, with blanks, dashes or underscores.

    Args:
        columns: The function that reads a column's cells.
        required: The columns that the file must have.

    Raises: ``UnreadableFile`` if the header is not the expected one.
    """
    lines = _Lines(source)
    separator, skipped = _find_separator(lines, columns)
    # Strict: a quote in the wrong position is an error, and not the start of a cell that contains the next rows.
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=True)
    try:
        names = next(reader, [])
    except csv.Error as error:
        raise UnreadableFile(f"The first row cannot be read: {error}.") from error
    lines.taken.clear()
    known = {_name_key(column): column for column in columns}
    header = [known.get(_name_key(name), "") for name in names]
    if missing := [column for column in columns if column in required and column not in header]:
        shown = ", ".join(name for name in names if name.strip())[:200] or "nothing"
        expected = ", ".join(column for column in columns if column in required)
        raise UnreadableFile(
            f"The first row must name the columns {expected}; missing: {', '.join(missing)}. It has: {shown}."
        )
    if repeated := [column for column, count in Counter(filter(None, header)).items() if count > 1]:
        raise UnreadableFile(f"The first row names a column twice: {', '.join(repeated)}.")
    ignored = tuple(name for name, column in zip(names, header, strict=True) if name.strip() and not column)
    nameless = {number for number, name in enumerate(names) if not name.strip()}
    layout = _Layout(header, nameless, columns, required)
    return Table(_read_rows(lines, reader, layout, skipped + 1), ignored)


@dataclass(frozen=True)
class _Layout:
    """The column of each cell, empty for one that is not read, and the positions without a name."""

    header: list[str]
    nameless: set[int]
    columns: Mapping[str, Reader]
    required: frozenset[str]


def read_lines(source: TextIO) -> Iterator[str]:
    """Yield the lines of a file. Of one that is too long for the memory only the beginning, which is no valid row."""
    while line := source.readline(_MAX_LINE):
        rest = line
        while len(rest) == _MAX_LINE and not rest.endswith(("\n", "\r")):
            rest = source.readline(_MAX_LINE)
        yield line


class _Lines:
    """The lines of a file. Lines that a malformed row has taken can be put back."""

    def __init__(self, source: TextIO) -> None:
        self._source = read_lines(source)
        self._waiting: deque[str] = deque()
        self.taken: list[str] = []

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        if len(self.taken) >= _MAX_LINES_OF_A_ROW:
            raise csv.Error(f"a quote is not closed within {_MAX_LINES_OF_A_ROW} lines")
        line = self._waiting.popleft() if self._waiting else next(self._source)
        self.taken.append(line)
        return line

    def put_back(self, lines: list[str]) -> None:
        self._waiting.extendleft(reversed(lines))
        self.taken.clear()


def _decode(path: Path, encoding: str, errors: str = "strict") -> File:
    lines, start = 0, ""
    with path.open(encoding=encoding, errors=errors) as file:
        while text := file.read(_MAX_LINE):
            lines += text.count("\n")
            start = start or text.lstrip()[:1]
    if not start:
        raise UnreadableFile(f"{path} is empty.")
    if start == "[":
        raise UnreadableFile(f"{path} is a JSON array; CSV or one JSON object per line is expected.")
    return File(path, encoding, errors, lines, start == "{")


def _decode_damaged(path: Path, found: str, encoding: str) -> File:
    """Decode a file that is not UTF-8 throughout: as UTF-8 if most lines with other characters than ASCII are it."""
    if found and found != "utf-8-sig":
        return _decode(path, found)
    bad, valid, first = 0, 0, ""
    with path.open("rb") as file:
        for number, line in enumerate(iter(partial(file.readline, _MAX_LINE), b""), 1):
            try:
                valid += not line.decode().isascii()
            except UnicodeDecodeError as error:
                bad += 1
                part = line[max(error.start - 20, 0) : error.start + 20].decode(errors="backslashreplace")
                first = first or f"line {number}: {part.strip()}"
    if found or valid > bad:
        return _decode(path, found or "utf-8", "surrogateescape")
    if encoding:
        return _decode(path, encoding)
    raise UnreadableFile(
        f"{path} is not UTF-8: {first}. Save it as CSV UTF-8, or name its encoding: Excel's CSV is --encoding"
        " windows-1252 in Western Europe and the Americas."
    )


def _name_key(name: str) -> str:
    return "".join(re.findall(r"[^\W_]", unicodedata.normalize("NFKC", name).casefold()))


def _find_separator(lines: _Lines, columns: Mapping[str, Reader]) -> tuple[str, int]:
    """Return the separator, and the number of blank lines before the header, which stays to be read."""
    skipped = 0
    for line in lines:
        lines.taken.clear()
        if found := _SEPARATOR_LINE.fullmatch(line):  # no row of the spreadsheet
            return found[1], skipped
        if line.strip():
            lines.put_back([line])
            known = {_name_key(column) for column in columns}
            return max(_SEPARATORS, key=lambda one: len(known & {_name_key(name) for name in line.split(one)})), skipped
        skipped += 1
    return ",", skipped


def _read_rows(lines: _Lines, reader: Iterator[list[str]], layout: _Layout, number: int) -> Iterator[Row]:
    while True:
        number += 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            first, *rest = lines.taken
            lines.put_back(rest)
            yield Row(number, {"row": first.strip()[:200]}, {"row": [f"Its quotes cannot be read: {error}."]})
            continue
        lines.taken.clear()
        if cells is None:
            return
        if any(cell.strip() for cell in cells):
            yield _read_row(number, cells, layout)


def _read_row(number: int, cells: list[str], layout: _Layout) -> Row:
    row, width = Row(number), len(layout.header)
    if any(cell.strip() for position, cell in enumerate(cells) if position >= width or position in layout.nameless):
        row.errors["row"] = ["It has a cell without a column. Is there a separator in a text without quotes?"]
    for column, cell in zip(layout.header, cells, strict=False):
        if column:
            row.cells[column] = cell
            try:
                row.cells[column] = layout.columns[column](cell)
            except ValueError as error:
                row.errors[column] = [str(error)]
    for column in layout.header[len(cells) :]:
        if column in layout.required:
            row.errors[column] = [f"The row has only {len(cells)} of {width} cells."]
    return row
