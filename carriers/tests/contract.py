"""What every carrier's adapter promises, whoever the carrier is. A carrier's test subclasses ``CarrierContract``."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from apikeys.http.errors import NotAuthenticated
from carriers.adapters.base import CarrierAdapter
from carriers.adapters.operations import LOGIN, OPERATIONS, Effect, is_read
from carriers.adapters.records import FILE_STARTS
from carriers.adapters.registry import ADAPTERS, adapter_class
from carriers.http.answers import Answer
from carriers.tests.damage import ANY_JSON, assert_storable, damaged
from carriers.types import BookedLabel, Scan, Status, WebhookReport
from carriers.types.errors import (
    CarrierAuthentication,
    CarrierError,
    CarrierRateLimited,
    CarrierRejected,
    CarrierTimeout,
    CarrierUnavailable,
    CarrierUnsupported,
    NotServiceable,
    OutcomeUnknown,
)

PAYLOADS = 10_000 if os.environ.get("WAYBILL_TEST_FULL") == "1" else 1_000
GARBAGE = {
    "nothing": b"",
    "a web page": b"<html><body>Service temporarily unavailable</body></html>",
    "null": b"null",
    "a list": b"[]",
    "an empty object": b"{}",
    "half an object": b'{"data": ',
    "not UTF-8": b'{"data": "\xff\xfe"}',
    "nested too deep": b"[" * 200_000,
    "an absurd number": b'{"total_price": 1e99999999999999999999}',
}
# Operations that answer with booked labels.
SOLD = ("create_label", "create_return", "find_by_reference")
A_FILE = b"%PDF-1.4 a file\n%%EOF"
# Refusals that no carrier documents; its proxies send them nevertheless.
STRANGE_REFUSALS = {
    "a web page": b"<html>Not here</html>",
    "nothing": b"",
    "null": b"null",
    "a list": b"[1]",
    "a bare text": b'"no"',
    "an error that is a text": b'{"error": "no"}',
    "an error without words": b'{"error": {}}',
    "an error of numbers": b'{"error": {"code": 7, "message": [], "field": {}}}',
    "nested too deep": b"[" * 200_000,
    "not UTF-8": b"\xff\xfe\x00",
}


class Replay:
    """A transport that answers from a list and remembers what was sent. The last answer repeats."""

    def __init__(self, *answers: Answer) -> None:
        self.answers, self.sent, self.fetched = list(answers), [], []

    def send(self, operation, method, url, *, headers=None, params=None, json=None):
        self.sent.append(
            {
                "operation": operation,
                "method": method,
                "url": url,
                "headers": dict(headers or {}),
                "params": params,
                "json": json,
            }
        )
        return self._next()

    def fetch(self, operation, url, *, hosts, headers=None):
        """A file, where one is all that is asked; beside another request the carrier just has it."""
        self.fetched.append({"operation": operation, "url": url, "hosts": tuple(hosts)})
        if any(sent["method"] != "FETCH" for sent in self.sent):
            return Answer(200, {}, A_FILE)
        self.sent.append({"operation": operation, "method": "FETCH", "url": url, "headers": dict(headers or {})})
        return self._next()

    def several(self, calls):
        """One after the other, so that the list's order holds."""
        return [self._outcome_of(call) for call in calls]

    def _outcome_of(self, call):
        try:
            return call()
        except CarrierError as error:
            return error

    def _next(self):
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, CarrierError):
            raise answer
        return answer


class Tokens:
    """A source whose tokens are numbered."""

    def __init__(self) -> None:
        self.refused: list[str] = []

    def current(self) -> str:
        return "token-1"

    def renew(self, refused: str) -> str:
        self.refused.append(refused)
        return f"token-{len(self.refused) + 1}"


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def answer(body: Any, status: int = 200) -> Answer:
    """An answer of the carrier: bytes as they are, anything else as JSON."""
    return Answer(status, {}, body if isinstance(body, bytes) else json.dumps(body).encode())


