"""``manage.py test`` runs the tests with pytest."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Any

try:
    import pytest
except ModuleNotFoundError:
    raise SystemExit("The tests need more packages: pip install -r requirements-dev.txt") from None

from config.environment import BASE_DIR


class PytestRunner:
    """Django's ``TEST_RUNNER``. Labels are dotted names, as Django's, or paths."""

    def __init__(self, *, verbosity: int = 1, failfast: bool = False, parallel: str = "", **options: Any) -> None:
        self.arguments = ["-v"] * (verbosity - 1) + ["-x"] * failfast
        self.arguments += [f"-n{parallel}"] if parallel else []
        self.arguments += [f"-k{' or '.join(names)}" for names in [options.get("test_name_patterns")] if names]

    @classmethod
    def add_arguments(cls, parser: ArgumentParser) -> None:
        """Add the options of Django's own runner that have a meaning here."""
        parser.add_argument("--failfast", action="store_true", help="Stop after the first failure.")
        parser.add_argument("--parallel", nargs="?", const="auto", help="Number of processes, or auto.")
        parser.add_argument("-k", action="append", dest="test_name_patterns", help="Run only matching tests.")

    def run_tests(self, test_labels: Sequence[str], **_: Any) -> int:
        """Run the tests and return the exit status; all tests without a label."""
        # ``manage.py`` imports this plugin first, because settings need it.
        ignored = "ignore:Module already imported:pytest.PytestAssertRewriteWarning"
        return int(pytest.main(["-W", ignored, *self.arguments, *map(find_test, test_labels)]))


def find_test(label: str) -> str:
    """Return a label such as ``tracking.tests.test_services`` as pytest writes it. Other texts are not changed."""
    parts = label.split(".")
    for count in range(len(parts), 0, -1):
        path = Path(*parts[:count])
        if count == len(parts) and (BASE_DIR / path).is_dir():
            return str(path)
        if (BASE_DIR / path).with_suffix(".py").is_file():
            return "::".join([f"{path}.py", *parts[count:]])
    return label
