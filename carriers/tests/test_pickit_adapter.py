"""Pickit's adapter with recorded requests and responses: contract, refusals, login, quotes and labels."""

import json
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from apikeys.http.errors import ValidationFailed
from carriers.adapters.operations import LOGIN, OPERATIONS, Effect
from carriers.adapters.pickit import PickitAdapter
from carriers.adapters.registry import adapter_class
from carriers.credentials import storage
from carriers.http.call_log import Caller
from carriers.http.transport import HttpTransport
from carriers.tests.contract import CarrierContract
from carriers.tests.pickit import (
    BASE,
    CALLS,
    EVENTS,
    FIELDS,
    NUMBER,
    ORDER,
    QUOTE,
    RECORDED,
    REF,
    REQUESTS,
    fixture,
    open_adapter,
    replaying,
    run,
)
from carriers.tests.replay import Tokens, answer
from carriers.types import Status
from carriers.types.errors import (
    CarrierAuthentication,
    CarrierCannotCancel,
    CarrierError,
    CarrierNotFound,
    CarrierRateLimited,
    CarrierRejected,
    CarrierShipmentNotFound,
    CarrierUnavailable,
    NotServiceable,
    OutcomeUnknown,
    ProofNotAvailable,
)

# The error of each recorded refusal. An unknown tracking number is not in it: ``track`` leaves it out.
REFUSED = {
    "refused_wrong_client_secret": CarrierAuthentication,
    "refused_token_expired": CarrierAuthentication,
    "refused_account_suspended": CarrierRejected,
    "refused_label_format": CarrierRejected,
    "refused_postal_code_missing": CarrierRejected,
    "refused_weight_of_the_first_package": CarrierRejected,
    "refused_postal_code_not_served": NotServiceable,
    "refused_pickup_point_closed": NotServiceable,
    "refused_unknown_pickup_point": CarrierNotFound,
    "refused_unknown_pickup": CarrierNotFound,
    "refused_no_proof_before_delivery": ProofNotAvailable,
    "refused_cancelling_delivered_shipment": CarrierCannotCancel,
    "refused_cancelling_completed_pickup": CarrierCannotCancel,
}


def refusal(name, kind):
    body = fixture(f"refused_{name}")
    return RECORDED[f"refused_{name}"]["status"], body, kind, body["error"]["code"], body["error"]["message"]


class TestPickitContract(CarrierContract):
    adapter = PickitAdapter
    fields = FIELDS
    calls = CALLS
    events = tuple(EVENTS.values())
    lists = (("track", ["events"]), ("pickup_points", ["data"]))
    needed = {
        "quote": ("total_price",),
        "create_label": ("reference", "tracking_number", "label.data"),
        "find_by_reference": ("data.*.reference", "data.*.tracking_number", "data.*.label.data", "data.*.status"),
        "cancel": ("tracking_number",),
        "track": ("tracking_number", "events.*.status", "events.*.timestamp"),
        "proof_of_delivery": ("tracking_number",),
        "schedule_pickup": ("pickup_id",),
        "cancel_pickup": ("pickup_id",),
        "pickup_points": ("data.*.id", "data.*.status", "data.*.location.lat", "data.*.location.lng"),
        "pickup_point": ("data.id", "data.status", "data.location.lat", "data.location.lng"),
        "coverage": ("data.service_available",),
        "rotate_credentials": ("client_id", "client_secret"),
    }
    words = {
        "created": Status.CREATED,
        "picked_up": Status.PICKED_UP,
        "in_transit": Status.IN_TRANSIT,
        "at_pickup_point": Status.AT_PICKUP_POINT,
        "out_for_delivery": Status.OUT_FOR_DELIVERY,
        "delivered": Status.DELIVERED,
        "exception": Status.EXCEPTION,
        "returned": Status.RETURNED,
        "cancelled": Status.CANCELLED,
    }
    refusals = [
        refusal("weight_of_the_first_package", CarrierRejected),
        refusal("postal_code_missing", CarrierRejected),
        refusal("label_format", CarrierRejected),
        refusal("token_expired", CarrierAuthentication),
        refusal("account_suspended", CarrierRejected),
        refusal("unknown_shipment", CarrierShipmentNotFound),
        refusal("unknown_pickup_point", CarrierNotFound),
        refusal("unknown_pickup", CarrierNotFound),
        refusal("no_proof_before_delivery", ProofNotAvailable),
        refusal("cancelling_delivered_shipment", CarrierCannotCancel),
        refusal("postal_code_not_served", NotServiceable),
        refusal("pickup_point_closed", NotServiceable),
        (413, {"error": {"code": "TOO_LARGE", "message": "Too large"}}, CarrierRejected, "TOO_LARGE", "Too large"),
    ]

    def scan_of(self, word):
        body = fixture("tracking_in_transit")
        body["events"] = [{"timestamp": "2024-03-15T10:00:00Z", "status": word}]
        return self.open(answer(body)).track([REF])[NUMBER].scans[0]


