"""The documents agree with the code."""

import ast
import re
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
SUFFIXES = ("py", "md", "toml", "html", "po", "sh", "yaml")


def test_error_table_lists_the_codes():
    out = StringIO()
    call_command("list_errors", stdout=out)
    assert (DOCS / "errors.md").read_text() == out.getvalue()


QUESTIONS = {
    "Where is a label bought?": "create_label",
    "Where is a scan's effect on the status decided?": "Summary(",
    "Where is a carrier's token refreshed?": "fetch_token",
    "Where is a rate limit defined?": "Policy(",
    "Where is a delivery signed?": "hmac",
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_architecture_page_answers_with_the_right_function(question):
    row = re.search(
        rf"^\| {re.escape(question)} \| `(\S+\.py)`, `(\w+)` \|$", (DOCS / "architecture.md").read_text(), re.M
    )
    assert row, f"docs/architecture.md does not answer: {question}"
    path, name = row.groups()
    source = (ROOT / path).read_text()
    found = [node for node in ast.parse(source).body if name in names_of(node)]
    assert found, f"{path} does not define {name}"
    assert QUESTIONS[question] in ast.get_source_segment(source, found[0])


def names_of(node):
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name}
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return {target.id for target in targets if isinstance(target, ast.Name)}


def test_every_path_in_the_documents_exists():
    missing = []
    for page in PAGES:
        text = page.read_text()
        quoted = re.findall(rf"`([\w./-]+/[\w.-]*(?:\.(?:{'|'.join(SUFFIXES)}))?)`", text)
        inside = [path for path in quoted if path.split("/")[0] in CHECKED]
        linked = [target.split("#")[0] for target in re.findall(r"\]\((?!http)([^)\s]+)\)", text)]
        missing += [f"{page.name}: {path}" for path in inside if not (ROOT / path).exists()]
        missing += [f"{page.name}: {path}" for path in linked if path and not (page.parent / path).exists()]
    assert not missing


CHECKED = ("apikeys", "bench", "carriers", "config", "deploy", "docs", "shipping", "tracking", "webhooks")
