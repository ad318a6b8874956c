"""Imports form no cycles, and adapters reach neither the database nor Django's requests."""

import ast
from graphlib import TopologicalSorter
from importlib.util import resolve_name
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parents[2]
APPS = ("apikeys", "tracking", "carriers", "shipping", "webhooks", "config")
# Names of our modules that give access to the database, the settings, HTTP or requests.
HEAVY = {"admin", "api", "models", "settings", "transport", "views"}
LIBRARIES = {"rest_framework", "requests"}
# The parts of Django that adapters may use, directly or indirectly: translation.
OF_DJANGO = ("django.utils.functional", "django.utils.translation")


def test_imports_form_no_cycle():
    graph = grimp.build_graph(*APPS, include_external_packages=False)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert len(imports) > 150
    TopologicalSorter(imports).prepare()  # raises CycleError with the cycle


def path_of(module):
    path = ROOT.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def reached_by_adapters():
    """Return the adapters, our modules that they import directly or indirectly, and the packages of all these."""
    graph = grimp.build_graph(*APPS, include_external_packages=False)
    adapters = {name for name in graph.modules if name.startswith("carriers.adapters.registry")}
    reached = adapters.union(*(graph.find_upstream_modules(adapter) for adapter in adapters))
    parts = [module.split(".") for module in reached]
    return {".".join(names[:depth]) for names in parts for depth in range(1, len(names) + 1)}


def imported_names(module, text, *, is_package=False):
    """Return the absolute dotted names that a module imports, at any place in its text."""
    package = module if is_package else module.rpartition(".")[0]
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            source = resolve_name("." * node.level + (node.module or ""), package)
            found |= {f"{source}.{alias.name}" for alias in node.names}
    return found


def refused(names):
    """Return the names that adapters must not import."""
    return {name for name in names if _is_refused(name)}


def _is_refused(name):
    top, *rest = name.split(".")
    if top == "django":
        return not any(f"{name}.".startswith(f"{allowed}.") for allowed in OF_DJANGO)
    return top in LIBRARIES or (top in APPS and not HEAVY.isdisjoint(rest))


def test_adapters_import_neither_models_nor_settings_nor_requests():
    reached = reached_by_adapters()
    assert {"carriers.adapters.pickit.build", "carriers.adapters.velocity.read", "apikeys.http.errors"} <= reached
    for module in sorted(reached):
        path = path_of(module)
        wrong = refused(imported_names(module, path.read_text(), is_package=path.name == "__init__.py"))
        assert not wrong, f"{module}, imported by adapters, imports {sorted(wrong)}"


@pytest.mark.parametrize(
    "statement",
    [
        "from django.conf import settings",
        "import django.conf as configuration",
        "from django import conf",
        "from django import http",
        "from django.http import HttpRequest",
        "from django.db import models",
        "from django.db.models import F",
        "from django.core.cache import cache",
        "from django.utils import timezone",
        "import django",
        "import requests",
        "from requests.adapters import HTTPAdapter",
        "from rest_framework import serializers",
        "from config.settings import DEBUG",
        "from config import settings",
        "from carriers.models import Credential",
        "from carriers import models",
        "from ...models import Credential",
        "from ... import transport",
        "import carriers.api.base",
    ],
)
def test_forbidden_import_is_found_at_any_place(statement):
    for text in (statement, f"def late():\n    {statement}", f"if TYPE_CHECKING:\n    {statement}"):
        assert refused(imported_names("carriers.adapters.pickit.build", f"import json\n{text}\n"))


def test_relative_import_is_resolved_from_its_package():
    text = "from ...models import Credential"
    assert imported_names("carriers.adapters.pickit.build", text) == {"carriers.models.Credential"}
    assert imported_names("carriers.adapters.pickit.build", text, is_package=True) == {
        "carriers.adapters.models.Credential"
    }


@pytest.mark.parametrize(
    "statement",
    [
        "from django.utils.translation import gettext as _",
        "from django.utils.functional import Promise",
        "from carriers.types import Status",
        "from apikeys.http.errors import ValidationFailed",
        "from . import read",
        "from .. import base",
        "import requests_mock",
        "from collections.abc import Mapping",
    ],
)
def test_allowed_import_is_accepted(statement):
    assert not refused(imported_names("carriers.adapters.pickit.build", statement))