class TestRecords:
    def test_every_recorded_request_has_a_call_and_every_refusal_an_error(self):
        assert set(REQUESTS) == set(RECORDED)
        others = {"refused_unknown_shipment", "refused_too_many_requests"}
        assert {*REFUSED} | others == {name for name in RECORDED if name.startswith("refused_")}
        assert {sent["operation"] for name in RECORDED for sent in self.sent_for(name)} == {*CALLS, LOGIN}

    def sent_for(self, name):
        adapter = replaying(name)
        with suppress(CarrierError):
            REQUESTS[name](adapter)
        return adapter.http.sent

    @pytest.mark.parametrize("name", list(RECORDED))
    def test_request_is_the_recorded_one(self, name):
        expected, (sent, *_repeated) = RECORDED[name]["request"], self.sent_for(name)
        assert (sent["method"], sent["url"]) == (expected["method"], BASE + expected["path"])
        assert (sent["params"], sent["json"]) == (expected.get("query"), expected.get("body"))
        assert sent["headers"] == ({} if sent["operation"] == LOGIN else {"Authorization": "Bearer token-1"})

    @pytest.mark.parametrize("name", list(REFUSED))
    def test_recorded_refusal_keeps_pickits_code_and_message(self, name):
        with pytest.raises(CarrierError) as refused:
            run(name)
        expected = fixture(name)["error"]
        assert type(refused.value) is REFUSED[name]
        assert (refused.value.carrier_code, refused.value.carrier_message) == (expected["code"], expected["message"])

    @pytest.mark.django_db
    @pytest.mark.parametrize(
        ("name", "kind", "wait"),
        [("refused_too_many_requests", CarrierRateLimited, 7), ("failed_inside_pickit", OutcomeUnknown, None)],
    )
    def test_transport_error_keeps_pickits_code_and_message(self, tenant, carrier, settings, name, kind, wait):
        settings.CARRIER_MAX_RETRIES = 0
        credential = storage.save_credential(
            tenant=tenant, mode="test", carrier="pickit", environment="sandbox", fields=FIELDS
        )
        http = HttpTransport(Caller(credential, tenant.merchant_id, PickitAdapter.name))
        carrier.answers = [(RECORDED[name]["status"], json.dumps(fixture(name)).encode(), {"Retry-After": "7"})]
        with pytest.raises(kind) as failed:
            REQUESTS[name](
                PickitAdapter(
                    fields=FIELDS, environment="sandbox", urls={"main": carrier.url}, http=http, tokens=Tokens()
                )
            )
        expected = RECORDED[name]["response"]["error"]
        assert (failed.value.carrier_code, failed.value.carrier_message) == (expected["code"], expected["message"])
        assert failed.value.retry_after_s == wait
        assert len(carrier.requests) == 1


class TestRegistry:
    @pytest.mark.parametrize("name", ["", "dhl", "pick it", "pickit\0"])
    def test_unknown_carrier_is_refused_with_the_known_ones(self, name):
        with pytest.raises(ValidationFailed) as refused:
            adapter_class(name)
        assert "Pickit" in refused.value.details["carrier"][0]


