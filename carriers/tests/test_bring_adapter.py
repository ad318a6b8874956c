"""Bring's adapter with recorded requests and responses: contract, requests, refusals, labels and limits."""

import itertools
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from carriers.adapters.apis import Json
from carriers.adapters.bring import BringAdapter, tables
from carriers.adapters.operations import is_read
from carriers.tests.bring import (
    CALLS,
    CUSTOMS,
    EVENTS,
    EXPORT,
    FIELDS,
    HOST,
    NUMBER,
    ORDER,
    PARCELS,
    RECORDED,
    REF,
    REQUESTS,
    RETURN,
    SECRET,
    TO_POINT,
    open_adapter,
    replaying,
    response,
)
from carriers.tests.contract import CarrierContract
from carriers.tests.damage import GARBAGE, STRANGE_REFUSALS
from carriers.tests.replay import FILE, answer
from carriers.types import Status, TaxId
from carriers.types.errors import (
    CarrierAuthentication,
    CarrierError,
    CarrierNotFound,
    CarrierRejected,
    CarrierUnavailable,
    NotServiceable,
    OutcomeUnknown,
    ProofNotAvailable,
)

# The error of each recorded refusal or failure.
REFUSED = {
    "refused_wrong_key": CarrierAuthentication,
    "no_product_is_possible": NotServiceable,
    "refused_postal_code_of_a_quote": CarrierRejected,
    "refused_city_and_postal_code": CarrierRejected,
    "refused_product_inside_a_success": CarrierRejected,
    "failed_inside_bring": OutcomeUnknown,
    "label_without_number_of_a_parcel": OutcomeUnknown,
    "refused_pickup_in_the_past": CarrierRejected,
    "blocked_after_too_many_misses": CarrierUnavailable,
}
# What Bring's statuses without a body mean.
BY_STATUS = {403: CarrierAuthentication, 404: CarrierNotFound}


def booking_error(code, message="No"):
    error = {
        "uniqueId": "1",
        "code": code,
        "messages": [{"lang": "no", "message": ""}, {"lang": "en", "message": message}],
    }
    return {"consignments": [{"confirmation": None, "errors": [error], "correlationId": "WB-0001"}]}


