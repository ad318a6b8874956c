"""Velocity's adapter on recorded answers (``fixtures/velocity``): what goes out, what is made of what comes back."""

import hashlib
import hmac
import json
from contextlib import nullcontext, suppress
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from apikeys.http.errors import NotAuthenticated
from carriers.adapters.operations import LOGIN, OPERATIONS
from carriers.adapters.registry import adapter_class
from carriers.adapters.velocity import VelocityAdapter, build
from carriers.credentials import storage
from carriers.http.call_log import Caller
from carriers.http.transport import HttpTransport
from carriers.tests import recorded
from carriers.tests.contract import A_FILE, CarrierContract, Replay, Tokens, answer
from carriers.types import (
    Address,
    Item,
    Order,
    OrderUpdate,
    Package,
    PaymentMethod,
    ReportRequest,
    ShipmentRef,
    Status,
    Warehouse,
    WarehouseRequest,
)
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

BASE = "http://127.0.0.1:8010/velocity"
SECRET = "whsec-of-the-tests"
AWB = "SHPHYB700100200"
NOW = datetime(2026, 5, 12, 15, 0, tzinfo=UTC)
DEPOT = Address(
    contact_name="Meera Shah",
    contact_phone="+91 98230 11022",
    contact_email="seller@example.org",
    street="Lane 4",
    city="Jaipur",
    state="Rajasthan",
    postal_code="302001",
    country="IN",
)
BUYER = Address(
    contact_name="Nikhil Varma",
    contact_phone="098230-44551",
    contact_email="customer@example.org",
    street="44 Lotus Street",
    city="Pune",
    state="Maharashtra",
    postal_code="411004",
    country="IN",
)
PARCEL = Package(weight_kg=Decimal("0.75"), length_cm=Decimal(34), width_cm=Decimal(27), height_cm=Decimal(12))
BAGS = Item(
    name="Canvas Bag",
    sku="canvas-bag-88",
    quantity=3,
    unit_price=Decimal(260),
    discount=Decimal(15),
    tax=Decimal(12),
)
HOME = Warehouse(name="MainDepot", address=DEPOT, carrier_id="WHKKP2")
PREPAID = {
    "reference": "WB-0073",
    "order_id": "SHOP-8812",
    "origin": DEPOT,
    "destination": BUYER,
    "packages": (PARCEL,),
    "items": (BAGS,),
    "ordered_at": datetime(2026, 5, 19, 11, 11, tzinfo=UTC),
    "currency": "INR",
    "warehouse": HOME,
}
ORDER = Order(**PREPAID, payment_method=PaymentMethod.COD, cod_amount=Decimal(765))
CHOSEN = Order(**PREPAID, service_type="courier_5")
BACK = PREPAID | {
    "reference": "WB-0074",
    "origin": BUYER,
    "destination": DEPOT,
    "ordered_at": datetime(2026, 5, 27, 3, 35, tzinfo=UTC),
    "return_of": ShipmentRef(reference="WB-0073", tracking_number=AWB),
    "reason": "Does not fit",
}
RETURN = Order(**BACK)
QUOTE = Order(
    origin=Address(postal_code="411004", country="IN"),
    destination=Address(postal_code="600017", country="IN"),
    packages=(Package(weight_kg=Decimal("0.75")),),
    payment_method=PaymentMethod.COD,
    cod_amount=Decimal(765),
)
KOCHI = Warehouse(
    name="Kochi Depot",
    address=Address(
        contact_phone="+919823077031",
        contact_email="depot@example.org",
        street="7 Harbour Road\nFort Kochi",
        city="Kochi",
        state="Kerala",
        postal_code="682001",
        country="IN",
    ),
)
MOVED = OrderUpdate(
    tracking_number=AWB,
    destination=Address(**vars(BUYER) | {"street": "46 Lotus Street"}),
    packages=(Package(weight_kg=Decimal(2)),),
)
TO_NOBODY = replace(
    QUOTE,
    destination=Address(postal_code="999999", country="IN"),
    payment_method=PaymentMethod.PREPAID,
    cod_amount=None,
)
MAY = ReportRequest(kind="orders", since=date(2026, 5, 1), until=date(2026, 5, 31))


