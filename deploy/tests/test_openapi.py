"""What the OpenAPI document promises, asked of a running installation by schemathesis.

Every operation comes from the document by itself. A new path parameter needs one line in ``PATH``; a value that the
document cannot describe (an id that exists, an order that has no label yet) one in ``FIELDS`` or ``BODIES``.
"""

import contextlib
import itertools
import os
import re
import uuid
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

from config.management.commands.seed_demo import OWN_CREDENTIAL
from deploy.tests import things
from deploy.tests.system import System
from deploy.tests.things import CARRIER, Things

pytestmark = [pytest.mark.system, pytest.mark.once]
KEY = {"X-API-Key": "test-api-key"}
CASES = 5000 if os.environ.get("WAYBILL_TEST_FULL") == "1" else 500
POSITIVE, NEGATIVE, STATEFUL = CASES // 2, CASES * 4 // 10, CASES // 10
STEPS = 5
LEAST_ACCEPTED = 0.6
RUN = hypothesis.settings(
    derandomize=True, database=None, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
)
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]

# What stands for a parameter of a path. The longest key that is part of "METHOD /path" counts.
PATH: dict[str, Callable[[Things], str]] = {
    "{carrier}": lambda _: CARRIER,
    "{key_id}": things.api_key,
    "{credential_id}": lambda _: str(OWN_CREDENTIAL),
    "{member_id}": things.member,
    "{own_credential_id}": lambda _: str(OWN_CREDENTIAL),
    "DELETE /api/v1/courier-credentials/{own_credential_id}": things.indian_account,
    "{carrier}/reports": lambda _: "velocity",
    "PATCH /api/v1/shipments/{name}": things.indian_shipment,
    "{warehouse_id}": things.warehouse,
    "{warehouse_id}/registrations": things.indian_warehouse,
    "{name}": things.shipment,
    "{name}/proof-of-delivery": things.delivered,
    "{name}/manifest": things.indian_shipment,
    "{pickup}": things.pickup,
    "{point_id}": lambda _: "PP-12345",
}
# Operations that use up what they name: each call gets a thing of its own.
DESTRUCTIVE = re.compile(r"^DELETE |/(cancel|revoke|regenerate|logout)\b")


def _future(text: str | None) -> str | None:
    """The same time of a year that is to come."""
    return f"{2100 + int(text[:4]) % 50}{text[4:]}" if text else None


def _past(text: str) -> str:
    """The same time of a year that is over."""
    return f"{1970 + int(text[:4]) % 50}{text[4:]}"


def _rounded(places: int, most: float = 1e15) -> Callable[[Things, Any], Any]:
    """No binary fraction is an exact multiple of a decimal one."""
    return lambda world, drawn: min(round(drawn, places), most) if isinstance(drawn, float) else drawn


# What a field of a body, a query or a header becomes, wherever it stands, given what was drawn for it.
FIELDS: dict[str, Callable[[Things, Any], Any]] = {
    "carrier": lambda world, drawn: CARRIER,
    "order_id": lambda world, drawn: f"{str(drawn)[:60]}{uuid.uuid4().hex}",
    "tracking_number": lambda world, drawn: world.some(things.tracking_number),
    "tracking_numbers": lambda world, drawn: sorted({world.some(things.tracking_number) for _ in (drawn or ())[:3]}),
    "shipment_ids": lambda world, drawn: [world.some(things.shipment) for _ in (drawn or ())[:3]],
    "pickup_point_id": lambda world, drawn: "PP-12345",
    "credentials": lambda world, drawn: things.OWN_ACCOUNT,
    "environment": lambda world, drawn: "sandbox",
    "currency": lambda world, drawn: ("USD", "inr")[len(str(drawn)) % 2],
    "email": lambda world, drawn: f"{uuid.uuid4().hex}@example.com",
    "Idempotency-Key": lambda world, drawn: f"{drawn[:200]}{uuid.uuid4().hex}",
    # The simulated carrier's own limits.
    "service_type": lambda world, drawn: ("standard", "express")[len(str(drawn)) % 2],
    "label_format": lambda world, drawn: "PDF",
    "label_size": lambda world, drawn: "4x6",
    "warehouse_id": lambda world, drawn: world.some(things.warehouse),
    "carriers": lambda world, drawn: [],
    "cod_amount": _rounded(2, most=1e6),
    "unit_price": _rounded(2, most=1e4),
    "quantity": lambda world, drawn: min(drawn, 10) if isinstance(drawn, int) else drawn,
    "discount": lambda world, drawn: 0,
    "tax": _rounded(2, most=1e6),
    "weight_kg": _rounded(3, most=30),
    "total_weight_kg": _rounded(3),
    "weight": _rounded(3),
    "length_cm": _rounded(2),
    "width_cm": _rounded(2),
    "height_cm": _rounded(2),
    "declared_value": _rounded(2),
}


