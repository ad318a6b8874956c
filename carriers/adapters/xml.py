"""Reading of XML, without entities and external documents, into values like those of JSON."""

from __future__ import annotations

from typing import Any
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

_MAX_DEPTH = 50


def parse_xml(content: bytes) -> dict[str, Any]:
    """Return ``{name of the root: its value}``. Names have no namespaces.

    An element without attributes and children is its text. Any other is an object of its attributes and children, in
    which a repeated child is a list and its text is ``#text``. An attribute that is named like a child is ``@name``.

    Raises ``ValueError``, which quotes no content.
    """
    try:
        root = fromstring(content, forbid_dtd=True)
    except (ParseError, DefusedXmlException, LookupError, ValueError) as error:
        raise ValueError("the body is not XML") from error
    return {_local(root.tag): _value(root, 0)}


def _value(element: Element, depth: int) -> Any:
    if depth > _MAX_DEPTH:
        raise ValueError("the XML is nested too deeply")
    text = (element.text or "").strip()
    if not len(element) and not element.attrib:
        return text
    children: dict[str, Any] = {}
    for child in element:
        name, value = _local(child.tag), _value(child, depth + 1)
        if name not in children:
            children[name] = value
        elif isinstance(children[name], list):
            children[name].append(value)
        else:
            children[name] = [children[name], value]
    attributes = {_local(name): value for name, value in element.attrib.items()}
    found = {f"@{name}" if name in children else name: value for name, value in attributes.items()} | children
    return found | {"#text": text} if text else found


def _local(name: str) -> str:
    return name.rpartition("}")[2]
