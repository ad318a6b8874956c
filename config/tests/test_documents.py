"""What the documents say of the code is what the code says of itself."""

from io import StringIO
from pathlib import Path

from django.core.management import call_command

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_the_table_of_errors_is_the_code_s():
    out = StringIO()
    call_command("list_errors", stdout=out)
    assert (DOCS / "errors.md").read_text() == out.getvalue()
