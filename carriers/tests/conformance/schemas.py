"""Checks of values against JSON Schemas that are parts of a document."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from jsonschema import Draft4Validator, Draft202012Validator
from jsonschema.exceptions import ValidationError
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT4, DRAFT202012

from carriers.tests.conformance.operations import Check, Fault

_URN = "urn:document"
_COMPOSED = ("allOf", "oneOf", "anyOf")
_SHOWN = 80  # characters of a value


class Document:
    """A document with schemas. OpenAPI 3.0 uses the keywords of draft 4 of JSON Schema, 3.1 those of 2020-12."""

    def __init__(self, content: dict[str, Any]) -> None:
        is_old = str(content.get("openapi", content.get("swagger", "3.1"))) < "3.1"
        self.content = content
        self._validator = Draft4Validator if is_old else Draft202012Validator
        resource = Resource(contents=content, specification=DRAFT4 if is_old else DRAFT202012)
        self._registry = Registry().with_resource(_URN, resource)

    def check(self, pointer: str, *, is_text: bool = False) -> Check:
        """Return the check of the schema at a JSON pointer.

        Args:
            is_text: values are texts of a query, a path or a header, and are read as the schema's type.
        """
        validator = self._validator({"$ref": f"{_URN}#{pointer}"}, registry=self._registry)

        def faults(value: Any) -> Iterator[Fault]:
            for error in validator.iter_errors(value):
                yield from _describe(error)

        def text_faults(value: str) -> Iterator[Fault]:
            # The text itself conforms, or the number or boolean that it states.
            if any(not list(faults(one)) for one in _readings(value)):
                return
            yield from faults(value)

        return text_faults if is_text else faults


def _readings(text: str) -> Iterator[Any]:
    yield text
    try:
        yield json.loads(text)
    except ValueError:
        return


def _describe(error: ValidationError) -> Iterator[Fault]:
    path = "".join("[]" if isinstance(part, int) else f".{part}" for part in error.absolute_path).lstrip(".")
    if error.validator in ("oneOf", "anyOf") and error.context:
        for inner in _closest(error.context):
            yield from _describe(inner)
    elif error.validator == "additionalProperties":
        for name in sorted(set(error.instance) - set(error.schema.get("properties", ()))):
            yield Fault("", f"{path}.{name}".lstrip("."), "unknown", "is not documented")
    elif error.validator == "required":
        for name in sorted(set(error.validator_value) - set(error.instance)):
            if repr(name) in error.message:
                yield Fault("", f"{path}.{name}".lstrip("."), "missing", "is required")
    else:
        is_empty = error.validator == "minLength" and error.instance == ""
        yield Fault("", path, "empty" if is_empty else error.validator, _shorten(error.message))


def _closest(errors: Sequence[ValidationError]) -> list[ValidationError]:
    """Return the errors of the alternative of which most is right: whose errors are deepest."""
    groups: dict[Any, list[ValidationError]] = {}
    for error in errors:
        groups.setdefault(error.schema_path[0], []).append(error)
    return max(groups.values(), key=lambda group: (min(len(one.absolute_path) for one in group), -len(group)))


def _shorten(text: str) -> str:
    return text if len(text) <= 2 * _SHOWN else f"{text[:_SHOWN]}...{text[-_SHOWN:]}"


def close(node: Any, *, is_branch: bool = False) -> Any:
    """Return a schema in which an object with documented properties has no others.

    Branches of a composition stay open, because each describes a part of the object only.
    """
    if isinstance(node, list):
        return [close(one, is_branch=is_branch) for one in node]
    if not isinstance(node, dict):
        return node
    closed = {key: close(value, is_branch=key in _COMPOSED) for key, value in node.items()}
    is_object = isinstance(node.get("properties"), dict) and not any(key in node for key in _COMPOSED)
    if is_object and not is_branch and "additionalProperties" not in node:
        closed["additionalProperties"] = False
        # A required name is documented, even if it has no schema.
        closed["properties"] = dict.fromkeys(node.get("required", ()), {}) | closed["properties"]
    return closed
