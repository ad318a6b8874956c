"""Numbers of documented and assumed operations and records of each carrier; its page and its records agree."""

import pytest

from carriers.tests import recorded

DOCUMENTED, IN_PART, ASSUMED = "documented", "documented in part", "assumed"
OPERATIONS = {
    "pickit": {DOCUMENTED: 2, IN_PART: 2, ASSUMED: 10},
    "velocity": {DOCUMENTED: 6, IN_PART: 6, ASSUMED: 2},
}
FILES = {
    "pickit": {DOCUMENTED: 9, ASSUMED: 44},
    "velocity": {DOCUMENTED: 13, ASSUMED: 19},
}
CARRIERS = list(OPERATIONS)


def classify(operation):
    """Return how an operation is known. Text in brackets is about a part of it."""
    if operation.source == "assumed":
        return ASSUMED
    return DOCUMENTED if operation.source.startswith("document") else IN_PART


def examples_of(carrier):
    """Return the names of each operation's records."""
    table = recorded.operations(carrier)
    found = {operation.name: set() for operation in table if operation.path}
    for name, one in recorded.examples(carrier).items():
        operation = next((operation for operation in table if operation.is_of(one["request"])), None)
        assert operation, f"no operation on the page has {name}"
        found[operation.name].add(name)
    return found


def count(words):
    words = list(words)
    return {word: words.count(word) for word in sorted(set(words))}


@pytest.mark.parametrize("carrier", CARRIERS)
def test_numbers_of_documented_and_assumed_operations(carrier):
    assert count(map(classify, recorded.operations(carrier))) == OPERATIONS[carrier]


@pytest.mark.parametrize("carrier", CARRIERS)
def test_numbers_of_documented_and_assumed_files(carrier):
    names = {*recorded.examples(carrier), *recorded.events(carrier)}
    assumed = recorded.assumed(carrier)
    assert {DOCUMENTED: len(names - assumed), ASSUMED: len(assumed)} == FILES[carrier]


@pytest.mark.parametrize("carrier", CARRIERS)
def test_page_and_files_agree_on_what_is_assumed(carrier):
    assumed, examples = recorded.assumed(carrier), examples_of(carrier)
    for operation in recorded.operations(carrier):
        if operation.name == "webhooks":
            names = set(recorded.events(carrier))
        elif operation.path:
            names = examples[operation.name]
        else:
            continue
        assert names, f"{operation.name} has no record"
        if classify(operation) == DOCUMENTED:
            assert names - assumed, f"no record of {operation.name} is documented"
        else:
            assert names <= assumed, f"a record of {operation.name} is not marked as assumed"
