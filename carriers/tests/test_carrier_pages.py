"""Every carrier has a page in ``docs/carriers``, and the table of operations there is current."""

from pathlib import Path

from carriers.adapters.registry import ADAPTERS
from carriers.management.commands.list_operations import render

PAGES = Path(__file__).parents[2] / "docs" / "carriers"


def test_table_of_operations_is_current():
    table = render()
    assert table in (PAGES / "README.md").read_text(), f"docs/carriers/README.md needs this table:\n\n{table}"


def test_every_carrier_has_a_page_of_its_own():
    assert set(ADAPTERS) <= {path.stem for path in PAGES.glob("*.md")}
