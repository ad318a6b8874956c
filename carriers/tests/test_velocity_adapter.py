"""Velocity's adapter with recorded requests and responses: contract, refusals, login, orders, lookups and quotes."""

import json
from contextlib import nullcontext, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from carriers.adapters.operations import CHECK, LOGIN, OPERATIONS
from carriers.adapters.registry import adapter_class
from carriers.adapters.velocity import VelocityAdapter
from carriers.credentials import storage
from carriers.http.call_log import Caller
from carriers.http.transport import HttpTransport
from carriers.tests.contract import CarrierContract
from carriers.tests.replay import FILE, Tokens, answer
from carriers.tests.velocity import (
    AWB,
    BASE,
    CALLS,
    CREDENTIALS,
    EVENTS,
    FIELDS,
    NOW,
    ORDER,
    QUOTE,
    RECORDED,
    REF,
    REQUESTS,
    RETURN,
    UNKNOWN,
    open_adapter,
    replaying,
    response,
)
from carriers.types import PaymentMethod, Status
from carriers.types.errors import (
    CarrierAuthentication,
    CarrierCannotCancel,
    CarrierError,
    CarrierNotFound,
    CarrierRateLimited,
    CarrierRejected,
    CarrierShipmentNotFound,
    CarrierUnavailable,
    CarrierWarehouseNotFound,
    NotServiceable,
    OutcomeUnknown,
)

# The error of each recorded refusal.
REFUSED = {
    "token_refused": CarrierAuthentication,
    "order_from_unknown_warehouse": CarrierWarehouseNotFound,
    "order_refused_for_pincode_and_weight": CarrierRejected,
    "order_to_an_unserved_pincode": NotServiceable,
    "cancelling_delivered_order": CarrierCannotCancel,
    "cancelling_unknown_order": CarrierShipmentNotFound,
    "changing_order_out_for_delivery": CarrierRejected,
    "not_serviceable": NotServiceable,
}
# The error of each recorded response that the transport handles: a rate limit, and failures of a read and a purchase.
FAILED = {
    "token_over_rate_limit": CarrierRateLimited,
    "token_failed_at_velocity": CarrierUnavailable,
    "order_failed_at_courier": OutcomeUnknown,
}


def refusal(name, kind):
    one = RECORDED[name]
    return one["status"], one["response"], kind, str(one["status"]), one["response"]["message"]


class TestVelocityContract(CarrierContract):
    adapter = VelocityAdapter
    fields = FIELDS
    calls = CALLS
    events = tuple(EVENTS.values())
    lists = (
        ("quote", ["available_carriers"]),
        ("track", []),
        ("track", [0, "tracking_history"]),
        ("reports", ["data"]),
    )
    needed = {
        "quote": ("is_serviceable", "available_carriers.*.courier_company_id", "available_carriers.*.rate")
        + ("available_carriers.*.cod_available",),
        "create_label": ("order_id", "awb", "label_url"),
        "create_return": ("order_id", "awb", "label_url"),
        "find_by_reference": ("data.*.order_id", "data.*.awb", "data.*.label_url", "data.*.status"),
        "cancel": ("awb", "status"),
        "track": ("*.awb", "*.tracking_history.*.status", "*.tracking_history.*.timestamp"),
        "register_warehouse": ("warehouse_id",),
        "update_order": ("awb",),
        "reports": ("data.*",),
    }
    words = {
        "NEW": Status.CREATED,
        "PKP": Status.PICKED_UP,
        "IT": Status.IN_TRANSIT,
        "OFD": Status.OUT_FOR_DELIVERY,
        "DEL": Status.DELIVERED,
        "NDR": Status.NDR,
        "RTO": Status.RTO,
        "LOST": Status.LOST,
        "DAMAGED": Status.DAMAGED,
        "CANCELLED": Status.CANCELLED,
    }
    refusals = [
        refusal("order_refused_for_pincode_and_weight", CarrierRejected),
        refusal("order_from_unknown_warehouse", CarrierWarehouseNotFound),
        refusal("order_to_an_unserved_pincode", NotServiceable),
        refusal("cancelling_delivered_order", CarrierCannotCancel),
        refusal("cancelling_unknown_order", CarrierShipmentNotFound),
        (404, {"message": "No route"}, CarrierNotFound, "404", "No route"),
        (401, {"error": "Invalid or expired token"}, CarrierAuthentication, "401", "Invalid or expired token"),
        (400, {"message": "No", "errors": {"weight": ["a", "b"]}}, CarrierRejected, "400", "No"),
    ]

    valid_garbage = {("track", b"[]")}

    def scan_of(self, word):
        event = EVENTS["event_nobody_at_the_door"] | {"status_code": word, "description": ""}
        (reported,) = open_adapter(answer({})).parse_webhook(json.dumps(event).encode()).scans
        return reported.scan


