"""The contract of every carrier's adapter. The tests of a carrier subclass ``CarrierContract``."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from apikeys.http.errors import NotAuthenticated
from carriers.adapters.base import CarrierAdapter
from carriers.adapters.operations import LOGIN, OPERATIONS, Effect, is_read
from carriers.adapters.refusals import find_refusal
from carriers.adapters.registry import ADAPTERS, adapter_class
from carriers.adapters.values import FILE_STARTS
from carriers.http.answers import Answer
from carriers.tests.damage import (
    ANY_JSON,
    GARBAGE,
    REFUSALS_IN_SUCCESS,
    STRANGE_REFUSALS,
    assert_storable,
    damaged,
    identity,
    is_needed,
    normal,
    replaced,
    skipped,
    value_paths,
    with_element,
    with_numbers_as_texts,
    with_only,
    without_raw,
)
from carriers.tests.replay import FailingNetwork, Replay, Tokens, answer
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
# Operations that return booked labels.
WITH_LABELS = ("create_label", "create_return", "find_by_reference")
# Arguments for calls of operations that an adapter does not have.
ARGUMENTS = {
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
    "parse_webhook": (b"",),
}
KEYWORDS = {
    "pickup_points": {"latitude": 0, "longitude": 0, "radius_km": 1, "limit": 1},
    "coverage": {"postal_code": "", "city": "", "country": ""},
    "verify_webhook": {"headers": {}, "body": b"", "now": datetime.now(UTC)},
}


def unreadable(operation: str) -> type[CarrierError]:
    """Return the error of an operation whose response cannot be read."""
    return CarrierUnavailable if is_read(operation) else OutcomeUnknown


class CarrierContract:
    """Set the class variables, with a sample call of each operation, and inherit the tests."""

    adapter: ClassVar[type[CarrierAdapter]]
    fields: ClassVar[Mapping[str, str]]
    # Each operation that sends a request -> (a call of it, the body of a successful response).
    calls: ClassVar[Mapping[str, tuple[Callable[[CarrierAdapter], Any], Any]]]
    # Bodies of its webhooks.
    events: ClassVar[Sequence[Any]] = ()
    # (HTTP status, body, error class, the carrier's code, the carrier's message) of documented refusals.
    refusals: ClassVar[Sequence[tuple[int, Any, type[CarrierError], str, str]]]
    # (operation, keys of the list) of each list in its successful response of which the elements are independent.
    lists: ClassVar[Sequence[tuple[str, Sequence[str | int]]]] = ()
    # Each operation -> the paths of the fields of its successful response that it needs; "*" is any key or number.
    needed: ClassVar[Mapping[str, Collection[str]]]
    # (operation, body) of garbage that is a valid response of this carrier, such as an empty list.
    valid_garbage: ClassVar[Collection[tuple[str, bytes]]] = ()
    # Each documented status word -> our status.
    words: ClassVar[Mapping[str, Status]]

    def scan_of(self, word: str) -> Scan:
        """Return the scan that the adapter reads from a response or webhook with this status word."""
        raise NotImplementedError

    def open(self, *answers: Answer | CarrierError, tokens: Any = None, **fields: str) -> CarrierAdapter:
        """Return the adapter on a replaying transport; ``.http.sent`` has its requests."""
        tokens = Tokens() if tokens is None and self.adapter.logs_in() else tokens
        base_url = self.adapter.base_urls["sandbox"]
        return self.adapter(fields={**self.fields, **fields}, base_url=base_url, http=Replay(*answers), tokens=tokens)

    def pytest_generate_tests(self, metafunc):
        """Make a test of every operation, refusal and status word."""
        supported = self.adapter.capabilities()
        login = [LOGIN] if self.adapter.logs_in() else []
        parameters = {
            "operation": list(self.calls),
            "requested": [*self.calls, *login],
            "listing": [(operation, list(path)) for operation, path in self.lists],
            "selling": [name for name in WITH_LABELS if name in self.calls],
            "word": list(self.words),
            "unsupported": [name for name in OPERATIONS if name not in {LOGIN, *supported}],
        }
        for name, values in parameters.items():
            if name in metafunc.fixturenames:
                metafunc.parametrize(name, values)
        if "refusal" in metafunc.fixturenames:
            metafunc.parametrize("refusal", self.refusals, ids=[f"{row[0]} {row[3]}" for row in self.refusals])

    def call_of(self, operation: str) -> Callable[[CarrierAdapter], Any]:
        """Return the sample call of an operation; a login has none in ``calls``."""
        return self.calls[operation][0] if operation in self.calls else lambda adapter: adapter.fetch_token()

    # Registration

    def test_adapter_is_registered_and_found_by_any_spelling(self):
        assert ADAPTERS[self.adapter.slug] is self.adapter
        for name in (self.adapter.slug, self.adapter.name, self.adapter.name.upper(), f" {self.adapter.name} "):
            assert adapter_class(name) is self.adapter

    def test_adapter_has_both_environments_and_a_schema_of_its_credential(self):
        assert set(self.adapter.base_urls) == {"sandbox", "production"}
        assert self.adapter.base_urls["production"].startswith("https://")
        known = set(self.adapter.credential_fields())
        Draft202012Validator.check_schema(self.adapter.credential_schema)
        Draft202012Validator(self.adapter.credential_schema).validate(dict(self.fields))
        assert set(self.adapter.secret_fields()) <= known
        assert set(self.adapter.required_fields()) <= set(self.fields) <= known

    def test_capabilities_are_the_overridden_operations_and_each_has_a_sample(self):
        overridden = {name for name in OPERATIONS if name in vars(self.adapter)}
        assert set(self.adapter.capabilities()) == overridden
        assert {name for name in overridden if OPERATIONS[name] is not Effect.LOCAL} == set(self.calls)

    def test_rates_are_of_operations(self):
        for name, rate in self.adapter.rates.items():
            limited = rate.operations or ((name,) if name != "*" else ())
            assert all(OPERATIONS[operation] is not Effect.LOCAL for operation in limited)

    def test_unsupported_operation_names_carrier_and_operation_and_sends_nothing(self, unsupported):
        adapter = self.open(answer({}))
        with pytest.raises(CarrierUnsupported) as refused:
            getattr(adapter, unsupported)(*ARGUMENTS.get(unsupported, ()), **KEYWORDS.get(unsupported, {}))
        assert (refused.value.carrier, refused.value.carrier_code) == (self.adapter.name, unsupported)
        assert self.adapter.name in str(refused.value)
        assert unsupported.replace("_", " ") in str(refused.value)
        assert adapter.http.sent == []

    # Effects

    def test_every_request_names_its_operation(self, operation):
        call, body = self.calls[operation]
        adapter = self.open(answer(body))
        call(adapter)
        assert adapter.http.sent
        assert all(sent["operation"] == operation for sent in adapter.http.sent)

    @pytest.mark.parametrize(
        ("failure", "read_error"),
        [(requests.ConnectionError("reset"), CarrierUnavailable), (requests.ReadTimeout("late"), CarrierTimeout)],
        ids=["connection lost", "no response in time"],
    )
    def test_only_reads_are_repeated_after_a_failure_that_leaves_the_outcome_open(
        self, requested, failure, read_error, settings
    ):
        settings.CARRIER_MAX_RETRIES, settings.CARRIER_RETRY_DELAY_S = 3, 0
        assert OPERATIONS[requested] is not Effect.LOCAL
        with FailingNetwork(failure) as network, pytest.raises(CarrierError) as problem:
            self.call_of(requested)(self._on(network))
        assert type(problem.value) is (read_error if is_read(requested) else OutcomeUnknown)
        # All the time is used up after a timeout.
        assert network.attempts == (4 if is_read(requested) and read_error is CarrierUnavailable else 1)

    def test_every_operation_is_repeated_if_nothing_was_sent(self, requested, settings):
        settings.CARRIER_MAX_RETRIES, settings.CARRIER_RETRY_DELAY_S = 3, 0
        with FailingNetwork(requests.ConnectTimeout("refused")) as network, pytest.raises(CarrierError) as problem:
            self.call_of(requested)(self._on(network))
        assert type(problem.value) is CarrierUnavailable
        assert network.attempts == 4

    def _on(self, network):
        http = network.transport(self.adapter, self.fields)
        tokens = Tokens() if self.adapter.logs_in() else None
        return self.adapter(fields=self.fields, base_url=self.adapter.base_urls["sandbox"], http=http, tokens=tokens)

    @pytest.mark.parametrize("kind", [CarrierUnavailable, CarrierTimeout, CarrierRateLimited, OutcomeUnknown])
    def test_errors_of_the_transport_reach_the_caller(self, operation, kind):
        call, _body = self.calls[operation]
        error = kind(carrier=self.adapter.name, carrier_code="503")
        with pytest.raises(kind) as raised:
            call(self.open(error))
        assert type(raised.value) is kind
        assert raised.value.carrier_code == "503"

    # Tokens

    def test_token_is_sent_and_renewed_once(self, operation):
        if not self.adapter.logs_in():
            pytest.skip("the carrier takes a key with each request")
        call, body = self.calls[operation]
        adapter = self.open(answer({}, 401), answer(body))
        call(adapter)
        assert adapter.tokens.refused == ["token-1"]
        sent = [" ".join(request["headers"].values()) for request in adapter.http.sent]
        assert "token-1" in sent[0]
        assert "token-2" in sent[1]

    def test_refused_new_token_is_an_error_of_the_credential(self, operation):
        call, _body = self.calls[operation]
        for body in STRANGE_REFUSALS.values():
            adapter = self.open(answer(body, 401))
            with pytest.raises(CarrierAuthentication):
                call(adapter)
            assert len(adapter.http.sent) == (2 if self.adapter.logs_in() else 1)

    # Responses

    @pytest.mark.parametrize("garbage", list(GARBAGE.values()), ids=list(GARBAGE))
    def test_unreadable_success_leaves_a_write_in_doubt_and_fails_a_read(self, operation, garbage):
        if (operation, garbage) in self.valid_garbage:
            pytest.skip("a valid response of this carrier")
        call, _body = self.calls[operation]
        with pytest.raises(unreadable(operation)) as problem:
            call(self.open(answer(garbage)))
        assert type(problem.value) is unreadable(operation)
        assert problem.value.carrier == self.adapter.name

    def test_label_of_another_reference_is_unreadable(self, selling):
        call, foreign = self._with_changed_label(selling, lambda label: (label.reference, "ANOTHER-REFERENCE"))
        with pytest.raises(unreadable(selling)):
            call(self.open(answer(foreign)))

    def test_label_file_that_is_not_of_its_format_is_unreadable(self, selling):
        call, spoilt = self._with_changed_label(
            selling,
            lambda label: (
                base64.b64encode(label.content).decode(),
                base64.b64encode(b"not a label file").decode(),
            ),
        )
        with pytest.raises(unreadable(selling)):
            call(self.open(answer(spoilt)))

    def _with_changed_label(self, selling, change):
        """Return a sample call and its response with one text of a label changed: ``change(label)`` -> (old, new)."""
        call, body = self.calls[selling]
        found = call(self.open(answer(body)))
        label = found if isinstance(found, BookedLabel) else found[-1]
        assert label.content.startswith(FILE_STARTS[label.label_format] if label.content else b"")
        before, after = change(label)
        if not before or before not in json.dumps(body):
            pytest.skip("the response does not contain it")
        return call, json.loads(json.dumps(body).replace(before, after))

    def test_field_that_is_only_good_to_know_decides_nothing(self, operation):
        call, body = self.calls[operation]
        if isinstance(body, bytes):
            pytest.skip("the response is a file")
        before = identity(call(self.open(answer(body))))
        optional = [path for path in value_paths(body) if not is_needed(path, self.needed.get(operation, ()))]
        for path in optional:
            for junk in (None, [{}], {"x": [1]}, "\N{SNOWMAN}", True, -7.5, "x" * 5_000):
                found = call(self.open(answer(replaced(body, path, junk))))
                assert_storable(found)
                assert identity(found) == before, path

    def test_numbers_may_be_texts(self, operation):
        call, body = self.calls[operation]
        if isinstance(body, bytes):
            pytest.skip("the response is a file")
        written = call(self.open(answer(with_numbers_as_texts(body))))
        assert without_raw(written) == without_raw(call(self.open(answer(body))))

    def test_unreadable_element_costs_only_itself_unless_none_is_readable(self, listing):
        operation, path = listing
        call, body = self.calls[operation]
        before, count = normal(call(self.open(answer(body)))), skipped(self.adapter.slug, operation)
        for number, junk in enumerate((None, "secret", [], 7), start=1):
            assert normal(call(self.open(answer(with_element(body, path, junk))))) == before
            assert skipped(self.adapter.slug, operation) == count + number
        with pytest.raises(unreadable(operation)):
            call(self.open(answer(with_only(body, path, [7, "secret"]))))

    def test_unreadable_booking_fails_the_lookup(self):
        call, body = self.calls["find_by_reference"]
        for path in value_paths(body):
            if is_needed(path, self.needed["find_by_reference"]):
                with pytest.raises(CarrierUnavailable):
                    call(self.open(answer(replaced(body, path, ["x"]))))

    def test_unreadable_event_costs_only_itself(self):
        count = skipped(self.adapter.slug, "parse_webhook")
        for number, event in enumerate(self.events, start=1):
            adapter = self.open(answer({}))
            alone = adapter.parse_webhook(json.dumps(event).encode())
            assert adapter.parse_webhook(json.dumps([event, {"secret": 1}]).encode()) == alone
            assert skipped(self.adapter.slug, "parse_webhook") == count + number

    @pytest.mark.parametrize("body", list(REFUSALS_IN_SUCCESS.values()), ids=list(REFUSALS_IN_SUCCESS))
    def test_refusal_inside_a_success_has_the_carriers_words(self, requested, body):
        with pytest.raises(CarrierError) as refused:
            self.call_of(requested)(self.open(answer(body)))
        is_purchase = OPERATIONS[requested] is Effect.PURCHASE
        login = CarrierAuthentication if requested == LOGIN else CarrierRejected
        if requested == "label_file":
            assert type(refused.value) is CarrierUnavailable
        else:
            assert type(refused.value) is (OutcomeUnknown if is_purchase else login)
            assert refused.value.carrier_message == "Insufficient balance"
            assert not refused.value.retryable

    def test_damaged_response_or_webhook_is_read_or_refused_as_documented(self):
        samples = [*self.calls.values(), *self.events]

        @settings(max_examples=PAYLOADS, suppress_health_check=list(HealthCheck))
        @given(st.data())
        def check(data):
            number = data.draw(st.integers(0, len(samples) - 1))
            if number < len(self.calls):
                self._check_damaged_response(list(self.calls)[number], data)
            else:
                self._check_damaged_webhook(data.draw(damaged(samples[number])))

        check()

    def _check_damaged_response(self, operation, data):
        call, body = self.calls[operation]
        try:
            body = data.draw(damaged(body))
            found = call(self.open(answer(body)))
        except CarrierError as error:
            expected = {unreadable(operation)} | ({NotServiceable} if operation == "quote" else set())
            assert type(error) in expected or (type(error) is CarrierRejected and find_refusal(body))
            assert_storable(error.body())
        else:
            assert_storable(found)

    def _check_damaged_webhook(self, event):
        try:
            report = self.open(answer({})).parse_webhook(json.dumps(event).encode())
        except ValueError as error:
            assert str(error)
        else:
            assert_storable(report)

    # Refusals

    def _call_of_purchase(self):
        return self.calls["create_label" if "create_label" in self.calls else next(iter(self.calls))][0]

    def test_documented_refusal_keeps_the_carriers_code_and_message(self, refusal):
        status, body, kind, code, message = refusal
        with pytest.raises(CarrierError) as problem:
            self._call_of_purchase()(self.open(answer(body, status)))
        assert type(problem.value) is kind
        assert (problem.value.carrier, problem.value.carrier_code) == (self.adapter.name, code)
        assert problem.value.carrier_message == message

    def test_refusal_with_any_body_is_a_carrier_error(self):
        @given(st.sampled_from([301, 400, 403, 404, 409, 422]), ANY_JSON | st.binary(max_size=50))
        def check(status, body):
            body = body if isinstance(body, bytes) else {"error": body, "message": body}
            with pytest.raises(CarrierError) as refused:
                self._call_of_purchase()(self.open(answer(body, status)))
            assert_storable(refused.value.body())

        check()

    @pytest.mark.parametrize("body", list(STRANGE_REFUSALS.values()), ids=list(STRANGE_REFUSALS))
    @pytest.mark.parametrize("status", [400, 403, 404, 409, 418, 422])
    def test_undocumented_refusal_shows_status_and_text(self, operation, status, body):
        call, _body = self.calls[operation]
        with pytest.raises(CarrierRejected) as problem:
            call(self.open(answer(body, status)))
        assert problem.value.carrier_code == str(status)
        assert "\0" not in problem.value.carrier_message
        readable = body[:200].decode("utf-8", "replace").replace("\0", "\N{REPLACEMENT CHARACTER}")
        assert problem.value.carrier_message.startswith(readable)

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 408])
    def test_gateways_response_leaves_a_write_in_doubt(self, operation, status):
        call, _body = self.calls[operation]
        with pytest.raises(CarrierRejected if is_read(operation) else OutcomeUnknown):
            call(self.open(answer({}, status)))

    # Statuses

    def test_documented_status_word_is_mapped(self, word):
        scan = self.scan_of(word)
        assert scan.status == self.words[word] != Status.UNKNOWN
        assert scan.code == word
        assert scan.description

    def test_unknown_status_word_is_kept_with_status_unknown(self):
        scan = self.scan_of("eaten_by_the_dog")
        assert (scan.status, scan.code) == (Status.UNKNOWN, "eaten_by_the_dog")

    # Webhooks

    @pytest.mark.parametrize(
        "headers", [{}, {"x-signature": "ü"}, {"authorization": "Bearer x"}], ids=["none", "not ASCII", "other"]
    )
    def test_webhook_without_signature_is_refused(self, headers):
        if "verify_webhook" not in self.adapter.capabilities():
            pytest.skip("the carrier signs nothing")
        with pytest.raises(NotAuthenticated):
            self.open(answer({})).verify_webhook(headers=headers, body=b"{}", now=datetime.now(UTC))

    @pytest.mark.parametrize("garbage", list(GARBAGE.values()), ids=list(GARBAGE))
    def test_unreadable_webhook_raises_the_reason(self, garbage):
        if "parse_webhook" not in self.adapter.capabilities():
            pytest.skip("the carrier sends none")
        with pytest.raises(ValueError, match=r"\w+"):
            self.open(answer({})).parse_webhook(garbage)

    def test_webhook_of_any_bytes_is_a_report_or_a_value_error(self):
        if "parse_webhook" not in self.adapter.capabilities():
            pytest.skip("the carrier sends none")

        @given(ANY_JSON.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=200))
        def check(body):
            try:
                assert isinstance(self.open(answer({})).parse_webhook(body), WebhookReport)
            except ValueError as error:
                assert str(error)

        check()