class TestToken:
    def test_token_expires_as_stated(self):
        before = datetime.now(UTC)
        token, _sent = run("token_granted")
        assert token.value == "tok-8f2a61"
        assert timedelta(seconds=3599) < token.expires_at - before < timedelta(seconds=3630)

    @pytest.mark.parametrize("status", [400, 401, 403])
    def test_refused_login_is_an_error_of_the_credential(self, status):
        with pytest.raises(CarrierAuthentication) as refused:
            open_adapter(answer(fixture("refused_wrong_client_secret"), status)).fetch_token()
        assert refused.value.carrier_code == "INVALID_CLIENT"
        assert refused.value.carrier_message == "Unknown client or wrong secret"

    @pytest.mark.parametrize("status", [400, 401, 403])
    def test_login_refused_with_an_unknown_code_is_an_error_of_the_credential(self, status):
        with pytest.raises(CarrierAuthentication) as refused:
            open_adapter(answer({"error": {"code": "NO_SUCH_CLIENT", "message": "Who?"}}, status)).fetch_token()
        assert (refused.value.carrier_code, refused.value.carrier_message) == ("NO_SUCH_CLIENT", "Who?")

    def test_login_at_a_wrong_url_is_not_an_error_of_the_credential(self):
        with pytest.raises(CarrierRejected):
            open_adapter(answer(b"<html>404</html>", 404)).fetch_token()

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"access_token": "x"},
            {"access_token": ["secret-inside"], "expires_in": 3600},
            {"access_token": "x", "expires_in": "soon"},
            {"access_token": "x", "expires_in": 0},
            {"access_token": "x", "expires_in": -5},
            {"access_token": "x", "expires_in": 10**30},
            {"access_token": "two\r\nlines", "expires_in": 3600},
            {"access_token": "ü", "expires_in": 3600},
            b"<html>",
        ],
    )
    def test_unusable_token_is_refused_and_not_quoted(self, body):
        with pytest.raises(CarrierUnavailable) as problem:
            open_adapter(answer(body)).fetch_token()
        assert "secret-inside" not in problem.value.carrier_message


class TestQuote:
    def test_quote_has_the_price_and_its_parts(self):
        (offer,), _sent = run("quote_parts_sum_to_total")
        assert (offer.total_price, offer.currency, offer.transit_days) == (Decimal("16.28"), "USD", 3)
        assert offer.breakdown == {
            "base_rate": Decimal("13.2"),
            "fuel_surcharge": Decimal("1.98"),
            "insurance": Decimal("0.35"),
            "handling_fee": Decimal("0.75"),
            "pickup_point_fee": Decimal("0.0"),
        }
        assert offer.estimated_delivery == datetime(2024, 3, 17, 18, 30, tzinfo=UTC)
        assert offer.valid_until == datetime(2024, 3, 16, 9, 20, tzinfo=UTC)
        assert offer.carrier_quote_id == "QT-118822"
        assert offer.extras == {"service_level": "STANDARD", "pickup_point_available": True}

    @pytest.mark.parametrize(
        ("name", "total", "other"),
        [
            ("quote_total_above_its_parts", "17.4", "1.12"),
            ("quote_total_below_its_parts", "15.95", "-0.33"),
            ("quote_as_short_as_documented", "16.28", "1.10"),
        ],
    )
    def test_total_is_pickits_and_a_difference_is_a_separate_line(self, name, total, other):
        (offer,), _sent = run(name)
        assert offer.total_price == Decimal(total) == sum(offer.breakdown.values())
        assert offer.breakdown["other"] == Decimal(other)
        assert {"base_rate", "fuel_surcharge", "insurance", "handling_fee", "pickup_point_fee"} < set(offer.breakdown)

    def test_symbol_means_the_same_currency_in_a_quote_and_a_label(self):
        route = {"origin": replace(QUOTE.origin, country="US"), "destination": replace(QUOTE.destination, country="CO")}
        symbol = {"currency": "$"}
        (offer,) = open_adapter(answer(fixture("quote_parts_sum_to_total") | symbol)).quote(replace(QUOTE, **route))
        sold = next(fixture(name) for name in RECORDED if fixture(name).get("reference") == ORDER.reference)
        label = open_adapter(answer(sold | symbol)).create_label(replace(ORDER, **route))
        assert (offer.currency, label.currency) == ("USD", "USD")

    @pytest.mark.parametrize("total", ["12 to 50", None, True, [], float("nan"), float("inf"), 1e300])
    def test_total_that_is_not_a_price_is_unreadable(self, total):
        with pytest.raises(CarrierUnavailable):
            open_adapter(answer(fixture("quote_parts_sum_to_total") | {"total_price": total})).quote(QUOTE)