FIELDS = {"username": "+919812300045", "password": "pune-secret", "webhook_secret": SECRET}
RECORDED, EVENTS = recorded.examples("velocity"), recorded.events("velocity")
NOBODYS = "SHPHYB700100299"


def response(name):
    return deepcopy(RECORDED[name]["response"])


def _order_to(pincode):
    return replace(ORDER, destination=replace(BUYER, postal_code=pincode))


CALLS = {
    "quote": (lambda it: it.quote(QUOTE), response("served_by_two_couriers")),
    "create_label": (lambda it: it.create_label(ORDER), response("order_with_cash_on_delivery")),
    "find_by_reference": (lambda it: it.find_by_reference("WB-0073"), response("order_found_by_our_reference")),
    "cancel": (lambda it: it.cancel(AWB, "late"), response("order_cancelled")),
    "track": (lambda it: it.track([AWB]), response("tracking_of_one_in_transit")),
    "label_file": (lambda it: it.label_file(f"{BASE}/api/label/31990244.pdf"), A_FILE),
    "register_warehouse": (
        lambda it: it.register_warehouse(WarehouseRequest(warehouse=KOCHI)),
        response("warehouse_created"),
    ),
    "create_return": (lambda it: it.create_return(RETURN), response("return_booked")),
    "update_order": (lambda it: it.update_order(MOVED), response("order_updated_to_another_address")),
    "reports": (lambda it: it.reports(MAY), response("report_of_orders")),
}
# The call that makes each recorded request.
REQUESTS = {
    "token_for_a_day": lambda it: it.fetch_token(),
    "token_refused": lambda it: it.fetch_token(),
    "token_beyond_the_limit": lambda it: it.fetch_token(),
    "token_failed_at_velocity": lambda it: it.fetch_token(),
    "order_with_cash_on_delivery": lambda it: it.create_label(ORDER),
    "order_from_an_unknown_warehouse": lambda it: it.create_label(
        replace(ORDER, warehouse=replace(HOME, carrier_id="WHNONE0"))
    ),
    "order_refused_for_pincode_and_weight": lambda it: it.create_label(
        replace(_order_to("4110"), packages=(replace(PARCEL, weight_kg=Decimal(31)),))
    ),
    "order_to_an_unserved_pincode": lambda it: it.create_label(_order_to("999999")),
    "order_lost_at_the_courier": lambda it: it.create_label(ORDER),
    "order_of_a_chosen_courier": lambda it: it.create_label(CHOSEN),
    "tracking_of_one_in_transit": lambda it: it.track([AWB]),
    "tracking_without_one_that_nobody_knows": lambda it: it.track([AWB, NOBODYS]),
    "order_cancelled": lambda it: it.cancel(AWB, ""),
    "cancelling_what_is_delivered": lambda it: it.cancel(AWB, ""),
    "cancelling_what_nobody_knows": lambda it: it.cancel(NOBODYS, ""),
    "served_by_two_couriers": lambda it: it.quote(QUOTE),
    "served_by_nobody": lambda it: it.quote(TO_NOBODY),
    "warehouse_created": lambda it: it.register_warehouse(WarehouseRequest(warehouse=KOCHI)),
    "warehouse_changed": lambda it: it.register_warehouse(
        WarehouseRequest(warehouse=replace(KOCHI, carrier_id="WHQRS778"))
    ),
    "return_booked": lambda it: it.create_return(RETURN),
    "return_of_a_chosen_courier": lambda it: it.create_return(Order(**BACK, service_type="courier_5")),
    "order_updated_to_another_address": lambda it: it.update_order(MOVED),
    "changing_what_is_out_for_delivery": lambda it: it.update_order(MOVED),
    "order_found_by_our_reference": lambda it: it.find_by_reference("WB-0073"),
    **{
        f"report_of_{kind}": lambda it, kind=kind: it.reports(replace(MAY, kind=kind))
        for kind in VelocityAdapter.report_kinds
    },
}