def sent_for(name):
    adapter = replaying(name)
    with suppress(CarrierError) if RECORDED[name]["status"] >= 300 else nullcontext():
        REQUESTS[name](adapter)
    return adapter.http.sent


def test_every_recorded_request_has_a_call_and_every_refusal_an_error():
    assert set(REQUESTS) == set(RECORDED)
    assert {*REFUSED, *FAILED} == {name for name, one in RECORDED.items() if one["status"] >= 300}
    assert {sent["operation"] for name in RECORDED for sent in sent_for(name)} | {"documents"} == {*CALLS, LOGIN}


@pytest.mark.parametrize("name", list(REQUESTS))
def test_request_is_the_recorded_one(name):
    expected, sent = RECORDED[name]["request"], sent_for(name)[0]
    assert (sent["method"], sent["url"]) == (expected["method"], BASE + expected["path"])
    assert (sent["params"], sent["json"]) == (expected.get("query"), expected.get("body"))


@pytest.mark.parametrize("name", list(REFUSED))
def test_recorded_refusal_keeps_velocitys_code_and_message(name):
    body = RECORDED[name]["response"]
    with pytest.raises(CarrierError) as refused:
        REQUESTS[name](replaying(name))
    assert type(refused.value) is REFUSED[name]
    assert refused.value.carrier_code == str(RECORDED[name]["status"])
    assert refused.value.carrier_message == (body.get("message") or body["error"])


@pytest.mark.django_db
@pytest.mark.parametrize("name", list(FAILED))
def test_transport_error_keeps_velocitys_code_and_message(tenant, carrier, settings, name):
    settings.CARRIER_MAX_RETRIES = 0
    one, fields = RECORDED[name], FIELDS | CREDENTIALS.get(name, {})
    credential = storage.save_credential(
        tenant=tenant, mode="test", carrier="velocity", environment="sandbox", fields=fields
    )
    http = HttpTransport(Caller(credential, tenant.merchant_id, VelocityAdapter.name))
    carrier.answers = [(one["status"], json.dumps(one["response"]).encode(), {})]
    with pytest.raises(CarrierError) as failed:
        REQUESTS[name](
            VelocityAdapter(
                fields=fields, environment="sandbox", urls={"main": carrier.url}, http=http, tokens=Tokens()
            )
        )
    assert type(failed.value) is FAILED[name]
    assert (failed.value.carrier_code, failed.value.carrier_message) == (str(one["status"]), one["response"]["message"])
    ((path, _headers, body),) = carrier.requests
    assert (path, json.loads(body)) == (one["request"]["path"], one["request"]["body"])


@pytest.mark.parametrize(("scheme", "sent"), [(None, "token-1"), ("raw", "token-1"), ("bearer", "Bearer token-1")])
def test_token_is_sent_in_the_credentials_scheme(scheme, sent):
    adapter = open_adapter(answer(response("order_cancelled")), **({"authorization_scheme": scheme} if scheme else {}))
    adapter.cancel(REF, "")
    assert adapter.http.sent[0]["headers"] == {"Authorization": sent}


def test_token_lasts_a_day_and_is_renewed_an_hour_before(time_machine):
    time_machine.move_to(NOW, tick=False)
    token = open_adapter(answer(response("token_granted"))).fetch_token()
    assert token.expires_at == NOW + timedelta(hours=24)
    assert VelocityAdapter.token_margin == timedelta(hours=1)
    assert token.value not in repr(VelocityAdapter.token_margin)


def test_refusal_of_a_used_reference_leaves_the_purchase_in_doubt():
    refusal = {"message": "Validation failed", "errors": {"order_id": "Order already exists"}}
    for purchase in (lambda it: it.create_label(ORDER), lambda it: it.create_return(RETURN)):
        with pytest.raises(OutcomeUnknown):
            purchase(open_adapter(answer(refusal, 400)))


