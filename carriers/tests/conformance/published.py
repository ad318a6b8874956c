"""The carriers' published documents and samples, in the folder that the environment variable CARRIER_SPECS names."""

from __future__ import annotations

import json
import os
import re
from functools import cache
from pathlib import Path
from typing import Any

import yaml

VARIABLE = "CARRIER_SPECS"
REASON = f"{VARIABLE} does not name the folder of the carriers' published documents"
# YAML 1.2. The rules of YAML 1.1 turn 021 into 17 and NO into false, and the documents have both.
_RULES = (
    ("bool", r"(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)$", "-+0123456789"),
    ("float", r"[-+]?(?:(?:0|[1-9][0-9]*)\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?$", "-+.0123456789"),
    ("null", r"(?:~|null|Null|NULL|)$", ("~", "n", "N", "")),
)


class _Loader(yaml.CSafeLoader):
    """Reads YAML 1.2, and RAML's ``!include`` as the name of the file."""

    yaml_implicit_resolvers = {}


for _tag, _pattern, _first in _RULES:
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), list(_first))
_Loader.add_constructor("!include", lambda loader, node: node.value)


def is_available() -> bool:
    """Return whether the variable is set. A file that is missing then is a failure."""
    return bool(os.environ.get(VARIABLE))


def folder() -> Path:
    return Path(os.environ[VARIABLE])


def samples_folder() -> Path:
    """Return the folder of the sample payloads, which lies beside the documents."""
    return folder().parent / "samples"


@cache
def load(name: str) -> Any:
    """Return a document, like ``ups/Tracking.yaml``."""
    return read(folder() / name)


def read(path: Path) -> Any:
    """Return the content of a JSON, YAML or RAML file."""
    text = path.read_text(encoding="utf-8-sig")
    if path.suffix == ".json":
        return json.loads(text)
    # libyaml takes a question mark for the key of a mapping.
    return yaml.load(text.replace(": ?\n", ": '?'\n"), _Loader)
