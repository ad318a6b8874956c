"""Hypothesis strategies for JSON as no carrier documents it: good bodies with something lost or replaced by junk."""

import copy
import dataclasses
import json

from hypothesis import strategies as st

# The fields of canonical types that hold what the carrier likes.
FREE = ("extras", "details", "rows", "totals")
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


@st.composite
def damaged(draw, body):
    """The body with one to three places replaced by junk, doubled or gone; of a file some bytes lost or added."""
    if isinstance(body, bytes):
        return body[: draw(st.integers(0, len(body)))] + draw(st.binary(max_size=20))
    body = copy.deepcopy(body)
    for _round in range(draw(st.integers(1, 3))):
        found = list(_places(body))
        if not found:
            break
        *way, last = draw(st.sampled_from(found))
        holder = body
        for key in way:
            holder = holder[key]
        match draw(st.sampled_from(["replaced", "replaced", "gone", "doubled"])):
            case "replaced":
                holder[last] = draw(JUNK)
            case "doubled" if isinstance(holder, list):
                holder.append(copy.deepcopy(holder[last]))
            case _:
                del holder[last]
    return body


def assert_storable(value):
    """Every text is one that a database takes (no NUL, no half characters), and what is free is plain JSON."""
    if dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            inner = getattr(value, field.name)
            if field.name in FREE:
                json.dumps(inner, allow_nan=False)
            assert_storable(inner)
    elif isinstance(value, str):
        value.encode()
        assert "\0" not in value
    else:
        for inner in _inside(value):
            assert_storable(inner)


def _inside(value):
    if isinstance(value, dict):
        return (*value, *value.values())
    return value if isinstance(value, list | tuple) else ()


def _places(value, path=()):
    """Every path inside a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*path, key)
        yield from _places(inner, (*path, key))
