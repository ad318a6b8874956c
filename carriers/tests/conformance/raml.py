"""Operations of RAML 1.0 documents: methods, paths and parameters. Bodies come from elsewhere.

No library for Python reads RAML 1.0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from carriers.tests.conformance.operations import Operation, Parameter
from carriers.tests.conformance.schemas import Document

_METHODS = ("get", "post", "put", "delete", "patch")
_TYPES = {"string", "integer", "number", "boolean"}


def operations(name: str, content: Mapping[str, Any]) -> Iterator[Operation]:
    """Yield the operations of a document, without bodies.

    Args:
        name: of its file.
    """
    yield from _resources(name, urlsplit(content["baseUri"]).path.rstrip("/"), content, ())


def _resources(name: str, path: str, node: Mapping[str, Any], parameters: tuple[Parameter, ...]) -> Iterator[Operation]:
    for method in _METHODS:
        if method in node:
            content = node[method] or {}
            yield Operation(
                document=name,
                method=method.upper(),
                path=path,
                parameters=(
                    *parameters,
                    *_parameters("query", content.get("queryParameters")),
                    *_parameters("header", content.get("headers")),
                ),
                responses={str(status): None for status in content.get("responses") or ()},
            )
    for key, resource in node.items():
        if str(key).startswith("/"):
            inherited = (*parameters, *_parameters("path", resource.get("uriParameters")))
            yield from _resources(name, path + key, resource, inherited)


def _parameters(place: str, described: Mapping[str, Any] | None) -> Iterator[Parameter]:
    """Yield parameters. RAML's default is "required", but these documents say so where one is."""
    for name, node in (described or {}).items():
        node = node if isinstance(node, dict) else {}
        schema = {key: node[key] for key in ("enum", "pattern") if key in node}
        if node.get("type") in _TYPES:
            schema["type"] = node["type"]
        check = Document(schema).check("", is_text=True)
        yield Parameter(
            place, name, place == "path" or node.get("required") is True, check, tuple(node.get("enum", ()))
        )