class CarrierContract:
    """Set the class variables, give an example call of each operation, and inherit the promises."""

    adapter: ClassVar[type[CarrierAdapter]]
    fields: ClassVar[Mapping[str, str]]
    # Each HTTP operation of the carrier -> (a call of it, the body of a good answer).
    calls: ClassVar[Mapping[str, tuple[Callable[[CarrierAdapter], Any], Any]]]
    # Bodies of its webhooks.
    events: ClassVar[Sequence[Any]] = ()
    # (HTTP status, body, error class, the carrier's code, the carrier's message) of documented refusals.
    refusals: ClassVar[Sequence[tuple[int, Any, type[CarrierError], str, str]]]
    # (operation, garbage) that this carrier says in earnest: an empty list, where lists are answered.
    in_earnest: ClassVar[Collection[tuple[str, str]]] = ()
    # Each status word that the carrier documents -> ours.
    words: ClassVar[Mapping[str, Status]]

    def scan_of(self, word: str) -> Scan:
        """The scan that the adapter reads from an answer or event with this status word."""
        raise NotImplementedError

    def open(self, *answers: Answer, tokens: Any = None, **fields: str) -> CarrierAdapter:
        """The adapter on a replaying transport (``.http.sent`` is what it asked)."""
        tokens = Tokens() if tokens is None and self.adapter.logs_in() else tokens
        environment = self.adapter.base_urls["sandbox"]
        return self.adapter(
            fields={**self.fields, **fields}, base_url=environment, http=Replay(*answers), tokens=tokens
        )

    def pytest_generate_tests(self, metafunc):
        """Every operation, refusal and status word is a test of its own."""
        if "operation" in metafunc.fixturenames:
            metafunc.parametrize("operation", list(self.calls))
        if "sale" in metafunc.fixturenames:
            metafunc.parametrize("sale", [name for name in SOLD if name in self.calls])
        if "refusal" in metafunc.fixturenames:
            metafunc.parametrize("refusal", self.refusals, ids=[f"{row[0]} {row[3]}" for row in self.refusals])
        if "word" in metafunc.fixturenames:
            metafunc.parametrize("word", list(self.words))
        if "unsupported" in metafunc.fixturenames:
            metafunc.parametrize("unsupported", [name for name in OPERATIONS if name not in {LOGIN, *self.supported()}])

    @classmethod
    def supported(cls):
        return cls.adapter.capabilities()

    def _buys(self):
        return "create_label" if "create_label" in self.calls else next(iter(self.calls))

    def test_it_is_registered_and_found_by_any_spelling(self):
        assert ADAPTERS[self.adapter.slug] is self.adapter
        for name in (self.adapter.slug, self.adapter.name, self.adapter.name.upper(), f" {self.adapter.name} "):
            assert adapter_class(name) is self.adapter

    def test_it_has_both_environments_and_says_which_fields_are_secret(self):
        assert set(self.adapter.base_urls) == {"sandbox", "production"}
        assert self.adapter.base_urls["production"].startswith("https://")
        known = set(self.adapter.credential_fields())
        Draft202012Validator.check_schema(self.adapter.credential_schema)
        Draft202012Validator(self.adapter.credential_schema).validate(dict(self.fields))
        assert set(self.adapter.secret_fields()) <= known
        assert set(self.adapter.required_fields()) <= set(self.fields) <= known

    def test_capabilities_are_what_it_overrides_and_each_has_an_example(self):
        overridden = {name for name in OPERATIONS if name in vars(self.adapter)}
        assert set(self.supported()) == overridden
        assert {name for name in overridden if OPERATIONS[name] is not Effect.LOCAL} == set(self.calls)

    def test_what_it_does_not_offer_says_carrier_and_operation(self, unsupported):
        arguments = {
            "quote": (None,),
            "create_label": (None,),
            "find_by_reference": ("x",),
            "cancel": ("x", ""),
            "track": (["x"],),
            "proof_of_delivery": ("x",),
            "schedule_pickup": (None,),
            "cancel_pickup": ("x", ""),
            "pickup_point": ("x",),
            "label_file": ("https://x.example/1.pdf",),
            "register_warehouse": (None,),
            "create_return": (None,),
            "update_order": (None,),
            "reports": (None,),
            "rotate_credentials": (),
            "parse_webhook": (b"",),
        }
        named = {
            "pickup_points": {"latitude": 0, "longitude": 0, "radius_km": 1, "limit": 1},
            "coverage": {"postal_code": "", "city": "", "country": ""},
            "verify_webhook": {"headers": {}, "body": b"", "now": datetime.now(UTC)},
        }
        adapter = self.open(answer({}))
        with pytest.raises(CarrierUnsupported) as refused:
            getattr(adapter, unsupported)(*arguments.get(unsupported, ()), **named.get(unsupported, {}))
        assert (refused.value.carrier, refused.value.carrier_code) == (self.adapter.name, unsupported)
        assert self.adapter.name in str(refused.value)
        assert unsupported.replace("_", " ") in str(refused.value)
        assert adapter.http.sent == []

    def test_every_documented_status_word_is_understood(self, word):
        scan = self.scan_of(word)
        assert scan.status == self.words[word] != Status.UNKNOWN
        assert scan.code == word
        assert scan.description

    def test_an_unknown_status_word_stays_unknown_and_is_kept(self):
        scan = self.scan_of("eaten_by_the_dog")
        assert (scan.status, scan.code) == (Status.UNKNOWN, "eaten_by_the_dog")

    def test_every_request_names_its_operation(self, operation):
        call, body = self.calls[operation]
        adapter = self.open(answer(body))
        call(adapter)
        assert adapter.http.sent
        assert all(sent["operation"] == operation for sent in adapter.http.sent)

    @pytest.mark.parametrize("kind", [CarrierUnavailable, CarrierTimeout, CarrierRateLimited, OutcomeUnknown])
    def test_errors_of_the_transport_reach_the_caller(self, operation, kind):
        call, _body = self.calls[operation]
        error = kind(carrier=self.adapter.name, carrier_code="503")
        with pytest.raises(kind) as raised:
            call(self.open(error))
        assert type(raised.value) is kind
        assert raised.value.carrier_code == "503"

    def test_a_token_goes_along_and_is_renewed_once(self, operation):
        if not self.adapter.logs_in():
            pytest.skip("the carrier takes a key with each request")
        call, body = self.calls[operation]
        adapter = self.open(answer({}, 401), answer(body))
        call(adapter)
        assert adapter.tokens.refused == ["token-1"]
        sent = [" ".join(request["headers"].values()) for request in adapter.http.sent]
        assert "token-1" in sent[0]
        assert "token-2" in sent[1]

    def test_a_refused_new_token_is_the_credentials_fault(self, operation):
        call, _body = self.calls[operation]
        for body in STRANGE_REFUSALS.values():
            adapter = self.open(answer(body, 401))
            with pytest.raises(CarrierAuthentication):
                call(adapter)
            assert len(adapter.http.sent) == (2 if self.adapter.logs_in() else 1)

    @pytest.mark.parametrize("garbage", list(GARBAGE.values()), ids=list(GARBAGE))
    def test_a_yes_that_cannot_be_read_leaves_a_purchase_in_doubt_and_a_read_undone(self, operation, garbage):
        if (operation, garbage) in self.in_earnest:
            pytest.skip("that is an answer here")
        call, _body = self.calls[operation]
        expected = CarrierUnavailable if is_read(operation) else OutcomeUnknown
        with pytest.raises(expected) as problem:
            call(self.open(answer(garbage)))
        assert type(problem.value) is expected
        assert problem.value.carrier == self.adapter.name

    def test_what_is_sold_or_found_under_another_reference_is_no_answer(self, sale):
        call, foreign = self._with(sale, lambda label: (label.reference, "SOMEBODY-ELSES"))
        with pytest.raises(CarrierUnavailable if is_read(sale) else OutcomeUnknown):
            call(self.open(answer(foreign)))

    def test_a_label_that_is_no_file_of_its_format_is_no_answer(self, sale):
        call, spoilt = self._with(sale, lambda label: (_base64(label.content), _base64(b"no file at all")))
        with pytest.raises(CarrierUnavailable if is_read(sale) else OutcomeUnknown):
            call(self.open(answer(spoilt)))

    def _with(self, sale, change):
        """A call that answers with labels, and its example's answer with one text of a label changed into another."""
        call, body = self.calls[sale]
        found = call(self.open(answer(body)))
        label = found if isinstance(found, BookedLabel) else found[-1]
        assert label.content.startswith(FILE_STARTS[label.label_format] if label.content else b"")
        before, after = change(label)
        if not before or before not in json.dumps(body):
            pytest.skip("it is not in the answer: told by the request, or fetched apart")
        return call, json.loads(json.dumps(body).replace(before, after))

    def test_no_damage_to_an_answer_or_event_breaks_it(self):
        """An answer is read, garbage, or (a purchase) left in doubt; an event is read or says why not. Nothing else."""
        samples = [*self.calls.values(), *self.events]

        @settings(max_examples=PAYLOADS, suppress_health_check=list(HealthCheck))
        @given(st.data())
        def hold(data):
            number = data.draw(st.integers(0, len(samples) - 1))
            if number < len(self.calls):
                self._hold_damaged_answer(list(self.calls)[number], data)
            else:
                self._hold_damaged_event(data.draw(damaged(samples[number])))

        hold()

    def _hold_damaged_answer(self, operation, data):
        call, body = self.calls[operation]
        unreadable = CarrierUnavailable if is_read(operation) else OutcomeUnknown
        try:
            found = call(self.open(answer(data.draw(damaged(body)))))
        except CarrierError as error:
            assert type(error) is unreadable or (type(error) is NotServiceable and operation == "quote")
            assert_storable(error.body())
        else:
            assert_storable(found)

    def _hold_damaged_event(self, event):
        try:
            news = self.open(answer({})).parse_webhook(json.dumps(event).encode())
        except ValueError as error:
            assert str(error)
        else:
            assert_storable(news)

    def test_a_refusal_of_any_content_is_one_of_ours(self):
        @given(st.sampled_from([301, 400, 403, 404, 409, 422]), ANY_JSON | st.binary(max_size=50))
        def hold(status, body):
            call, _good = self.calls[self._buys()]
            with pytest.raises(CarrierError) as refused:
                call(self.open(answer(body if isinstance(body, bytes) else {"error": body, "message": body}, status)))
            assert_storable(refused.value.body())

        hold()

    def test_any_bytes_are_news_or_a_value_error(self):
        if "parse_webhook" not in self.supported():
            pytest.skip("the carrier sends none")

        @given(ANY_JSON.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=200))
        def hold(body):
            try:
                assert isinstance(self.open(answer({})).parse_webhook(body), WebhookReport)
            except ValueError as error:
                assert str(error)

        hold()

    def test_every_documented_refusal_keeps_the_carriers_words(self, refusal):
        status, body, kind, code, message = refusal
        call, _body = self.calls[self._buys()]
        with pytest.raises(CarrierError) as problem:
            call(self.open(answer(body, status)))
        assert type(problem.value) is kind
        assert (problem.value.carrier, problem.value.carrier_code) == (self.adapter.name, code)
        assert problem.value.carrier_message == message

    @pytest.mark.parametrize("body", list(STRANGE_REFUSALS.values()), ids=list(STRANGE_REFUSALS))
    @pytest.mark.parametrize("status", [400, 403, 404, 409, 418, 422])
    def test_a_refusal_of_any_shape_is_a_refusal_with_what_the_carrier_said(self, operation, status, body):
        call, _body = self.calls[operation]
        with pytest.raises(CarrierRejected) as problem:
            call(self.open(answer(body, status)))
        assert problem.value.carrier_code == str(status)
        assert "\0" not in problem.value.carrier_message
        readable = body[:200].decode("utf-8", "replace").replace("\0", "\N{REPLACEMENT CHARACTER}")
        assert problem.value.carrier_message.startswith(readable)

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 408])
    def test_a_write_that_a_gateway_answered_may_have_happened(self, operation, status):
        call, _body = self.calls[operation]
        with pytest.raises(CarrierRejected if is_read(operation) else OutcomeUnknown):
            call(self.open(answer({}, status)))

    @pytest.mark.parametrize(
        "headers", [{}, {"x-signature": "ü"}, {"authorization": "Bearer x"}], ids=["none", "odd", "other"]
    )
    def test_an_unsigned_webhook_is_refused(self, headers):
        if "verify_webhook" not in self.supported():
            pytest.skip("the carrier signs nothing")
        with pytest.raises(NotAuthenticated):
            self.open(answer({})).verify_webhook(headers=headers, body=b"{}", now=datetime.now(UTC))

    @pytest.mark.parametrize("garbage", list(GARBAGE.values()), ids=list(GARBAGE))
    def test_a_webhook_that_cannot_be_read_says_why(self, garbage):
        if "parse_webhook" not in self.supported():
            pytest.skip("the carrier sends none")
        with pytest.raises(ValueError, match=r"\w+"):
            self.open(answer({})).parse_webhook(garbage)