def test_invalid_label_url_loses_only_the_file():
    booked = response("order_with_cash_on_delivery") | {"label_url": "http://[evil"}
    assert open_adapter(answer(booked)).create_label(ORDER).documents[0].content == b""


def test_booked_label_has_courier_label_and_manifest():
    adapter = open_adapter(answer(response("order_with_cash_on_delivery")))
    label = adapter.create_label(ORDER)
    assert (label.tracking_number, label.carrier_shipment_id) == (AWB, "31990244")
    assert [(one.kind, one.format, one.content) for one in label.documents] == [
        ("label", "PDF", FILE),
        ("manifest", "PDF", FILE),
    ]
    assert label.extras == {"courier_name": "Delhivery Surface", "courier_company_id": "1"}
    assert [one["url"] for one in adapter.http.fetched] == [one.url for one in label.documents]


def test_unreadable_optional_field_does_not_lose_the_order():
    body = response("order_found_by_our_reference")
    body["data"][0] |= {"freight_charges": "free", "courier_name": [7], "created_at": "then"}
    body["data"].append(body["data"][0] | {"order_id": 73})
    (found,) = open_adapter(answer(body)).find_by_reference(REF)
    assert (found.tracking_number, found.total_price, found.currency) == (AWB, None, "")


@pytest.mark.parametrize("changes", [{"order_id": {"id": "WB-0073"}}, {"order_id": 73}, {"label_url": {"pdf": "x"}}])
def test_unreadable_label_or_reference_fails_the_lookup(changes):
    body = response("order_found_by_our_reference")
    body["data"][0] |= changes
    with pytest.raises(CarrierUnavailable):
        open_adapter(answer(body)).find_by_reference(REF)


def test_lookup_finds_all_orders_of_a_reference_and_marks_cancelled_ones():
    body = response("order_found_by_our_reference")
    again = {"awb": UNKNOWN.tracking_number, "status": "NEW", "status_code": "NEW", "created_at": "2026-05-19 16:43:00"}
    body["data"].insert(0, body["data"][0] | again)
    found = open_adapter(answer(body)).find_by_reference(REF)
    assert [(one.tracking_number, one.cancelled) for one in found] == [(AWB, True), (UNKNOWN.tracking_number, False)]
    assert found[0].created_at == datetime(2026, 5, 19, 11, 12, tzinfo=UTC)


def test_adapter_is_found_by_slug_and_by_name():
    assert adapter_class("VELOCITY") is adapter_class("velocity shipfast") is VelocityAdapter


def test_unsupported_operations_are_those_that_the_document_lacks():
    assert set(OPERATIONS) - {CHECK, LOGIN, *VelocityAdapter.capabilities()} == {
        "proof_of_delivery",
        "schedule_pickup",
        "cancel_pickup",
        "pickup_points",
        "pickup_point",
        "coverage",
        "rotate_credentials",
        "transit_times",
        "check_address",
        "upload_document",
        "find_pickups",
        "pickup_windows",
        "close_day",
        "subscribe",
        "activate",
        "unsubscribe",
    }


def test_courier_without_cash_on_delivery_is_not_offered_for_it():
    body = response("serviceable_by_two_couriers")
    body["available_carriers"][0]["cod_available"] = False
    cash, paid = QUOTE, replace(QUOTE, payment_method=PaymentMethod.PREPAID, cod_amount=None)
    assert [offer.service_type for offer in open_adapter(answer(body)).quote(cash)] == ["courier_5"]
    assert [offer.service_type for offer in open_adapter(answer(body)).quote(paid)] == ["courier_1", "courier_5"]
    del body["available_carriers"][1]
    with pytest.raises(NotServiceable):
        open_adapter(answer(body)).quote(cash)


def test_rates_are_the_documented_limits():
    limits = {name: (rate.limit, rate.per) for name, rate in VelocityAdapter.rates.items()}
    assert limits == {
        "token": (10, "hour"),
        "orders": (100, "minute"),
        "track": (100, "minute"),
        "cancel": (50, "minute"),
        "quote": (200, "minute"),
        "register_warehouse": (20, "minute"),
        "reports": (100, "minute"),
    }