def checkpoint(world: Things, body: dict[str, Any]) -> dict[str, Any]:
    """Of a unit that may take this status next, at a time that is past."""
    name = things.unit(world, before=body["status"].lower())
    return body | {"tracking_id": name, "timestamp": _past(body["timestamp"])}


def collection(world: Things, body: dict[str, Any]) -> dict[str, Any]:
    """Within a window that ends after it starts."""
    start, end = sorted((body["pickup_window_start"], body["pickup_window_end"]))
    return body | {"pickup_window_start": start, "pickup_window_end": end if end > start else "23:59"}


def key(world: Things, body: dict[str, Any]) -> dict[str, Any]:
    """That ends in the future, belongs to no store and stays within the plan."""
    wanted = {
        "store_id": None,
        "expires_at": _future(body.get("expires_at")),
        "allowed_ips": ["203.0.113.7", "2001:db8::/32"][: len(body.get("allowed_ips", ()))],
        "per_minute": min(body.get("per_minute") or 1, 60),
        "per_hour": min(body.get("per_hour") or 1, 3600),
    }
    return body | {name: value for name, value in wanted.items() if name in body}


def person(world: Things, body: dict[str, Any]) -> dict[str, Any]:
    """Who is a member of one merchant and has no second factor."""
    return body | things.PERSON | {name: "" for name in ("otp", "merchant") if name in body}


def refresh(world: Things, body: dict[str, Any]) -> dict[str, Any]:
    """A token that was not used yet."""
    return body | {"refresh": things.refresh_token(world)}


def period(world: Things, query: dict[str, Any]) -> dict[str, Any]:
    """Of at most a year, which ends after it starts."""
    days = {name: f"2026-{text[5:]}" for name, text in query.items() if name in ("from", "to") and text[5:] != "02-29"}
    rest = {name: value for name, value in query.items() if name not in ("from", "to")}
    return rest | (dict(zip(("from", "to"), sorted(days.values()), strict=False)) if len(days) == 2 else {})


def filters(world: Things, query: dict[str, Any]) -> dict[str, Any]:
    """Of no store, for there is none, and from earlier to later."""
    kept = {name: value for name, value in query.items() if name != "store"}
    for name in ("created", "updated"):
        if f"{name}_from" in kept and f"{name}_to" in kept:
            moments = (f"{2000 + 4 * place}{kept[f'{name}_{end}'][4:]}" for place, end in enumerate(("from", "to")))
            kept |= dict(zip((f"{name}_from", f"{name}_to"), moments, strict=True))
    return kept


def paid(world: Things, body: dict[str, Any]) -> dict[str, Any]:
    """An amount to collect goes with cash on delivery and with nothing else."""
    if body.get("payment_method") == "cod":
        return body | {"cod_amount": body.get("cod_amount") or 1}
    left = {name: value for name, value in body.items() if name != "cod_amount"}
    return left or {"payment_method": "prepaid"}


def tracked(world: Things, body: dict[str, Any]) -> dict[str, Any]:
    """One number or many, not both and not none."""
    if "tracking_numbers" in body:
        return {name: value for name, value in body.items() if name != "tracking_number"}
    return {"tracking_number": world.some(things.tracking_number)} | body


def return_label(world: Things, body: dict[str, Any]) -> dict[str, Any]:
    """Of a shipment whose carrier takes returns, from where it went to where it came from."""
    free = {name: body[name] for name in ("reason", "metadata") if name in body}
    return free | {"shipment_id": things.indian_shipment(world)}


def indicated(world: Things, wanted: dict[str, Any]) -> dict[str, Any]:
    """A service indicator stands in S10 numbers alone."""
    return wanted | ({"number_format": "s10"} if "service_indicator" in wanted else {})


def all_indicated(world: Things, body: dict[str, Any]) -> dict[str, Any]:
    """The same for a list."""
    return body | {"numbers": [indicated(world, one) for one in body["numbers"]]}


def india(world: Things, body: dict[str, Any]) -> dict[str, Any]:
    """Places that the carrier goes to, in its money."""
    return paid(world, body) | {
        "carrier": "velocity",
        "currency": "INR",
        "origin": {"postal_code": "560102", "country": "IN"},
        "destination": {"postal_code": "400001", "country": "IN"},
    }


def place(world: Things, body: dict[str, Any]) -> dict[str, Any]:
    """Under a name that no other has."""
    return body | {"name": f"Warehouse {uuid.uuid4().hex}"}


def changed(world: Things, body: dict[str, Any]) -> dict[str, Any]:
    """To a place and to parcels that the carrier takes."""
    parcel = {"weight_kg": 1, "length_cm": 10, "width_cm": 10, "height_cm": 10}
    taken = {"destination": things.INDIAN_PLACE, "packages": [parcel]}
    known = ("payment_method", "cod_amount", "items")
    return paid(world, {name: taken.get(name, body[name]) for name in (*taken, *known) if name in body})