# What each recorded refusal is to us, asked for by its own request.
REFUSED = {
    "token_refused": CarrierAuthentication,
    "order_from_an_unknown_warehouse": CarrierWarehouseNotFound,
    "order_refused_for_pincode_and_weight": CarrierRejected,
    "order_to_an_unserved_pincode": NotServiceable,
    "cancelling_what_is_delivered": CarrierCannotCancel,
    "cancelling_what_nobody_knows": CarrierShipmentNotFound,
    "changing_what_is_out_for_delivery": CarrierRejected,
    "served_by_nobody": NotServiceable,
}
# What it is to us where the transport answers for it: a limit, and failures before and while something is bought.
FAILED = {
    "token_beyond_the_limit": CarrierRateLimited,
    "token_failed_at_velocity": CarrierUnavailable,
    "order_lost_at_the_courier": OutcomeUnknown,
}
# The account that sends a recorded request, where it is not the usual one without a channel.
ACCOUNTS = {"token_refused": {"password": "guessed"}} | {
    name: {"channel_id": "30417"} for name in REQUESTS if name.startswith("order_")
}


def opened(*answers, **fields):
    return VelocityAdapter(fields=FIELDS | fields, base_url=BASE, http=Replay(*answers), tokens=Tokens())


def refusal(name, kind):
    one = RECORDED[name]
    return one["status"], one["response"], kind, str(one["status"]), one["response"]["message"]


class TestVelocityKeepsTheContract(CarrierContract):
    adapter = VelocityAdapter
    fields = FIELDS
    calls = CALLS
    events = tuple(EVENTS.values())
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
        refusal("order_from_an_unknown_warehouse", CarrierWarehouseNotFound),
        refusal("order_to_an_unserved_pincode", NotServiceable),
        refusal("cancelling_what_is_delivered", CarrierCannotCancel),
        refusal("cancelling_what_nobody_knows", CarrierShipmentNotFound),
        (404, {"message": "No route"}, CarrierNotFound, "404", "No route"),
        (401, {"error": "Invalid or expired token"}, CarrierAuthentication, "401", "Invalid or expired token"),
        (400, {"message": "No", "errors": {"weight": ["a", "b"]}}, CarrierRejected, "400", "No"),
    ]

    in_earnest = {("track", b"[]")}

    def scan_of(self, word):
        event = EVENTS["event_nobody_at_the_door"] | {"status_code": word, "description": ""}
        (reported,) = opened(answer({})).parse_webhook(json.dumps(event).encode()).scans
        return reported.scan


def replaying(name):
    """The adapter whose recorded request is answered as recorded."""
    return opened(answer(response(name), RECORDED[name]["status"]), **ACCOUNTS.get(name, {}))


def sent_for(name):
    adapter = replaying(name)
    with suppress(CarrierError) if RECORDED[name]["status"] >= 300 else nullcontext():
        REQUESTS[name](adapter)
    return adapter.http.sent


def test_every_recorded_request_is_compared_and_every_refusal_understood():
    assert set(REQUESTS) == set(RECORDED)
    assert {*REFUSED, *FAILED} == {name for name, one in RECORDED.items() if one["status"] >= 300}
    assert {sent["operation"] for name in RECORDED for sent in sent_for(name)} | {"label_file"} == {*CALLS, "token"}


@pytest.mark.parametrize("name", list(REQUESTS))
def test_what_goes_out_is_the_recorded_request(name):
    asked, sent = RECORDED[name]["request"], sent_for(name)[0]
    assert (sent["method"], sent["url"]) == (asked["method"], BASE + asked["path"])
    assert (sent["params"], sent["json"]) == (asked.get("query"), asked.get("body"))