class TestLabel:
    def test_bought_label_is_read(self):
        label, _sent = run("label_bought_to_a_pickup_point")
        assert (label.reference, label.tracking_number, label.carrier_shipment_id) == ("WB-0001", NUMBER, "SHP-203948")
        (document,) = label.documents
        assert document.content.startswith(b"%PDF")
        assert (document.kind, document.format, document.size) == ("label", "PDF", "4x6")
        assert document.url == f"https://labels.pickit.net/{NUMBER}.pdf"
        assert label.created_at == datetime(2024, 3, 15, 9, 20, tzinfo=UTC)
        assert label.estimated_delivery == datetime(2024, 3, 17, 18, 30, tzinfo=UTC)
        assert (label.total_price, label.currency, label.pickup_code) == (Decimal("16.28"), "USD", "PICKUP-330721")
        assert not label.cancelled
        assert label.extras["barcode"] == "908070605040302010"
        assert label.extras["qr_code"].startswith("data:image/png;base64,")
        assert label.extras["pickup_point"] == {
            "id": "PP-70421",
            "name": "Riverside Lockers",
            "address": "8 Quay Road, Beacon, NY 12508",
        }

    def test_label_for_door_delivery_has_no_pickup_point_and_no_code(self):
        label, _sent = run("label_bought_to_the_door")
        assert (label.pickup_code, label.extras["pickup_point"]) == ("", None)

    @pytest.mark.parametrize(
        "name",
        [
            "label_file_not_pdf",
            "label_file_not_base64",
            "label_with_invalid_base64_characters",
            "label_of_another_reference",
        ],
    )
    def test_unprintable_or_foreign_label_leaves_the_purchase_in_doubt(self, name):
        adapter = open_adapter(answer(fixture(name), 201))
        with pytest.raises(OutcomeUnknown):
            adapter.create_label(ORDER)
        assert len(adapter.http.sent) == 1

    @pytest.mark.parametrize("number", ["../../etc/passwd", "PKT 1", "P" * 51, "PKT-\x00", ["PKT-1"], True, ""])
    def test_invalid_tracking_number_leaves_the_purchase_in_doubt(self, number):
        with pytest.raises(OutcomeUnknown):
            open_adapter(answer(fixture("label_bought_to_the_door") | {"tracking_number": number})).create_label(ORDER)

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("total_price", "sixteen"),
            ("total_price", -16.28),
            ("currency", 840),
            ("estimated_delivery", "soon"),
            ("pickup_code", [330721]),
            ("pickup_point", "PP-70421"),
            ("barcode", ["9"]),
        ],
    )
    def test_unreadable_optional_field_does_not_lose_the_label(self, field, value):
        body = fixture("label_bought_to_a_pickup_point") | {field: value}
        label = open_adapter(answer(body, 201)).create_label(ORDER)
        assert label.tracking_number == body["tracking_number"]
        values = {**vars(label), **label.extras}
        assert not values[field]

    def test_unreadable_status_fails_the_lookup(self):
        body = fixture("found_two_first_cancelled")
        body["data"][0]["status"] = 7
        with pytest.raises(CarrierUnavailable):
            open_adapter(answer(body)).find_by_reference(REF)

    def test_refusal_names_the_field_of_our_request(self):
        fields = {
            "weight_of_the_first_package": "packages[0].weight_kg",
            "postal_code_missing": "destination.postal_code",
            "label_format": "label_format",
            "pickup_point_closed": "metadata.pickup_point_id",
        }
        for name, field in fields.items():
            body = fixture(f"refused_{name}")
            with pytest.raises(CarrierError) as refused:
                open_adapter(answer(body, 400)).create_label(ORDER)
            assert refused.value.details == {field: [body["error"]["message"]]}

    def test_lookup_finds_all_labels_of_a_reference_and_marks_cancelled_ones(self):
        labels, sent = run("found_two_first_cancelled")
        assert [(label.tracking_number, label.cancelled) for label in labels] == [
            ("PKT-4081726311", True),
            (NUMBER, False),
        ]
        assert OPERATIONS[sent["operation"]] is Effect.READ

    def test_empty_list_finds_nothing_and_another_reference_fails_the_lookup(self):
        assert run("found_nothing")[0] == []
        with pytest.raises(CarrierUnavailable):
            run("found_two_first_cancelled", lambda it: it.find_by_reference(replace(REF, reference="WB-000")))