def registration(world: Things, body: dict[str, Any]) -> dict[str, Any]:
    """At the carrier that keeps a list of them."""
    return body | {"carrier": "velocity"}


def new_account(world: Things, body: dict[str, Any]) -> dict[str, Any]:
    """At a carrier where the merchant has none."""
    world.system.api("DELETE", f"/api/v1/courier-credentials/{things.indian_account(world)}")
    return {"carrier": "velocity", "environment": "sandbox", "credentials": things.INDIAN_ACCOUNT}


def report(world: Things, query: dict[str, Any]) -> dict[str, Any]:
    """One that the carrier has of the merchant's own account, over days that it tells at once."""
    things.indian_account(world)
    found = {"kind": "orders", "since": "2026-01-01", "until": "2026-01-31"}
    return found | ({"carrier": "velocity"} if "carrier" in query else {})


Change = Callable[[Things, dict[str, Any]], dict[str, Any]]
# What a whole body, or a whole query, becomes, by "METHOD /path".
BODIES: dict[str, Change] = {
    r"POST /api/v1/checkpoints$": checkpoint,
    r"POST /api/v1/pickups$": collection,
    r"POST /api/v1/(labels|quotes)$": paid,
    r"POST /api/v1/tracking$": tracked,
    r"POST /api/v1/returns$": return_label,
    r"POST /api/v1/tracking-numbers$": all_indicated,
    r"POST /api/v1/serviceability$": india,
    r"(POST|PUT) /api/v1/warehouses(/{warehouse_id})?$": place,
    r"/registrations$": registration,
    r"PATCH /api/v1/shipments/{name}$": changed,
    r"POST /api/v1/courier-credentials$": new_account,
    r"/api-keys(/{key_id})?$": key,
    r"POST /api/v1/auth/token$": person,
    r"/auth/token/(refresh|logout)$": refresh,
}
QUERIES: dict[str, Change] = {
    r"/reports$": report,
    r"GET /next-tracking-number$": indicated,
    r"GET /api/v1/usage$": period,
    r"GET /api/v1/analytics/performance$": period,
    r"GET /api/v1/shipments$": filters,
}
# What is sent besides the key, given the bytes of the body.
PROOFS: dict[str, Callable[[bytes], dict[str, str]]] = {r"POST /webhooks/": things.signature}
# What is put right after a call, lest it spoil the next ones.
AFTERWARDS: dict[str, Callable[[Things], None]] = {
    r"POST .*/credentials$": Things.restore_account,
    r"PUT .*/courier-credentials/": Things.restore_account,
    r"DELETE .*/courier-credentials/": things.indian_account,  # what was booked with it can be asked for again
}


@dataclass
class Tally:
    """What was sent and what was wrong with the answers."""

    sent: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    accepted: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    refusals: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    problems: list[str] = field(default_factory=list)

    def add(self, case: Case, response: Any) -> None:
        """Count an answer and check it against the document."""
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

    def fail_if_wrong(self) -> None:
        """All problems of a kind are shown once."""
        shown = list(dict.fromkeys(self.problems))
        assert not shown, f"{len(self.problems)} answers differ from the document:\n\n" + "\n\n".join(shown[:10])