@pytest.mark.parametrize("name", list(REFUSED))
def test_a_recorded_refusal_of_a_recorded_request_keeps_the_carriers_words(name):
    told = RECORDED[name]["response"]
    with pytest.raises(CarrierError) as refused:
        REQUESTS[name](replaying(name))
    assert type(refused.value) is REFUSED[name]
    assert refused.value.carrier_code == str(RECORDED[name]["status"])
    assert refused.value.carrier_message == (told.get("message") or told["error"])


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", list(FAILED))
def test_an_order_that_fails_at_the_courier_may_have_been_bought_and_nothing_else_may(tenant, carrier, settings, name):
    settings.CARRIER_MAX_RETRIES = 0
    one, fields = RECORDED[name], FIELDS | ACCOUNTS.get(name, {})
    account = storage.save_credential(
        tenant=tenant, mode="test", carrier="velocity", environment="sandbox", fields=fields
    )
    http = HttpTransport(Caller(account, tenant.merchant_id, VelocityAdapter.name))
    carrier.answers = [(one["status"], json.dumps(one["response"]).encode(), {})]
    with pytest.raises(CarrierError) as failed:
        REQUESTS[name](VelocityAdapter(fields=fields, base_url=carrier.url, http=http, tokens=Tokens()))
    assert type(failed.value) is FAILED[name]
    assert (failed.value.carrier_code, failed.value.carrier_message) == (str(one["status"]), one["response"]["message"])
    ((path, _headers, body),) = carrier.requests
    assert (path, json.loads(body)) == (one["request"]["path"], one["request"]["body"])


def test_only_a_street_of_several_lines_has_a_second_one():
    def built(street, **more):
        place = replace(KOCHI, address=replace(KOCHI.address, street=street))
        body = build.warehouse(WarehouseRequest(warehouse=place, **more))
        return body["address"], body.get("address_2"), body["return_address"]

    assert built("7 Harbour Road") == ("7 Harbour Road", None, "7 Harbour Road")
    assert built("7 Harbour Road\r\n \nGate 2\nFort Kochi ") == (
        "7 Harbour Road",
        "Gate 2, Fort Kochi",
        "7 Harbour Road, Gate 2, Fort Kochi",
    )
    assert built("7 Harbour Road\nFort Kochi", return_address=DEPOT) == ("7 Harbour Road", "Fort Kochi", "Lane 4")


def test_an_order_says_a_street_of_several_lines_without_a_line_break():
    two = {"street": "Lane 4\nBehind the mill"}
    home = replace(HOME, address=replace(DEPOT, **two))
    adapter = opened(answer(response("order_with_cash_on_delivery")))
    adapter.create_label(replace(ORDER, destination=replace(BUYER, **two), warehouse=home))
    body = adapter.http.sent[0]["json"]
    assert body["billing_address"] == "Lane 4, Behind the mill"
    assert (body["vendor_details"]["address"], body["vendor_details"]["address_2"]) == ("Lane 4", "Behind the mill")


def test_goods_without_a_number_get_one_from_their_name():
    adapter = opened(answer(response("order_with_cash_on_delivery")))
    adapter.create_label(replace(ORDER, items=(replace(BAGS, sku=""),)))
    assert adapter.http.sent[0]["json"]["order_items"][0]["sku"] == "SKU-Canvas Bag"


@pytest.mark.parametrize(("scheme", "sent"), [(None, "token-1"), ("raw", "token-1"), ("bearer", "Bearer token-1")])
def test_the_token_is_sent_as_the_account_says(scheme, sent):
    adapter = opened(answer(response("order_cancelled")), **({"authorization_scheme": scheme} if scheme else {}))
    adapter.cancel(AWB, "")
    assert adapter.http.sent[0]["headers"] == {"Authorization": sent}


def test_a_token_lasts_a_day_and_is_renewed_an_hour_before(time_machine):
    time_machine.move_to(NOW, tick=False)
    token = opened(answer(response("token_for_a_day"))).fetch_token()
    assert token.expires_at == NOW + timedelta(hours=24)
    assert VelocityAdapter.token_margin == timedelta(hours=1)
    assert token.value not in repr(VelocityAdapter.token_margin)


