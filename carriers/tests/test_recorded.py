"""How much of each carrier's wire is known from its paper and how much is assumed: by its page, and by its examples."""

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


def known(operation):
    """A word in brackets is about what else the operation can do."""
    if operation.source == "assumed":
        return ASSUMED
    return DOCUMENTED if operation.source.startswith("document") else IN_PART


def examples_of(carrier):
    """The names of each operation's examples."""
    table = recorded.operations(carrier)
    found = {operation.name: set() for operation in table if operation.path}
    for name, one in recorded.examples(carrier).items():
        operation = next((operation for operation in table if operation.is_of(one["request"])), None)
        assert operation, f"{name} is of no operation of the page"
        found[operation.name].add(name)
    return found


def counted(words):
    words = list(words)
    return {word: words.count(word) for word in sorted(set(words))}


@pytest.mark.parametrize("carrier", CARRIERS)
def test_operations_are_counted(carrier):
    assert counted(map(known, recorded.operations(carrier))) == OPERATIONS[carrier]


@pytest.mark.parametrize("carrier", CARRIERS)
def test_files_are_counted(carrier):
    names = {*recorded.examples(carrier), *recorded.events(carrier)}
    assumed = recorded.assumed(carrier)
    assert {DOCUMENTED: len(names - assumed), ASSUMED: len(assumed)} == FILES[carrier]


@pytest.mark.parametrize("carrier", CARRIERS)
def test_the_page_and_the_files_say_the_same(carrier):
    assumed, examples = recorded.assumed(carrier), examples_of(carrier)
    for operation in recorded.operations(carrier):
        if operation.name == "webhooks":
            its = set(recorded.events(carrier))
        elif operation.path:
            its = examples[operation.name]
        else:
            continue
        assert its, f"{operation.name} has no example"
        if known(operation) == DOCUMENTED:
            assert its - assumed, f"no example of {operation.name} is documented"
        else:
            assert its <= assumed, f"an example of {operation.name} does not say what is assumed"
