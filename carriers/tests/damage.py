"""Bodies that no carrier documents: garbage, strange refusals, and Hypothesis strategies for damaged JSON."""

import copy
import dataclasses
import json

from hypothesis import strategies as st
from prometheus_client import REGISTRY

from carriers.types import Document

GARBAGE = {
    "nothing": b"",
    "a web page": b"<html><body>Service temporarily unavailable</body></html>",
    "null": b"null",
    "a list": b"[]",
    "an empty object": b"{}",
    "half an object": b'{"data": ',
    "not UTF-8": b'{"data": "\xff\xfe"}',
    "nested too deep": b"[" * 200_000,
    "an extreme number": b'{"total_price": 1e99999999999999999999}',
}
# Bodies of refusals that no carrier documents, but that its proxies send.
STRANGE_REFUSALS = {
    "a web page": b"<html>Not here</html>",
    "nothing": b"",
    "null": b"null",
    "a list": b"[1]",
    "a text": b'"no"',
    "an error that is a text": b'{"error": "no"}',
    "an error without a message": b'{"error": {}}',
    "an error of numbers": b'{"error": {"code": 7, "message": [], "field": {}}}',
    "nested too deep": b"[" * 200_000,
    "not UTF-8": b"\xff\xfe\x00",
}
# Successful answers that refuse; no carrier documents them.
REFUSALS_IN_SUCCESS = {
    "a flag": {"success": False, "message": "Insufficient balance"},
    "a flag without data": {"success": False, "message": "Insufficient balance", "data": []},
    "a status": {"status": 0, "error": "Insufficient balance"},
    "a list of errors": {"errors": [{"code": "E7", "message": "Insufficient balance"}]},
    "an error": {"error": {"code": "E7", "message": "Insufficient balance"}},
}
# Fields of canonical types that say which thing an answer is about.
_IDENTITY = ("reference", "tracking_number", "content", "carrier_pickup_id", "carrier_id", "id", "occurred_at")
# Fields of canonical types with any JSON of the carrier.
ANY_FIELDS = ("extras", "details", "rows", "totals", "carrier_state")
JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.just(10**400),
    st.floats(),
    st.text(max_size=20),
    st.just("x" * 70_000),
    st.text(alphabet=["\0", "\ud800", "a"], max_size=5),
    st.sampled_from(["", "2024-03-15", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", ".."]),
    st.lists(
        st.one_of(st.none(), st.text(max_size=5), st.dictionaries(st.text(max_size=3), st.integers())), max_size=3
    ),
    st.dictionaries(st.text(max_size=5), st.one_of(st.none(), st.integers(), st.text(max_size=5)), max_size=3),
)
ANY_JSON = st.recursive(
    JUNK,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def normal(value):
    """Return a value to compare: without the times of reading, and lists for tuples."""
    if dataclasses.is_dataclass(value):
        return {field.name: normal(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {name: normal(item) for name, item in value.items()}
    return [normal(item) for item in value] if isinstance(value, list | tuple) else value


def identity(value):
    """Return the parts of a result that no optional field of the answer may change, of each canonical object in it."""
    if isinstance(value, Document) and value.kind != "label":  # a label is needed, other files are good to have
        return []
    if dataclasses.is_dataclass(value):
        names = [field.name for field in dataclasses.fields(value)]
        own = {name: getattr(value, name) for name in _IDENTITY if name in names}
        return [own, *(found for name in names for found in identity(getattr(value, name)))]
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return [found for item in items for found in identity(item)]


def without_raw(value):
    """Return a result without the carrier's own JSON, for responses with other JSON types."""
    value = normal(value)
    if isinstance(value, dict):
        return {name: without_raw(item) for name, item in value.items() if name not in (*ANY_FIELDS, "accessibility")}
    return [without_raw(item) for item in value] if isinstance(value, list) else value


def with_numbers_as_texts(value):
    """Return a body with each number as a text."""
    if isinstance(value, dict):
        return {name: with_numbers_as_texts(item) for name, item in value.items()}
    if isinstance(value, list):
        return [with_numbers_as_texts(item) for item in value]
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def value_paths(body):
    """Return the paths of all values in a body, the outermost first."""
    return list(_paths(body))


def is_needed(path, needed):
    """Return whether a path is one of the needed ones, such as ``data.*.awb``, or contains one."""
    keys = [str(key) for key in path]
    patterns = [other.split(".") for other in needed]
    return any(
        len(keys) <= len(pattern) and all(part in ("*", key) for part, key in zip(pattern, keys, strict=False))
        for pattern in patterns
    )


def replaced(body, path, value):
    """Return a body with one value replaced."""
    body = copy.deepcopy(body)
    *outer, last = path
    container = body
    for key in outer:
        container = container[key]
    container[last] = value
    return body


def with_element(body, path, value):
    """Return a body with one more element at the beginning of the list at ``path``."""
    return _with_list(body, path, lambda items: [value, *items])


def with_only(body, path, values):
    """Return a body with other elements in the list at ``path``."""
    return _with_list(body, path, lambda _items: values)


def _with_list(body, path, change):
    if not path:
        return change(body)
    key, *rest = path
    body = copy.copy(body)
    body[key] = _with_list(body[key], rest, change)
    return body


def skipped(carrier, operation):
    """Return how many unreadable elements of an operation were skipped."""
    labels = {"carrier": carrier, "operation": operation}
    return REGISTRY.get_sample_value("carrier_unreadable_elements_total", labels) or 0


@st.composite
def damaged(draw, body):
    """Return a body with one to three values replaced by junk, doubled or removed; a file with changed bytes."""
    if isinstance(body, bytes):
        return body[: draw(st.integers(0, len(body)))] + draw(st.binary(max_size=20))
    body = copy.deepcopy(body)
    for _round in range(draw(st.integers(1, 3))):
        paths = list(_paths(body))
        if not paths:
            break
        *path, last = draw(st.sampled_from(paths))
        container = body
        for key in path:
            container = container[key]
        match draw(st.sampled_from(["replaced", "replaced", "removed", "doubled"])):
            case "replaced":
                container[last] = draw(JUNK)
            case "doubled" if isinstance(container, list):
                container.append(copy.deepcopy(container[last]))
            case _:
                del container[last]
    return body


def assert_storable(value):
    """Assert that a database takes every text (no NUL, no lone surrogate) and that other fields are plain JSON."""
    if dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            inner = getattr(value, field.name)
            if field.name in ANY_FIELDS:
                json.dumps(inner, allow_nan=False)
            assert_storable(inner)
    elif isinstance(value, str):
        value.encode()
        assert "\0" not in value
    else:
        for inner in _children(value):
            assert_storable(inner)


def _children(value):
    if isinstance(value, dict):
        return (*value, *value.values())
    return value if isinstance(value, list | tuple) else ()


def _paths(value, path=()):
    """Yield every path in a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*path, key)
        yield from _paths(inner, (*path, key))