def test_a_track_that_cannot_be_read_costs_only_itself():
    (good,) = response("tracking_of_one_in_transit")
    bad = good | {"awb": NOBODYS, "tracking_history": [{"status": "IT", "timestamp": "yesterday"}]}
    for answers in ([good, bad], [bad, good]):
        assert list(opened(answer(answers)).track([AWB, NOBODYS])) == [AWB]
    with pytest.raises(CarrierUnavailable):
        opened(answer([bad])).track([AWB, NOBODYS])


def test_each_word_on_a_field_is_told():
    refusal = {"message": "Validation failed", "errors": {"weight": ["Too heavy", "Too round"]}}
    with pytest.raises(CarrierRejected) as refused:
        opened(answer(refusal, 400)).create_label(ORDER)
    assert refused.value.details == {"packages": ["Too heavy", "Too round"]}


@pytest.mark.parametrize(("back", "ours"), [(KOCHI.address, "return_address"), (None, "address")])
def test_a_refused_address_of_returns_is_the_one_that_was_given(back, ours):
    theirs = {"pin_code": "postal_code", "address": "street", "city": "city", "state": "state", "country": "country"}
    refusal = {"message": "Validation failed", "errors": {f"return_{name}": "Wrong" for name in theirs}}
    with pytest.raises(CarrierRejected) as refused:
        opened(answer(refusal, 400)).register_warehouse(WarehouseRequest(warehouse=KOCHI, return_address=back))
    assert refused.value.details == {f"{ours}.{name}": ["Wrong"] for name in theirs.values()}


def test_an_order_of_our_own_reference_that_is_there_already_was_bought():
    refusal = {"message": "Validation failed", "errors": {"order_id": "Order already exists"}}
    for ask in (lambda it: it.create_label(ORDER), lambda it: it.create_return(RETURN)):
        with pytest.raises(OutcomeUnknown):
            ask(opened(answer(refusal, 400)))


def test_an_address_of_a_label_that_is_none_costs_only_the_file():
    booked = response("order_with_cash_on_delivery") | {"label_url": "http://[evil"}
    assert opened(answer(booked)).create_label(ORDER).content == b""


def test_a_booking_keeps_courier_label_and_manifest():
    adapter = opened(answer(response("order_with_cash_on_delivery")))
    label = adapter.create_label(ORDER)
    assert (label.tracking_number, label.carrier_shipment_id) == (AWB, "31990244")
    assert (label.content, label.manifest) == (A_FILE, A_FILE)
    assert label.extras == {"courier_name": "Delhivery Surface", "courier_company_id": "1"}
    assert [one["url"] for one in adapter.http.fetched] == [label.carrier_label_url, label.carrier_manifest_url]
    assert {one["hosts"] for one in adapter.http.fetched} == {("127.0.0.1:8010",)}


def test_what_is_good_to_know_and_unreadable_costs_no_order():
    told = response("order_found_by_our_reference")
    told["data"][0] |= {"freight_charges": "45.00", "courier_name": 7, "created_at": "then"}
    told["data"].append(told["data"][0] | {"order_id": 73})
    (found,) = opened(answer(told)).find_by_reference("WB-0073")
    assert (found.tracking_number, found.total_price, found.currency) == (AWB, None, "")


@pytest.mark.parametrize("changes", [{"order_id": {"id": "WB-0073"}}, {"order_id": 73}, {"label_url": {"pdf": "x"}}])
def test_what_is_sold_and_whose_it_is_is_never_guessed(changes):
    told = response("order_found_by_our_reference")
    told["data"][0] |= changes
    with pytest.raises(CarrierUnavailable):
        opened(answer(told)).find_by_reference("WB-0073")