class Caller:
    """Sends drawn cases with real things in the place of drawn ids."""

    def __init__(self, system: System) -> None:
        self.world, self.tally = Things(system), Tally()
        self.session = requests.Session()
        self.session.trust_env = False
        self.schema = _document(system, allow_x00=False)
        self.operations = _operations(self.schema)
        self.token = things.access_token(self.world)
        # The key that we call with, its member, its account: whatever was there before us stays as it is.
        self.protected = self._what_is_there(system)

    def send(self, case: Case) -> Any:
        """Make the case a real one, send it, judge the answer."""
        self.make_real(case)
        response = case.call(**self.how(case))
        self.judge(case, response)
        return response

    def judge(self, case: Case, response: Any) -> None:
        """Check an answer, and put right what the call may have spoilt."""
        self.tally.add(case, response)
        for put_right in _matching(AFTERWARDS, case.operation.label):
            put_right(self.world)

    def how(self, case: Case) -> dict[str, Any]:
        """The key (an owner's token where no key opens), and the carrier's proof where one is needed."""
        ways = case.operation.definition.raw.get("security", [])
        headers = {"Authorization": f"Bearer {self.token}"} if ways == [{"Bearer": []}] else dict(KEY)
        for prove in _matching(PROOFS, case.operation.label):
            sent = requests.Request(**case.as_transport_kwargs(base_url="http://localhost")).prepare().body or b""
            headers |= prove(sent if isinstance(sent, bytes) else sent.encode())
        return {"headers": headers, "session": self.session, "timeout": 60}

    def make_real(self, case: Case, learned: frozenset[str] = frozenset()) -> None:
        """Replace what was drawn, in every part that was not made invalid on purpose.

        ``learned`` are the parameters of the path that come from an earlier answer: they stay.
        """
        label, parts = case.operation.label, case.meta.components
        if not _is_negated(parts, ParameterLocation.PATH):
            for name in [name for name in case.path_parameters if name not in learned]:
                case.path_parameters[name] = self.stand_in(label, name)
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

    def stand_in(self, label: str, name: str) -> str:
        """A thing's id for a path parameter."""
        return self.world.some(_maker(label, name), fresh=bool(DESTRUCTIVE.search(label)))

    def replaced(self, value: Any, name: str = "") -> Any:
        """``FIELDS`` applied to a value and all that is in it."""
        if change := FIELDS.get(name):
            return change(self.world, value)
        if isinstance(value, dict):
            return {key: self.replaced(inner, key) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.replaced(inner) for inner in value]
        return value

    def spare(self, case: Case) -> None:
        """Keep a case that changes something away from what was there before us."""
        if case.operation.method.upper() == "GET":
            return
        for name, value in case.path_parameters.items():
            if str(value) in self.protected:
                case.path_parameters[name] = self.stand_in(case.operation.label, name)

    def _what_is_there(self, system: System) -> set[str]:
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
    assert fitting, f"{label}: no fixture for {{{name}}}; add a line to PATH in {__file__}"
    return PATH[max(fitting, key=len)]


def _is_negated(parts: Any, location: ParameterLocation) -> bool:
    return location in parts and parts[location].mode.is_negative


def drawn(operation: Any, mode: GenerationMode, count: int) -> list[Case]:
    """The same cases each time; fewer where there are no more, none where nothing can be made invalid."""
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
    caller.world.kept.clear()  # another test may have used up what it learned of
    yield
    assert caller.world.ask("GET", "/api/v1/shipments"), "the key that we call with still opens"


def test_every_path_parameter_has_a_fixture(caller):
    for operation in caller.operations:
        for name in re.findall(r"{(\w+)}", operation.path):
            _maker(operation.label, name)


def test_valid_requests_are_accepted_and_answered_as_documented(caller):
    share = -(-POSITIVE // len(caller.operations))
    for operation in caller.operations:
        cases = drawn(operation, GenerationMode.POSITIVE, share)
        assert cases, f"{operation.label}: no request is valid by the document"
        for case in itertools.islice(itertools.cycle(cases), share):
            caller.send(case)
    tally = caller.tally
    assert sum(tally.sent.values()) >= POSITIVE
    tally.fail_if_wrong()
    low = [
        f"{label}: {tally.accepted[label]} of {sent}, for one {tally.refusals[label][0]}"
        for label, sent in tally.sent.items()
        if tally.accepted[label] < sent * LEAST_ACCEPTED
    ]
    assert not low, "valid by the document, yet mostly refused:\n" + "\n".join(low)


def test_invalid_requests_are_refused_as_documented(caller):
    operations = _operations(_document(caller.world.system, allow_x00=True))
    able = [one for one in operations if drawn(one, GenerationMode.NEGATIVE, 1)]
    share = -(-NEGATIVE // len(able))
    for operation in able:
        for case in itertools.islice(itertools.cycle(drawn(operation, GenerationMode.NEGATIVE, share)), share):
            caller.send(case)
    caller.tally.fail_if_wrong()


def test_without_a_key_nothing_is_told(caller):
    keyed = [one for one in caller.operations if {"Bearer": []} in one.definition.raw.get("security", [])]
    for operation in keyed:
        case = drawn(operation, GenerationMode.POSITIVE, 1)[0]
        caller.make_real(case)
        response = case.call(session=caller.session, timeout=60)
        assert response.status_code == 401, operation.label
        caller.tally.add(case, response)
    assert keyed
    caller.tally.fail_if_wrong()


def test_what_one_operation_answers_the_next_understands(caller):
    class Walk(caller.schema.as_state_machine()):
        def step(self, input):
            caller.make_real(input.case, frozenset(name for _, name in input.applied_parameters if name))
            caller.spare(input.case)
            return super().step(input)

        def get_call_kwargs(self, case):
            return caller.how(case)

        def validate_response(self, response, case, **_):
            caller.judge(case, response)

    scenarios = -(-STATEFUL // STEPS)
    Walk.run(settings=hypothesis.settings(RUN, max_examples=scenarios, stateful_step_count=STEPS))
    assert sum(caller.tally.sent.values()) > scenarios
    caller.tally.fail_if_wrong()