class TestBringContract(CarrierContract):
    adapter = BringAdapter
    fields = FIELDS
    calls = CALLS
    events = tuple(EVENTS.values())
    lists = (
        ("quote", ["consignments", 0, "products"]),
        ("transit_times", ["consignments", 0, "products"]),
        ("track", ["consignmentSet", 0, "packageSet", 0, "eventSet"]),
        ("pickup_points", ["pickupPoint"]),
        ("subscribe", []),
    )
    needed = {
        "check_credential": ("customers.*.customerNumber",),
        "quote": (
            "consignments.0.products.*.id",
            "consignments.0.products.*.price.netPrice.priceWithAdditionalServices.amountWithVAT",
        ),
        "transit_times": ("consignments.0.products.*.id",),
        "coverage": ("consignments.0.products.*.id",),
        "create_label": (
            "consignments.0.correlationId",
            "consignments.0.confirmation.consignmentNumber",
            "consignments.0.confirmation.links.labels",
            "consignments.0.confirmation.packages.*.packageNumber",
            "consignments.0.confirmation.packages.*.correlationId",
        ),
        "find_by_reference": (
            "consignmentSet.*.senderReference",
            "consignmentSet.*.consignmentId",
            "consignmentSet.*.packageSet.*.packageNumber",
        ),
        "track": (
            "consignmentSet.*.consignmentId",
            "consignmentSet.*.packageSet.*.packageNumber",
            "consignmentSet.*.packageSet.*.eventSet.*.status",
            "consignmentSet.*.packageSet.*.eventSet.*.dateIso",
        ),
        "proof_of_delivery": (
            "consignmentSet.*.packageSet.*.eventSet.*.status",
            "consignmentSet.*.packageSet.*.eventSet.*.dateIso",
        ),
        "schedule_pickup": ("pickupConfirmation.packageNumber",),
        "pickup_points": (
            "pickupPoint.*.id",
            "pickupPoint.*.countryCode",
            "pickupPoint.*.latitude",
            "pickupPoint.*.longitude",
        ),
        "pickup_point": (
            "pickupPoint.*.id",
            "pickupPoint.*.countryCode",
            "pickupPoint.*.latitude",
            "pickupPoint.*.longitude",
        ),
        "subscribe": ("*.id", "*.trackingId"),
    }
    needed["create_return"] = needed["create_label"]
    negatives = {"check_credential": CarrierAuthentication, "proof_of_delivery": ProofNotAvailable}
    valid_garbage = {
        ("subscribe", b"[]"),
        *(("unsubscribe", body) for body in GARBAGE.values()),
    }
    words = {
        "PRE_NOTIFIED": Status.CREATED,
        "COLLECTED": Status.PICKED_UP,
        "HANDED_IN": Status.PICKED_UP,
        "IN_TRANSIT": Status.IN_TRANSIT,
        "TERMINAL": Status.IN_TRANSIT,
        "INTERNATIONAL": Status.IN_TRANSIT,
        "CUSTOMS": Status.IN_TRANSIT,
        "TRANSPORT_TO_RECIPIENT": Status.OUT_FOR_DELIVERY,
        "READY_FOR_PICKUP": Status.AT_PICKUP_POINT,
        "NOTIFICATION_SENT": Status.INFO,
        "ATTEMPTED_DELIVERY": Status.EXCEPTION,
        "DELIVERED": Status.DELIVERED,
        "DELIVERED_SENDER": Status.RETURNED,
        "RETURN": Status.RTO,
        "DEVIATION": Status.EXCEPTION,
        "DELIVERY_CANCELLED": Status.INFO,
        "DELIVERY_CHANGED": Status.INFO,
        "DELIVERY_ORDERED": Status.INFO,
    }
    refusals = [
        (400, booking_error("BOOK-INPUT-021"), CarrierAuthentication, "BOOK-INPUT-021", "No"),
        (403, booking_error("BOOK-AUTHORIZATION-001"), CarrierAuthentication, "BOOK-AUTHORIZATION-001", "No"),
        (400, booking_error("BOOK-INPUT-025"), NotServiceable, "BOOK-INPUT-025", "No"),
        (400, booking_error("BOOK_VALIDATION-003-RECIPIENT"), NotServiceable, "BOOK_VALIDATION-003-RECIPIENT", "No"),
        (400, booking_error("BOOK-VALIDATION-099"), CarrierRejected, "BOOK-VALIDATION-099", "No"),
        (200, booking_error("BOOK-VALIDATION-099"), CarrierRejected, "BOOK-VALIDATION-099", "No"),
        (200, booking_error("BOOK-INTERNAL-001"), OutcomeUnknown, "BOOK-INTERNAL-001", "No"),
        (401, b"Unauthorized", CarrierAuthentication, "401", "Unauthorized"),
    ]

    def scan_of(self, word):
        body = response("tracking_of_two_parcels")
        package = body["consignmentSet"][0]["packageSet"][0]
        package["eventSet"] = [package["eventSet"][0] | {"status": word, "lmEventCode": "", "lmCauseCode": ""}]
        package["eventSet"][0]["description"] = ""
        body["consignmentSet"][0]["packageSet"] = [package]
        return self.open(answer(body)).track([REF])[NUMBER].scans[0]

    def test_undocumented_refusal_shows_status_and_text(self, operation):
        """As inherited, but Bring's own kinds of 403 and 404."""
        for status, body in itertools.product((400, 403, 404, 409, 418, 422), STRANGE_REFUSALS.values()):
            adapter = self.open(answer(body, status))
            if (operation, status) in (("unsubscribe", 404),) or (
                operation in ("find_by_reference", "track", "pickup_points") and status == 404
            ):
                assert not self.calls[operation][0](adapter)
                continue
            with pytest.raises(CarrierError) as problem:
                self.calls[operation][0](adapter)
            assert type(problem.value) is BY_STATUS.get(status, CarrierRejected)
            assert problem.value.carrier_code == str(status)
            assert "\0" not in problem.value.carrier_message


# Requests


@pytest.mark.parametrize("name", list(REQUESTS))
def test_request_and_response_are_as_recorded(name):
    one = RECORDED[name]
    adapter = replaying(name)
    try:
        REQUESTS[name](adapter)
    except CarrierError as error:
        assert type(error) is REFUSED[name]
    else:
        assert name not in REFUSED
    sent = adapter.http.sent[0]
    assert sent["method"] == one["request"]["method"]
    assert sent["url"].partition("/bring")[2] == one["request"]["path"]
    assert sent["params"] == one["request"].get("query")
    if name != "coverage_of_a_postal_code":  # its date is today
        assert json.loads(json.dumps(sent["json"], default=float)) == one["request"].get("body")
    assert sent["headers"]["X-Mybring-API-Uid"] == FIELDS["api_uid"]
    assert sent["headers"]["X-Mybring-API-Key"] == FIELDS["api_key"]


def test_client_url_of_the_credential_is_sent():
    for url in ("", "https://shop.example.org"):
        adapter = open_adapter(answer(response("customer_numbers_of_the_user")), client_url=url)
        adapter.check_credential()
        assert adapter.http.sent[0]["headers"].get("X-Bring-Client-URL") == (url or "https://waybill.example")


