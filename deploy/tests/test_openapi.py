"""A running installation behaves as its OpenAPI document describes, tested with schemathesis.

All operations come from the document. A new path parameter needs one line in ``PATH``, a value that the document cannot
describe (an id that exists, an order without a label) one in ``FIELDS`` or ``BODIES`` (``openapi_values.py``).
"""

import contextlib
import itertools
import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import hypothesis
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.control import SkipTest
from schemathesis.core.failures import FailureGroup
from schemathesis.core.parameters import ParameterLocation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from deploy.tests import things
from deploy.tests.openapi_values import (
    AFTERWARDS,
    BODIES,
    DESTRUCTIVE,
    FIELDS,
    NOT_OFFERED,
    OF_PLATFORM_KEYS,
    PATH,
    PROOFS,
    QUERIES,
)
from deploy.tests.system import System
from deploy.tests.things import Things

pytestmark = [pytest.mark.system, pytest.mark.once]
KEY = {"X-API-Key": "test-api-key"}
CASES = 5000 if os.environ.get("WAYBILL_TEST_FULL") == "1" else 500
POSITIVE, NEGATIVE, STATEFUL = CASES // 2, CASES * 4 // 10, CASES // 10
STEPS = 5
LEAST_ACCEPTED = 0.6
# An operation is judged by at least so many requests, so that a few generated values do not decide.
LEAST_JUDGED = 20
# Letters without a shape: fillers and the braille blank.
FILLERS = "\u115f\u1160\u2800\u3164\uffa0"
RUN = hypothesis.settings(
    derandomize=True, database=None, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
)
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@dataclass
class Tally:
    """The requests sent, and the problems of their responses."""

    sent: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    accepted: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    refusals: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    problems: list[str] = field(default_factory=list)

    def add(self, case: Case, response: Any) -> None:
        """Count a response and check it against the document."""
        label = case.operation.label
        self.sent[label] += 1
        if 200 <= response.status_code < 300:
            self.accepted[label] += 1
        else:
            self.refusals[label].append(f"{response.status_code} {response.text[:300]} to {str(case.body)[:300]}")
        try:
            case.validate_response(response, checks=CHECKS)
        except FailureGroup as group:
            self.problems += [f"{label}: {problem}"[:2000] for problem in group.exceptions]

    def mostly_refused(self, label: str) -> bool:
        """Return whether fewer requests of an operation were accepted than it takes."""
        if NOT_OFFERED.search(label):
            return any("unsupported_operation" not in refusal for refusal in self.refusals[label])
        return self.accepted[label] < self.sent[label] * LEAST_ACCEPTED

    def fail_if_wrong(self) -> None:
        """Fail with each different problem once."""
        shown = list(dict.fromkeys(self.problems))
        assert not shown, f"{len(self.problems)} responses differ from the document:\n\n" + "\n\n".join(shown[:10])


