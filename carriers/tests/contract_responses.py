"""The contract of reading: responses, refusals, status words and webhooks of a carrier."""

from __future__ import annotations

import base64
import itertools
import json
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apikeys.http.errors import NotAuthenticated
from carriers.adapters.operations import LOGIN, OPERATIONS, Effect, is_read
from carriers.adapters.refusals import find_refusal
from carriers.adapters.values import FILE_STARTS
from carriers.tests.contract_base import PAYLOADS, ContractBase, unreadable
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
from carriers.tests.replay import answer
from carriers.types import BookedShipment, Status, WebhookReport
from carriers.types.errors import (
    CarrierAuthentication,
    CarrierError,
    CarrierRejected,
    CarrierUnavailable,
    NotServiceable,
    OutcomeUnknown,
)


class ResponseContract(ContractBase):
    """Every answer of a carrier is read, or refused as documented."""

    # Responses

    def test_unreadable_success_leaves_a_write_in_doubt_and_fails_a_read(self, operation):
        call, _body = self.calls[operation]
        for name, garbage in GARBAGE.items():
            if (operation, garbage) in self.valid_garbage:
                continue
            with pytest.raises(unreadable(operation)) as problem:
                call(self.open(answer(garbage)))
            assert type(problem.value) is unreadable(operation), name
            assert problem.value.carrier == self.adapter.name

    def test_label_of_another_reference_is_unreadable(self, selling):
        call, foreign = self._with_changed_label(selling, lambda label: (label.reference, "ANOTHER-REFERENCE"))
        with pytest.raises(unreadable(selling)):
            call(self.open(answer(foreign)))

    def test_label_file_that_is_not_of_its_format_is_unreadable(self, selling):
        call, spoilt = self._with_changed_label(
            selling,
            lambda label: (
                base64.b64encode(label.documents[0].content).decode() if label.documents else "",
                base64.b64encode(b"not a label file").decode(),
            ),
        )
        with pytest.raises(unreadable(selling)):
            call(self.open(answer(spoilt)))

    def test_parcels_of_a_purchase_are_numbered_and_have_a_label_each(self, selling):
        call, body = self.calls[selling]
        found = call(self.open(answer(body)))
        for booked in [found] if isinstance(found, BookedShipment) else found:
            numbers = [parcel.number for parcel in booked.parcels]
            assert numbers == list(range(1, len(numbers) + 1))
            own = [parcel.tracking_number for parcel in booked.parcels]
            assert all(own)
            assert len(set(own)) == len(own)
            labels = {document.parcel for document in booked.documents if document.kind == "label"}
            assert labels <= {0, *numbers}
            assert labels in (set(), {0}, set(numbers))

    def _with_changed_label(self, selling, change):
        """Return a sample call and its response with one text of a label changed: ``change(label)`` -> (old, new)."""
        call, body = self.calls[selling]
        found = call(self.open(answer(body)))
        booked = found if isinstance(found, BookedShipment) else found[-1]
        for document in booked.documents:
            assert document.content.startswith(FILE_STARTS.get(document.format, b"") if document.content else b"")
        assert self.adapter.is_number(booked.tracking_number)
        before, after = change(booked)
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
        if requested in self.calls and isinstance(self.calls[requested][1], bytes):  # a file is read as it is
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

    def states_refusal(self, operation, body):
        """Return whether a successful answer refuses. Carriers with a form of their own extend this."""
        return bool(find_refusal(body))

    def _check_damaged_response(self, operation, data):
        call, body = self.calls[operation]
        try:
            body = data.draw(damaged(body))
            found = call(self.open(answer(body)))
        except CarrierError as error:
            expected = {unreadable(operation), self.negatives.get(operation)}
            expected |= {NotServiceable} if operation == "quote" else set()
            assert type(error) in expected or (type(error) is CarrierRejected and self.states_refusal(operation, body))
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

    def test_undocumented_refusal_shows_status_and_text(self, operation):
        call, _body = self.calls[operation]
        for status, (name, body) in itertools.product((400, 403, 404, 409, 418, 422), STRANGE_REFUSALS.items()):
            with pytest.raises(CarrierRejected) as problem:
                call(self.open(answer(body, status)))
            assert problem.value.carrier_code == str(status), name
            assert "\0" not in problem.value.carrier_message
            readable = body[:200].decode("utf-8", "replace").replace("\0", "\N{REPLACEMENT CHARACTER}")
            assert problem.value.carrier_message.startswith(readable), name

    def test_gateways_response_leaves_a_write_in_doubt(self, operation):
        call, _body = self.calls[operation]
        for status in (301, 302, 303, 307, 408):
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

    def test_unreadable_webhook_raises_the_reason(self):
        if "parse_webhook" not in self.adapter.capabilities():
            pytest.skip("the carrier sends none")
        for garbage in GARBAGE.values():
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
