"""The code and its documents use one term per concept.

Only words that are never right in this code base are listed; ordinary English is left to readers.
"""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# Word: the terms to use instead.
FORBIDDEN = {
    r"told|tell|tells|telling": "report, send, show",
    r"anew": "again",
    r"mend|mends|mended|mending": "fix",
    r"ways? back": "return",
    r"worker lanes?|lanes? of (?:a|the) workers?": "worker task",
    r"walks?": "flow, test of every route",
    r"vans?": "pickup, driver",
    r"leave for": "circuit breaker permission",
    r"calls? off|called off|calling off": "cancel, void",
    r"in whose": "whose",
    r"lest": "so that … not",
    r"for ever": "without limit",
    r"look-ups?|look(?:s|ed|ing)? up once more": "lookup",
    r"whoever|whosoever": "the caller, the process",
    r"odd|oddity|oddities": "doubtful",
    r"news": "report",
    r"strangers?": "another merchant, an unknown caller",
    r"once more": "again",
    r"the door's|at the door of|doors": "access layer",
    r"accounts? at (?:a|the|its) carriers?": "credential",
}
PATTERN = re.compile(rf"(?<![A-Za-z])({'|'.join(FORBIDDEN)})(?![A-Za-z])", re.IGNORECASE)

# Names in documents and functions of libraries.
ALLOWED = re.compile(r"os\.walk|ast\.walk|VAN-\d+|\.tell\b")
SUFFIXES = {".py", ".md", ".html", ".txt", ".css", ".js", ".sh", ".toml", ".po", ".example", ""}
# Directories that are not part of the source.
OTHERS = (
    ".git/",
    ".venv/",
    "var/",
    "staticfiles/",
    ".pytest_cache/",
    ".ruff_cache/",
    ".import_linter_cache/",
    ".hypothesis/",
    ".coverage",
)
# Names of migrations are recorded in databases; the documents' texts and recorded responses stay as they are.
SKIPPED = ("/migrations/", "/fixtures/", "/documented/", "config/tests/test_language.py", "LICENSE")


def files():
    for path in sorted(ROOT.rglob("*")):
        name = path.relative_to(ROOT).as_posix()
        is_ours = not name.startswith(OTHERS) and "__pycache__" not in name
        if is_ours and path.suffix in SUFFIXES and not any(part in f"/{name}" for part in SKIPPED) and path.is_file():
            yield name, path


def lines_with_forbidden_words():
    for name, path in files():
        if found := PATTERN.search(name.replace("_", " ")):
            yield f"{name}: {found.group(0)!r} in the name"
        for number, line in enumerate(path.read_text().splitlines(), start=1):
            if found := PATTERN.search(ALLOWED.sub("", line).replace("_", " ")):
                yield f"{name}:{number}: {found.group(0)!r} in: {line.strip()}"


def test_no_file_uses_a_word_of_the_private_vocabulary():
    assert not list(lines_with_forbidden_words())