class Caller:
    """Sends generated cases, with ids that exist."""

    def __init__(self, system: System) -> None:
        self.world, self.tally = Things(system), Tally()
        self.session = requests.Session()
        self.session.trust_env = False
        self.schema = _document(system, allow_x00=False)
        self.operations = _operations(self.schema)
        self.token = things.access_token(self.world)
        self.platform_key = things.platform_key(self.world)
        # The tests' own key, member and credential: existing rows are not changed.
        self.protected = self._existing_ids(system)

    def send(self, case: Case) -> Any:
        """Replace values of the case, send it and check the response."""
        self.replace_values(case)
        response = case.call(**self.request_options(case))
        self.check(case, response)
        return response

    def check(self, case: Case, response: Any) -> None:
        """Check a response and repair what the call may have changed."""
        self.tally.add(case, response)
        for repair in _matching(AFTERWARDS, case.operation.label):
            repair(self.world)

    def request_options(self, case: Case) -> dict[str, Any]:
        """Return the options of the call: key, or a token where keys are not accepted, and a carrier's signature."""
        if OF_PLATFORM_KEYS.search(case.operation.label):
            return {"headers": {"X-API-Key": self.platform_key}, "session": self.session, "timeout": 60}
        ways = case.operation.definition.raw.get("security", [])
        headers = {"Authorization": f"Bearer {self.token}"} if ways == [{"Bearer": []}] else dict(KEY)
        for prove in _matching(PROOFS, case.operation.label):
            sent = requests.Request(**case.as_transport_kwargs(base_url="http://localhost")).prepare().body or b""
            headers |= prove(sent if isinstance(sent, bytes) else sent.encode())
        return {"headers": headers, "session": self.session, "timeout": 60}

    def replace_values(self, case: Case, learned: frozenset[str] = frozenset()) -> None:
        """Replace values in each part of the case that is meant to be valid.

        ``learned`` are path parameters from an earlier response; they stay.
        """
        label, parts = case.operation.label, case.meta.components
        if not _is_negated(parts, ParameterLocation.PATH):
            for name in [name for name in case.path_parameters if name not in learned]:
                case.path_parameters[name] = self.path_value(label, name)
        if not _is_negated(parts, ParameterLocation.QUERY):
            case.query = self.replaced(case.query)
            for change in _matching(QUERIES, label):
                case.query = change(self.world, case.query)
        if not _is_negated(parts, ParameterLocation.HEADER):
            case.headers = self.replaced(dict(case.headers))
        if not _is_negated(parts, ParameterLocation.BODY) and isinstance(case.body, dict):
            case.body = self.replaced(case.body)
            for change in _matching(BODIES, label):
                case.body = change(self.world, case.body)

    def path_value(self, label: str, name: str) -> str:
        """Return an id for a path parameter."""
        return self.world.some(_maker(label, name), fresh=bool(DESTRUCTIVE.search(label)))

    def replaced(self, value: Any, name: str = "") -> Any:
        """Apply ``FIELDS`` to a value and all values in it."""
        if isinstance(value, dict):
            value = {key: self.replaced(inner, key) for key, inner in value.items()}
        elif isinstance(value, list):
            value = [self.replaced(inner) for inner in value]
        if change := FIELDS.get(name):
            return change(self.world, value)
        if isinstance(value, str) and value:
            # Identifiers refuse invisible characters, names lose them and a blank name is none, which the document
            # cannot describe.
            return value if value.isascii() and value.isprintable() and value.strip() else _visible_text(value)
        return value

    def protect_existing(self, case: Case) -> None:
        """Replace ids of existing rows in cases that change rows."""
        if case.operation.method.upper() == "GET":
            return
        for name, value in case.path_parameters.items():
            if str(value) in self.protected:
                case.path_parameters[name] = self.path_value(case.operation.label, name)

    def _existing_ids(self, system: System) -> set[str]:
        lists = [one for one in self.operations if one.method.upper() == "GET" and "{" not in one.path]
        answers = (system.api("GET", one.path) for one in lists)
        return {found for answer in answers for found in re.findall(UUID, answer.text)}


UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"


def _document(system: System, *, allow_x00: bool) -> Any:
    generation = schemathesis.config.GenerationConfig(with_security_parameters=False, allow_x00=allow_x00)
    projects = schemathesis.config.ProjectsConfig(default=schemathesis.config.ProjectConfig(generation=generation))
    config = schemathesis.Config(projects=projects, cache=schemathesis.config.CacheConfig(enabled=False))
    return schemathesis.openapi.from_url(f"{system.web}/api/schema/", config=config)


def _operations(schema: Any) -> list[Any]:
    return [result.ok() for result in schema.get_all_operations()]


def _matching(table: dict[str, Any], label: str) -> list[Any]:
    return [value for pattern, value in table.items() if re.search(pattern, label)]


def _maker(label: str, name: str) -> Callable[[Things], str]:
    fitting = [part for part in PATH if part in label and f"{{{name}}}" in part]
    assert fitting, f"{label}: no value for {{{name}}}; add a line to PATH in openapi_values.py"
    return PATH[max(fitting, key=len)]


def _visible_text(value: str) -> str:
    """Return the letters, digits, punctuation and symbols of a text, or "text" if it has none."""
    return "".join(char for char in value if unicodedata.category(char)[0] in "LNPS" and char not in FILLERS) or "text"


def _is_negated(parts: Any, location: ParameterLocation) -> bool:
    return location in parts and parts[location].mode.is_negative


