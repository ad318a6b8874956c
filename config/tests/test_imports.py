"""Modules import one another in one direction: nobody, over however many others, imports itself."""

import ast
from graphlib import TopologicalSorter
from importlib.util import resolve_name
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parents[2]
APPS = ("apikeys", "tracking", "carriers", "shipping", "webhooks", "config")
# Whoever imports one of ours of these names has the database, the settings, HTTP or a request at hand.
HEAVY = {"models", "settings", "transport", "views"}
LIBRARIES = {"rest_framework", "requests"}
# All that adapters, and what they reach, take of Django: sentences are translated.
OF_DJANGO = ("django.utils.functional", "django.utils.translation")


def test_no_module_imports_itself_over_others():
    graph = grimp.build_graph(*APPS, include_external_packages=False)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert len(imports) > 150
    TopologicalSorter(imports).prepare()  # raises CycleError naming the circle


def path_of(module):
    place = ROOT.joinpath(*module.split("."))
    return place / "__init__.py" if place.is_dir() else place.with_suffix(".py")


def reached_by_adapters():
    """The adapters, every module of ours that they import over however many others, and the packages of all these."""
    graph = grimp.build_graph(*APPS, include_external_packages=False)
    adapters = {name for name in graph.modules if name.startswith("carriers.adapters.registry")}
    reached = adapters.union(*(graph.find_upstream_modules(adapter) for adapter in adapters))
    parts = [module.split(".") for module in reached]
    return {".".join(names[:depth]) for names in parts for depth in range(1, len(names) + 1)}


def imported(module, text, *, is_package=False):
    """What a module's text imports, wherever in it the statement stands: dotted names, in full."""
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
    """Those of the names that no adapter may have at hand."""
    return {name for name in names if _is_refused(name)}


def _is_refused(name):
    top, *rest = name.split(".")
    if top == "django":
        return not any(f"{name}.".startswith(f"{allowed}.") for allowed in OF_DJANGO)
    return top in LIBRARIES or (top in APPS and not HEAVY.isdisjoint(rest))


def test_an_adapter_reaches_neither_models_nor_settings_nor_requests():
    reached = reached_by_adapters()
    assert {"carriers.adapters.pickit.build", "carriers.adapters.velocity.read", "apikeys.http.errors"} <= reached
    for module in sorted(reached):
        path = path_of(module)
        wrong = refused(imported(module, path.read_text(), is_package=path.name == "__init__.py"))
        assert not wrong, f"{module}, which is an adapter or reached by one, imports {sorted(wrong)}"


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
def test_what_an_adapter_may_not_import_is_seen_wherever_it_stands(statement):
    for text in (statement, f"def late():\n    {statement}", f"if TYPE_CHECKING:\n    {statement}"):
        assert refused(imported("carriers.adapters.pickit.build", f"import json\n{text}\n"))


def test_a_relative_import_is_told_from_where_it_stands():
    text = "from ...models import Credential"
    assert imported("carriers.adapters.pickit.build", text) == {"carriers.models.Credential"}
    assert imported("carriers.adapters.pickit.build", text, is_package=True) == {"carriers.adapters.models.Credential"}


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
def test_what_an_adapter_may_import_is_let_through(statement):
    assert not refused(imported("carriers.adapters.pickit.build", statement))
