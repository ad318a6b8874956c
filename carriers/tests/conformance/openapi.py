"""Operations of OpenAPI 3 documents."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from carriers.tests.conformance.operations import Check, Fault, Operation, Parameter
from carriers.tests.conformance.schemas import Document, close

_METHODS = ("get", "post", "put", "delete", "patch")


def operations(name: str, content: dict[str, Any]) -> Iterator[Operation]:
    """Yield the operations of a document.

    Args:
        name: of its file.
    """
    document = Document(close(add_listed_values(content)))
    for path, item in document.content["paths"].items():
        for method in _METHODS:
            if method in item:
                yield _operation(document, name, path, method)


def add_listed_values(node: Any) -> Any:
    """Return a document in which texts have the values that their descriptions list: UPS seldom states an ``enum``."""
    if isinstance(node, list):
        return [add_listed_values(one) for one in node]
    if not isinstance(node, dict):
        return node
    added = {key: add_listed_values(value) for key, value in node.items()}
    values = _listed_values(node["description"]) if isinstance(node.get("description"), str) else []
    if len(values) > 1 and "enum" not in node:
        if node.get("type") == "string":
            added["enum"] = values
        elif node.get("type") == "array" and node.get("items", {}).get("type") == "string":
            added["items"] = added["items"] | {"enum": values}
    return added


def _listed_values(description: str) -> list[str]:
    """Return the values of a list like "Valid values:", "- 01 - Letter", "- 02 - Package"."""
    values: list[str] = []
    for line in description.partition("alid values:")[2].splitlines()[1:]:
        item = re.match(r"\s*-\s+(\w{1,20})(\s+[-–=].*)?$", line)
        if item:
            values.append(item[1])
        elif values or line.strip():
            break
    return values


def base_path(content: dict[str, Any]) -> str:
    """Return the path of the document's servers, like ``/api``."""
    return next((urlsplit(one["url"]).path.rstrip("/") for one in content.get("servers") or ()), "")


def _operation(document: Document, name: str, path: str, method: str) -> Operation:
    item = document.content["paths"][path]
    here = f"/paths/{_escape(path)}/{method}"
    return Operation(
        document=name,
        method=method.upper(),
        path=base_path(document.content) + path,
        parameters=tuple(
            _parameter(document, place)
            for place in (
                *(f"/paths/{_escape(path)}/parameters/{number}" for number in range(len(item.get("parameters", ())))),
                *(f"{here}/parameters/{number}" for number in range(len(item[method].get("parameters", ())))),
            )
        )
        + _security(document.content, item[method]),
        requests=_contents(document, f"{here}/requestBody"),
        responses={
            str(status): next(iter(_contents(document, f"{here}/responses/{status}").values()), None)
            for status in item[method]["responses"]
        },
    )


def _parameter(document: Document, pointer: str) -> Parameter:
    node, pointer = _follow(document, pointer)
    is_path = node["in"] == "path"
    if is_path and node["name"] in ("version", "deprecatedVersion"):
        check = _check_version(node)
    else:
        check = document.check(f"{pointer}/schema", is_text=True)
    return Parameter(node["in"], node["name"], node.get("required", False) or is_path, check)


def _security(content: Mapping[str, Any], operation: Mapping[str, Any]) -> tuple[Parameter, ...]:
    """Return the header that the operation's security scheme needs."""
    schemes = content.get("components", {}).get("securitySchemes", {})
    required = operation.get("security", content.get("security", ()))
    kinds = {
        "Bearer" if schemes[name]["type"] == "oauth2" else schemes[name].get("scheme", "").capitalize()
        for requirement in required
        for name in requirement
    }

    def faults(value: str) -> Iterator[Fault]:
        if value.partition(" ")[0] not in kinds:
            yield Fault("", "", "security", f"is not one of {sorted(kinds)}")

    return (Parameter("header", "Authorization", True, faults),) if kinds else ()


def _check_version(node: Mapping[str, Any]) -> Check:
    """Return the check of a version in the path. UPS lists the valid ones in the description only."""
    text = f"{node.get('description', '')} {node.get('schema', {})}"
    versions = {version.lower() for version in re.findall(r"\b[vV]\d+\b", text)}

    def faults(value: str) -> Iterator[Fault]:
        if value not in versions:
            yield Fault("", "", "enum", f"{value!r} is not one of {sorted(versions)}")

    return faults


def _contents(document: Document, pointer: str) -> dict[str, Check]:
    """Return the checks of the bodies by media type."""
    node, pointer = _follow(document, pointer)
    contents = (node or {}).get("content") or {}
    return {
        media_type: document.check(f"{pointer}/content/{_escape(media_type)}/schema")
        for media_type, content in contents.items()
        if "schema" in (content or {})
    }


def _follow(document: Document, pointer: str) -> tuple[Any, str]:
    """Return the node at a pointer, and the pointer of what it refers to."""
    node: Any = document.content
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~").replace("%7B", "{").replace("%7D", "}")
        node = node[int(key)] if isinstance(node, list) else _get(node, key)
    if isinstance(node, dict) and "$ref" in node:
        return _follow(document, node["$ref"].removeprefix("#"))
    return node, pointer


def _get(node: dict[Any, Any], key: str) -> Any:
    return node.get(key, node.get(int(key)) if key.isdigit() else None)


def _escape(part: str) -> str:
    return part.replace("~", "~0").replace("/", "~1").replace("{", "%7B").replace("}", "%7D")