def generate(operation: Any, mode: GenerationMode, count: int) -> list[Case]:
    """Return the same cases in each run: fewer if there are no more, none if nothing can be invalid."""
    cases: list[Case] = []

    @hypothesis.settings(RUN, max_examples=count)
    @hypothesis.given(operation.as_strategy(generation_mode=mode))
    def keep(case: Case) -> None:
        cases.append(case)

    with contextlib.suppress(SkipTest, hypothesis.errors.Unsatisfiable):
        keep()
    return cases


@pytest.fixture(scope="module")
def caller():
    system = System(RATE_LIMITS_ENABLED="false")
    try:
        yield Caller(system.start("sandbox", "web"))
    finally:
        system.close()


@pytest.fixture(autouse=True)
def _fresh_tally(caller):
    caller.tally = Tally()
    caller.world.kept.clear()  # another test may have deleted these objects
    yield
    assert caller.world.request("GET", "/api/v1/shipments"), "the tests' key is still valid"


def test_every_path_parameter_has_a_value(caller):
    for operation in caller.operations:
        for name in re.findall(r"{(\w+)}", operation.path):
            _maker(operation.label, name)


def test_valid_requests_are_accepted_with_documented_responses(caller):
    share = -(-POSITIVE // len(caller.operations))
    for operation in caller.operations:
        cases = generate(operation, GenerationMode.POSITIVE, share)
        assert cases, f"{operation.label}: no request is valid by the document"
        for case in itertools.islice(itertools.cycle(cases), share):
            caller.send(case)
    tally = caller.tally
    assert sum(tally.sent.values()) >= POSITIVE
    for operation in caller.operations:
        if tally.mostly_refused(operation.label):
            for case in generate(operation, GenerationMode.POSITIVE, LEAST_JUDGED)[share:]:
                caller.send(case)
    tally.fail_if_wrong()
    low = [
        f"{label}: {tally.accepted[label]} of {sent}, for one {tally.refusals[label][0]}"
        for label, sent in tally.sent.items()
        if tally.mostly_refused(label)
    ]
    assert not low, "valid by the document, yet mostly refused:\n" + "\n".join(low)


def test_examples_of_requests_are_accepted(caller):
    sent = 0
    for operation in caller.operations:
        content = operation.definition.raw.get("requestBody", {}).get("content", {}).get("application/json", {})
        for name, example in content.get("examples", {}).items():
            response = caller.world.system.api("POST", operation.path, example["value"])
            is_offered = response.ok or "unsupported_operation" in response.text
            assert is_offered and (response.ok or NOT_OFFERED.search(operation.label)), (name, response.text)
            sent += 1
    assert sent >= 6


def test_invalid_requests_are_refused_as_documented(caller):
    operations = _operations(_document(caller.world.system, allow_x00=True))
    # Where nothing can be invalid, no case is generated; the other operations take that share.
    generated = [generate(one, GenerationMode.NEGATIVE, -(-NEGATIVE * 5 // 4 // len(operations))) for one in operations]
    able = [cases for cases in generated if cases]
    share = -(-NEGATIVE // len(able))
    for cases in able:
        for case in itertools.islice(itertools.cycle(cases), share):
            caller.send(case)
    caller.tally.fail_if_wrong()


def test_without_a_key_nothing_is_returned(caller):
    keyed = [one for one in caller.operations if {"Bearer": []} in one.definition.raw.get("security", [])]
    for operation in keyed:
        case = generate(operation, GenerationMode.POSITIVE, 1)[0]
        caller.replace_values(case)
        response = case.call(session=caller.session, timeout=60)
        assert response.status_code == 401, operation.label
        caller.tally.add(case, response)
    assert keyed
    caller.tally.fail_if_wrong()


def test_values_of_responses_are_accepted_by_the_next_operations(caller):
    class Sequence(caller.schema.as_state_machine()):
        def step(self, input):
            caller.replace_values(input.case, frozenset(name for _, name in input.applied_parameters if name))
            caller.protect_existing(input.case)
            return super().step(input)

        def get_call_kwargs(self, case):
            return caller.request_options(case)

        def validate_response(self, response, case, **_):
            caller.check(case, response)

    scenarios = -(-STATEFUL // STEPS)
    Sequence.run(settings=hypothesis.settings(RUN, max_examples=scenarios, stateful_step_count=STEPS))
    assert sum(caller.tally.sent.values()) > scenarios
    caller.tally.fail_if_wrong()