def test_credential_needs_access_to_its_customer_number():
    for number in ("20012345678", "5", "PARCELS_NORWAY-00000000005"):
        open_adapter(answer(response("customer_numbers_of_the_user")), customer_number=number).check_credential()
    with pytest.raises(CarrierAuthentication, match="credential"):
        open_adapter(answer(response("customer_numbers_of_the_user")), customer_number="7").check_credential()


def test_only_bookings_and_pickups_have_a_test_flag():
    for is_test in (True, False):
        body = Json({"testIndicator": is_test})
        for operation in ("create_label", "create_return", "schedule_pickup"):
            assert BringAdapter.is_test(operation, body) is is_test
    assert BringAdapter.is_test("subscribe", Json({})) is BringAdapter.is_test("unsubscribe", None) is None
    for environment, is_test in (("sandbox", True), ("production", False)):
        for name in ("label_of_one_parcel", "return_with_qr_code", "pickup_ordered"):
            adapter = open_adapter(answer(response(name)), environment=environment)
            REQUESTS[name](adapter)
            assert adapter.http.sent[0]["json"]["testIndicator"] is is_test


def test_test_booking_reaches_no_phone_and_no_mailbox():
    adapter = replaying("label_of_an_export")
    adapter.create_label(EXPORT)
    parties = adapter.http.sent[0]["json"]["consignments"][0]["parties"]
    contacts = [parties[name]["contact"] for name in ("sender", "recipient")]
    assert [one["phoneNumber"] for one in contacts] == ["+4712345678", "+46712345678"]
    assert {one["email"] for one in contacts} == {"test@bring.example"}
    real = open_adapter(answer(response("label_of_an_export")), environment="production")
    real.create_label(EXPORT)
    recipient = real.http.sent[0]["json"]["consignments"][0]["parties"]["recipient"]
    assert recipient["contact"] == {"name": "Bo Quist", "email": "bo@example.org", "phoneNumber": "+46700000003"}


def test_tests_at_bring_itself_ask_for_its_own_numbers_only():
    adapter = open_adapter(answer({}), url=HOST)
    assert adapter.track([REF]) == {}
    assert adapter.subscribe([NUMBER], "https://x.example/", SECRET) == []
    assert adapter.http.sent == []
    adapter = open_adapter(answer({}), url=HOST)
    with pytest.raises(CarrierError):
        adapter.track([replace(REF, tracking_number="TESTPACKAGEEDI")])


def test_time_of_a_booking_is_in_the_future():
    for ship_at in (None, datetime(2024, 1, 1, tzinfo=UTC), datetime.now(UTC)):
        adapter = replaying("label_of_one_parcel")
        adapter.create_label(replace(ORDER, ship_at=ship_at))
        sent = datetime.fromisoformat(adapter.http.sent[0]["json"]["consignments"][0]["shippingDateTime"])
        assert timedelta(minutes=5) < sent - datetime.now(UTC) < timedelta(minutes=15)


def test_ioss_number_takes_the_place_of_the_senders_reference():
    order = replace(EXPORT, customs=replace(CUSTOMS, tax_ids=(TaxId(kind="ioss", number="IM1234567890"),)))
    adapter = replaying("label_of_an_export")
    adapter.create_label(order)
    consignment = adapter.http.sent[0]["json"]["consignments"][0]
    assert "reference" not in consignment["parties"]["sender"]
    assert consignment["parties"]["recipient"]["reference"] == "WB-0001"
    assert consignment["customsInformation"]["ioss"] == "IM1234567890"
    found = response("found_by_our_reference")
    found["consignmentSet"][0]["senderReference"] = ""
    (booked,) = open_adapter(answer(found)).find_by_reference(replace(REF, order=order))
    assert (booked.reference, booked.tracking_number, booked.documents) == ("WB-0001", NUMBER, ())


# Bookings


def test_each_parcel_has_its_number_and_the_label_its_file():
    adapter = replaying("label_of_two_parcels_to_a_locker")
    booked = adapter.create_label(TO_POINT)
    assert (booked.reference, booked.tracking_number) == ("WB-0001", NUMBER)
    assert [(one.number, one.tracking_number, one.reference) for one in booked.parcels] == [
        (1, PARCELS[0], "WB-0001-1"),
        (2, PARCELS[1], "WB-0001-2"),
    ]
    (label,) = booked.documents
    assert (label.kind, label.format, label.content) == ("label", "PDF", FILE)
    ref = replace(REF, carrier_state=json.loads(json.dumps(booked.carrier_state)))
    (again,) = open_adapter(answer(FILE)).documents(ref, ("label", "invoice"))
    assert again == label
    assert open_adapter(answer(FILE)).documents(replace(REF, carrier_state={}), ("label",)) == []