def test_of_a_number_told_of_twice_nothing_is_lost():
    told = deepcopy(response("tracking_without_one_that_nobody_knows"))
    at = next(place for place, one in enumerate(told) if one["awb"] == AWB)
    estimate = opened(answer(told)).track([AWB])[AWB].estimated_delivery
    told.append(told[at] | {"tracking_history": [], "estimated_delivery": None})
    track = opened(answer(told)).track([AWB])[AWB]
    assert (len(track.scans), track.estimated_delivery) == (2, estimate)
    told[-1] |= {"order_id": None}
    assert len(opened(answer(told)).track([AWB])[AWB].scans) == 2
    last_year = {"timestamp": "2025-01-05 10:00:00", "status": "delivered"}
    told.append(told[at] | {"tracking_history": [last_year], "order_id": "WB-LAST-YEAR"})
    assert len(opened(answer(told)).track([AWB])[AWB].scans) == 2
    told.append(told[at] | {"tracking_history": [], "order_id": "WB-NEXT-YEAR"})
    assert not opened(answer(told)).track([AWB])[AWB].scans


def test_of_several_orders_under_a_reference_the_cancelled_is_marked():
    told = response("order_found_by_our_reference")
    again = {"awb": NOBODYS, "status": "NEW", "status_code": "NEW", "created_at": "2026-05-19 16:43:00"}
    told["data"].insert(0, told["data"][0] | again)
    found = opened(answer(told)).find_by_reference("WB-0073")
    assert [(one.tracking_number, one.cancelled) for one in found] == [(AWB, True), (NOBODYS, False)]
    assert found[0].created_at == datetime(2026, 5, 19, 11, 12, tzinfo=UTC)


def test_a_history_is_read_in_indias_time_with_the_carriers_own_text():
    track = REQUESTS["tracking_without_one_that_nobody_knows"](replaying("tracking_without_one_that_nobody_knows"))
    assert set(track) == {AWB}
    scans = track[AWB].scans
    assert [(scan.code, scan.occurred_at.isoformat()) for scan in scans] == [
        ("PKP", "2026-05-20T06:05:00+00:00"),
        ("IT", "2026-05-21T01:20:00+00:00"),
    ]
    assert {(scan.tz_assumed, scan.occurred_text) for scan in scans} == {
        (True, "2026-05-20 11:35:00"),
        (True, "2026-05-21 06:50:00"),
    }
    assert track[AWB].estimated_delivery.date().isoformat() == "2026-05-24"
    assert track[AWB].estimated_delivery.astimezone(VelocityAdapter.zone).date().isoformat() == "2026-05-24"


def test_more_numbers_than_one_call_takes_are_asked_in_several():
    adapter = opened(answer([]))
    adapter.track([f"AWB{number}" for number in range(120)])
    assert [len(sent["json"]["awbs"]) for sent in adapter.http.sent] == [50, 50, 20]


def test_an_event_about_money_is_understood_and_changes_nothing():
    news = opened(answer({})).parse_webhook(json.dumps(EVENTS["event_cash_remitted"]).encode())
    assert (news.event_type, news.scans) == ("cod_remittance", ())


def test_a_failed_attempt_keeps_reason_and_count():
    (reported,) = opened(answer({})).parse_webhook(json.dumps(EVENTS["event_nobody_at_the_door"]).encode()).scans
    assert reported.scan.details["ndr_reason"] == "CUSTOMER_NOT_AVAILABLE"
    assert reported.scan.details["attempts"] == 1
    assert reported.scan.occurred_at == datetime(2026, 5, 22, 12, 10, tzinfo=UTC)


def signed(body, *, secret=SECRET, at=NOW):
    told_at = at.isoformat()
    signature = hmac.new(secret.encode(), told_at.encode() + b"." + body, hashlib.sha256).hexdigest()
    return {"x-velocity-signature": signature, "x-velocity-timestamp": told_at}


def test_a_signed_event_is_believed_for_eight_hours():
    adapter, body = opened(answer({})), b"{}"
    adapter.verify_webhook(headers=signed(body), body=body, now=NOW + timedelta(hours=7, minutes=59))
    for headers, moment in (
        (signed(body), NOW + timedelta(hours=9)),
        (signed(body, secret="another"), NOW),
        (signed(b"{ }"), NOW),
    ):
        with pytest.raises(NotAuthenticated):
            adapter.verify_webhook(headers=headers, body=body, now=moment)