def test_label_that_cannot_be_fetched_costs_no_booking():
    body = response("return_with_qr_code")
    body["consignments"][0]["confirmation"]["links"]["labels"] = "not a link"
    booked = open_adapter(answer(body)).create_return(RETURN)
    assert [(one.kind, one.content, one.parcel) for one in booked.documents] == [("label", FILE, 0), ("qr", b"", 1)]
    for junk in (b"<html>", b""):
        with pytest.raises(CarrierUnavailable):
            open_adapter(answer(junk)).documents(REF, ("label",))


def test_confirmed_booking_is_booked_whatever_its_errors():
    body = response("label_of_one_parcel")
    body["consignments"][0]["errors"] = booking_error("BOOK-INTERNAL-001")["consignments"][0]["errors"]
    assert open_adapter(answer(body)).create_label(ORDER).tracking_number == NUMBER


def test_refusals_name_fields_of_our_request():
    cases = {
        "refused_city_and_postal_code": {"destination.city", "destination.postal_code"},
        "refused_product_inside_a_success": {"service_type"},
        "refused_pickup_in_the_past": {"pickup_window_start"},
        "refused_postal_code_of_a_quote": {"destination.postal_code"},
    }
    for name, fields in cases.items():
        with pytest.raises(CarrierRejected) as refused:
            REQUESTS[name](replaying(name))
        assert set(refused.value.details) == fields


def test_every_published_error_of_an_order_names_a_field():
    unnamed = {"BOOK-INPUT-001", "BOOK-INPUT-003", "BOOK-INPUT-004", "BOOK-INPUT-005", "BOOK-INPUT-008"}
    for code, field in tables.FIELDS.items():
        assert code not in unnamed
        assert field or code in tables.ERRORS


def test_unanswered_lookup_of_another_shipment_is_unreadable():
    body = response("found_by_our_reference")
    body["consignmentSet"][0]["senderReference"] = "ANOTHER"
    with pytest.raises(CarrierUnavailable):
        open_adapter(answer(body)).find_by_reference(REF)
    assert REQUESTS["found_nothing"](replaying("found_nothing")) == []
    assert BringAdapter.lookup.quiet == timedelta(minutes=10)
    assert open_adapter(answer({})).unused_costs(ORDER) is False


# Subscriptions


def test_own_subscription_is_replaced_and_one_of_another_url_stays():
    hook, other = "https://ship.example.org/webhooks/bring/events/1", "https://shop.example.org/hook"
    created = response("subscribed")
    mine = created[0] | {"configuration": {"url": hook, "headers": [{"key": "X-Webhook-Token"}]}}
    theirs = mine | {"configuration": {"url": other}}
    adapter = open_adapter(
        answer({"uuid": "1", "status": "409", "reason": "exists"}, 409),
        answer([mine]),
        answer(b"", 204),
        answer(created),
    )
    (subscription,) = adapter.subscribe([NUMBER], hook, SECRET)
    assert (subscription.numbers, subscription.expires_at.isoformat()) == ((NUMBER,), "2027-02-14T10:00:00+00:00")
    assert [sent["method"] for sent in adapter.http.sent] == ["POST", "GET", "DELETE", "POST"]
    adapter = open_adapter(answer(b"", 409), answer([theirs]))
    assert adapter.subscribe([NUMBER], hook, SECRET) == []
    assert [sent["method"] for sent in adapter.http.sent] == ["POST", "GET"]


def test_hundred_numbers_are_subscribed_in_one_request():
    numbers = [f"7043810900{number:07}" for number in range(BringAdapter.numbers_per_subscription)]
    adapter = open_adapter(answer([response("subscribed")[0] | {"trackingId": number} for number in numbers]))
    assert [one.numbers[0] for one in adapter.subscribe(numbers, "https://x.example/", SECRET)] == numbers
    (sent,) = adapter.http.sent
    assert sent["json"]["trackingIds"] == numbers
    assert len(numbers) == 100
    assert len(sent["json"]["event_groups"]) == len(set(sent["json"]["event_groups"]) - {"UNKNOWN"}) == 18


def test_webhook_needs_the_token_and_has_the_track_read_again():
    adapter, body, now = open_adapter(answer({})), json.dumps(EVENTS["event_in_transit"]).encode(), datetime.now(UTC)
    adapter.verify_webhook(headers={"x-webhook-token": SECRET}, body=body, now=now)
    report = adapter.parse_webhook(body)
    assert (report.event_type, report.reread, report.scans) == ("IN_TRANSIT", (NUMBER,), ())
    assert BringAdapter.webhook_proof == "token"
    assert not is_read("subscribe")