@pytest.mark.parametrize(
    ("written", "national"),
    [
        ("+91 98765 43210", "9876543210"),
        ("+91-9876543210", "9876543210"),
        ("919876543210", "9876543210"),
        ("0091 9876543210", "9876543210"),
        ("09876543210", "9876543210"),
        ("+91 (0)98230 44551", "9823044551"),
        ("0091 0 98230 44551", "9823044551"),
        ("98230 44551 ext. 12", "9823044551"),
        ("+91 22 2345 6789", "2223456789"),
        ("+44 20 7946 0018", "442079460018"),
        ("98230 44551 x5", "9823044551"),
        ("+0919823044551", "9823044551"),
        ("982304 HOME", "982304"),
        ("9823044551ext12", "9823044551"),
        ("98230 44551 extn. 5", "9823044551"),
        ("98230 44551 #12", "9823044551"),
        ("९८२३०४४५५१", "9823044551"),
        ("ask the porter", ""),
        ("9876543210", "9876543210"),
        ("9100000001", "9100000001"),
        ("+1 555 0100", "15550100"),
        ("", ""),
    ],
)
def test_a_phone_is_ten_digits(written, national):
    assert build.phone(written) == national


def test_several_packages_travel_as_one_stack():
    packages = (
        PARCEL,
        Package(weight_kg=Decimal(1), length_cm=Decimal(20), width_cm=Decimal(60), height_cm=Decimal(5)),
    )
    body = build.forward_order(Order(**PREPAID | {"packages": packages}), zone=VelocityAdapter.zone)
    measures = {name: body[name] for name in ("length", "breadth", "height", "weight")}
    assert measures == {"length": 34, "breadth": 60, "height": 17, "weight": Decimal("1.75")}


def test_where_nobody_says_what_is_inside_one_line_stands_for_it():
    body = build.forward_order(Order(**PREPAID | {"items": ()}), zone=VelocityAdapter.zone)
    assert [item["name"] for item in body["order_items"]] == ["SHOP-8812"]


def test_goods_of_which_nothing_is_declared_are_worth_what_is_collected_for_them():
    parcel = replace(PARCEL, declared_value=None)
    for order, worth in ((ORDER, 765), (replace(ORDER, payment_method=PaymentMethod.PREPAID, cod_amount=None), 0)):
        goods = build.forward_order(replace(order, items=(), packages=(parcel,)), zone=VelocityAdapter.zone)
        assert (goods["sub_total"], goods["order_items"][0]["selling_price"]) == (worth, worth)


def test_it_is_found_by_slug_and_by_name():
    assert adapter_class("VELOCITY") is adapter_class("velocity shipfast") is VelocityAdapter


def test_it_offers_what_the_document_says():
    assert set(OPERATIONS) - {LOGIN, *VelocityAdapter.capabilities()} == {
        "proof_of_delivery",
        "schedule_pickup",
        "cancel_pickup",
        "pickup_points",
        "pickup_point",
        "coverage",
        "rotate_credentials",
    }


def test_a_courier_that_collects_no_cash_is_not_offered_for_it_though_velocity_names_it():
    told = response("served_by_two_couriers")
    told["available_carriers"][0]["cod_available"] = False
    cash, paid = QUOTE, replace(QUOTE, payment_method=PaymentMethod.PREPAID, cod_amount=None)
    assert [offer.service_type for offer in opened(answer(told)).quote(cash)] == ["courier_5"]
    assert [offer.service_type for offer in opened(answer(told)).quote(paid)] == ["courier_1", "courier_5"]
    del told["available_carriers"][1]
    with pytest.raises(NotServiceable):
        opened(answer(told)).quote(cash)


def test_the_documented_limits_are_kept_to():
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
