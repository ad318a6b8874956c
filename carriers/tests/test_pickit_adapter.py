"""Pickit's adapter on recorded answers (``fixtures/pickit``): what goes out, what is made of what comes back."""

import hashlib
import hmac
import json
import uuid
from contextlib import suppress
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apikeys.http.errors import NotAuthenticated, ValidationFailed
from carriers.adapters.operations import OPERATIONS, Effect
from carriers.adapters.pickit import PickitAdapter
from carriers.adapters.registry import adapter_class
from carriers.credentials import storage
from carriers.http.call_log import Caller
from carriers.http.transport import HttpTransport
from carriers.tests import recorded
from carriers.tests.contract import CarrierContract, Replay, Tokens, answer
from carriers.types import Address, Order, Package, PickupRequest, Status, WebhookReport
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

NUMBER = "PKT-4081726350"
BASE = "http://127.0.0.1:8010/pickit/v2"
SECRET = "whsec-of-the-tests"
NOW = datetime(2024, 3, 17, 15, 0, tzinfo=UTC)
HOSTILE = "PKT/../1?x=ü#y"
HOSTILE_ENCODED = "PKT%2F..%2F1%3Fx%3D%C3%BC%23y"

WAREHOUSE = Address(
    company="Lindenhof Goods",
    contact_name="Ida Falk",
    contact_phone="+15550100177",
    contact_email="depot@lindenhof.example",
    street="19 Depot Lane",
    city="Albany",
    state="NY",
    postal_code="12207",
    country="US",
)
CUSTOMER = Address(
    contact_name="Recipient One",
    contact_phone="+15550100188",
    contact_email="recipient@lindenhof.example",
    street="31 Elm Court",
    city="Buffalo",
    state="NY",
    postal_code="14202",
    country="US",
)
PARCEL = Package(
    weight_kg=Decimal("3.25"),
    length_cm=Decimal(42),
    width_cm=Decimal(28),
    height_cm=Decimal(17),
    declared_value=Decimal(80),
    currency="USD",
    description="Ceramic bowls",
)
QUOTE = Order(origin=WAREHOUSE, destination=CUSTOMER, packages=(PARCEL,), pickup_point_id="PP-70421")
ORDER = Order(
    reference="WB-0001",
    order_id="ORDER-7301",
    origin=WAREHOUSE,
    destination=CUSTOMER,
    packages=(PARCEL,),
    pickup_point_id="PP-70421",
    customer_reference="CR-5518",
)
VAN = PickupRequest(
    reference="WB-P-1",
    pickup_date=datetime(2024, 3, 16, 11, 15, tzinfo=UTC).astimezone(),
    window_start="11:15",
    window_end="15:45",
    address=WAREHOUSE,
    packages_count=7,
    total_weight_kg=Decimal("18.75"),
    special_instructions="Use the side gate",
    tracking_numbers=(NUMBER, "PKT-4081726351", "PKT-4081726352"),
)
NEAR = {"latitude": 41.5639, "longitude": -73.9401, "radius_km": 6.5, "limit": 25}
PLACE = {"postal_code": "12180", "city": "Troy", "country": "US"}
NOWHERE = {"postal_code": "99950", "city": "Ketchikan", "country": "US"}
FIELDS = {"client_id": "lindenhof-goods", "client_secret": "lindenhof-secret", "webhook_secret": SECRET}
MISTAKE, NO_PARCELS = "Bought twice by mistake", "no parcels today"
RECORDED, EVENTS = recorded.examples("pickit"), recorded.events("pickit")


def fixture(name):
    """What Pickit answers or pushes."""
    return deepcopy(EVENTS[name] if name in EVENTS else RECORDED[name]["response"])


def _order_to(**changes):
    return replace(ORDER, destination=replace(CUSTOMER, **changes))


CALLS = {
    "quote": (lambda it: it.quote(QUOTE), fixture("quote_parts_sum_to_total")),
    "create_label": (lambda it: it.create_label(ORDER), fixture("label_bought_to_a_pickup_point")),
    "find_by_reference": (lambda it: it.find_by_reference("WB-0001"), fixture("found_twice_the_first_cancelled")),
    "cancel": (lambda it: it.cancel(NUMBER, MISTAKE), fixture("cancelled_at_the_customers_wish")),
    "track": (lambda it: it.track([NUMBER]), fixture("tracking_failed_at_the_door_then_waiting_at_a_point")),
    "proof_of_delivery": (lambda it: it.proof_of_delivery(NUMBER), fixture("proof_left_with_the_receptionist")),
    "schedule_pickup": (lambda it: it.schedule_pickup(VAN), fixture("pickup_scheduled_with_a_driver")),
    "cancel_pickup": (lambda it: it.cancel_pickup("PCK-665544", NO_PARCELS), fixture("pickup_called_off")),
    "pickup_points": (lambda it: it.pickup_points(**NEAR), fixture("points_near_downtown_one_closed")),
    "pickup_point": (lambda it: it.pickup_point("PP-70421"), fixture("point_downtown_locker_in_full")),
    "coverage": (lambda it: it.coverage(**PLACE), fixture("coverage_of_a_city")),
    "rotate_credentials": (lambda it: it.rotate_credentials(), fixture("secret_made_anew")),
}
ASK = {operation: call for operation, (call, _body) in CALLS.items()}
# The call that makes each recorded request.
REQUESTS = {
    "token_granted": lambda it: it.fetch_token(),
    "secret_made_anew": ASK["rotate_credentials"],
    "points_near_downtown_one_closed": ASK["pickup_points"],
    "points_none_near": lambda it: it.pickup_points(**NEAR | {"radius_km": 0.125}),
    "point_downtown_locker_in_full": ASK["pickup_point"],
    "label_bought_to_the_door": lambda it: it.create_label(replace(ORDER, pickup_point_id="")),
    "proof_collected_with_a_code_no_pictures": ASK["proof_of_delivery"],
    "proof_left_with_the_receptionist": ASK["proof_of_delivery"],
    "cancelled_at_the_customers_wish": ASK["cancel"],
    "pickup_scheduled_with_a_driver": ASK["schedule_pickup"],
    "pickup_called_off": ASK["cancel_pickup"],
    "coverage_of_a_city": ASK["coverage"],
    "coverage_where_nobody_goes": lambda it: it.coverage(**NOWHERE),
    "refused_wrong_client_secret": lambda it: it.fetch_token(),
    "refused_token_expired": ASK["track"],
    "refused_account_suspended": ASK["create_label"],
    "refused_label_format": lambda it: it.create_label(replace(ORDER, label_format="DOCX")),
    "refused_postal_code_missing": lambda it: it.create_label(_order_to(postal_code="")),
    "refused_postal_code_not_served": lambda it: it.create_label(_order_to(postal_code="99950")),
    "refused_weight_of_the_first_package": lambda it: it.create_label(
        replace(ORDER, packages=(replace(PARCEL, weight_kg=Decimal(31)),))
    ),
    "refused_pickup_point_closed": lambda it: it.create_label(replace(ORDER, pickup_point_id="PP-6578-5302")),
    "refused_no_such_pickup_point": lambda it: it.pickup_point("PP-00000"),
    "refused_no_such_shipment": lambda it: it.track(["PKT-0000000000"]),
    "refused_no_such_pickup": lambda it: it.cancel_pickup("PCK-000000", NO_PARCELS),
    "refused_no_proof_before_delivery": ASK["proof_of_delivery"],
    "refused_cancelling_what_is_delivered": ASK["cancel"],
    "refused_cancelling_a_pickup_that_was_made": ASK["cancel_pickup"],
    "refused_too_many_requests": ASK["track"],
    "failed_inside_pickit": ASK["create_label"],
}
FAMILIES = {"quote_": "quote", "label_": "create_label", "tracking_": "track", "found_": "find_by_reference"}
REQUESTS |= {
    name: ASK[operation]
    for start, operation in FAMILIES.items()
    for name in RECORDED
    if name.startswith(start) and name not in REQUESTS
}
# What each recorded refusal is to us, asked for by its own request; a number that is not known is just absent.
REFUSED = {
    "refused_wrong_client_secret": CarrierAuthentication,
    "refused_token_expired": CarrierAuthentication,
    "refused_account_suspended": CarrierRejected,
    "refused_label_format": CarrierRejected,
    "refused_postal_code_missing": CarrierRejected,
    "refused_weight_of_the_first_package": CarrierRejected,
    "refused_postal_code_not_served": NotServiceable,
    "refused_pickup_point_closed": NotServiceable,
    "refused_no_such_pickup_point": CarrierNotFound,
    "refused_no_such_pickup": CarrierNotFound,
    "refused_no_proof_before_delivery": ProofNotAvailable,
    "refused_cancelling_what_is_delivered": CarrierCannotCancel,
    "refused_cancelling_a_pickup_that_was_made": CarrierCannotCancel,
}
# The account that sends a recorded request, where it is not the usual one.
ACCOUNTS = {"refused_wrong_client_secret": {"client_secret": "guessed"}}


def refusal(name, kind):
    body = fixture(f"refused_{name}")
    return RECORDED[f"refused_{name}"]["status"], body, kind, body["error"]["code"], body["error"]["message"]


def opened(*answers, **fields):
    return PickitAdapter(fields=FIELDS | fields, base_url=BASE, http=Replay(*answers), tokens=Tokens())


def replaying(name):
    """The adapter whose recorded request is answered as recorded."""
    return opened(answer(fixture(name), RECORDED[name]["status"]), **ACCOUNTS.get(name, {}))


def ask(name, call=None):
    """The result of a call, the recorded one if none is given, that is answered as recorded; and what was sent."""
    adapter = replaying(name)
    return (call or REQUESTS[name])(adapter), adapter.http.sent[-1]


def parse(event):
    return opened(answer({})).parse_webhook(event if isinstance(event, bytes) else json.dumps(event).encode())


def only_scan(event):
    (reported,) = parse(event).scans
    return reported.scan


class TestPickitKeepsTheContract(CarrierContract):
    adapter = PickitAdapter
    fields = FIELDS
    calls = CALLS
    events = tuple(EVENTS.values())
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
        refusal("no_such_shipment", CarrierShipmentNotFound),
        refusal("no_such_pickup_point", CarrierNotFound),
        refusal("no_such_pickup", CarrierNotFound),
        refusal("no_proof_before_delivery", ProofNotAvailable),
        refusal("cancelling_what_is_delivered", CarrierCannotCancel),
        refusal("postal_code_not_served", NotServiceable),
        refusal("pickup_point_closed", NotServiceable),
        (413, {"error": {"code": "TOO_LARGE", "message": "Too large"}}, CarrierRejected, "TOO_LARGE", "Too large"),
    ]

    def scan_of(self, word):
        body = fixture("tracking_in_transit")
        body["events"] = [{"timestamp": "2024-03-15T10:00:00Z", "status": word}]
        return self.open(answer(body)).track([NUMBER])[NUMBER].scans[0]


class TestRecords:
    def test_each_has_its_request_and_each_refusal_its_error(self):
        assert set(REQUESTS) == set(RECORDED)
        apart = {"refused_no_such_shipment", "refused_too_many_requests"}
        assert {*REFUSED} | apart == {name for name in RECORDED if name.startswith("refused_")}
        assert {sent["operation"] for name in RECORDED for sent in self.sent_for(name)} == {*CALLS, "token"}

    def sent_for(self, name):
        adapter = replaying(name)
        with suppress(CarrierError):
            REQUESTS[name](adapter)
        return adapter.http.sent

    @pytest.mark.parametrize("name", list(RECORDED))
    def test_what_goes_out_is_the_recorded_request(self, name):
        asked, (sent, *_repeated) = RECORDED[name]["request"], self.sent_for(name)
        assert (sent["method"], sent["url"]) == (asked["method"], BASE + asked["path"])
        assert (sent["params"], sent["json"]) == (asked.get("query"), asked.get("body"))
        assert sent["headers"] == ({} if sent["operation"] == "token" else {"Authorization": "Bearer token-1"})

    @pytest.mark.parametrize("name", list(REFUSED))
    def test_a_recorded_refusal_of_a_recorded_request_keeps_pickits_words(self, name):
        with pytest.raises(CarrierError) as refused:
            ask(name)
        told = fixture(name)["error"]
        assert type(refused.value) is REFUSED[name]
        assert (refused.value.carrier_code, refused.value.carrier_message) == (told["code"], told["message"])

    @pytest.mark.django_db(transaction=True)
    @pytest.mark.parametrize(
        ("name", "kind", "wait"),
        [("refused_too_many_requests", CarrierRateLimited, 7), ("failed_inside_pickit", OutcomeUnknown, None)],
    )
    def test_a_limit_is_told_as_such_and_a_failed_purchase_is_in_doubt(
        self, tenant, carrier, settings, name, kind, wait
    ):
        settings.CARRIER_MAX_RETRIES = 0
        account = storage.save_credential(
            tenant=tenant, mode="test", carrier="pickit", environment="sandbox", fields=FIELDS
        )
        http = HttpTransport(Caller(account, tenant.merchant_id, PickitAdapter.name))
        carrier.answers = [(RECORDED[name]["status"], json.dumps(fixture(name)).encode(), {"Retry-After": "7"})]
        with pytest.raises(kind) as failed:
            REQUESTS[name](PickitAdapter(fields=FIELDS, base_url=carrier.url, http=http, tokens=Tokens()))
        said = RECORDED[name]["response"]["error"]
        assert (failed.value.carrier_code, failed.value.carrier_message) == (said["code"], said["message"])
        assert failed.value.retry_after_s == wait
        assert len(carrier.requests) == 1


class TestRegistry:
    @pytest.mark.parametrize("name", ["", "dhl", "pick it", "pickit\0"])
    def test_an_unknown_carrier_is_refused_with_the_known_ones(self, name):
        with pytest.raises(ValidationFailed) as refused:
            adapter_class(name)
        assert "Pickit" in refused.value.details["carrier"][0]


class TestToken:
    def test_a_granted_token_lasts_as_long_as_it_says(self):
        before = datetime.now(UTC)
        token, _sent = ask("token_granted")
        assert token.value == "tok-8f2a61"
        assert timedelta(seconds=3599) < token.expires_at - before < timedelta(seconds=3630)

    @pytest.mark.parametrize("status", [400, 401, 403])
    def test_a_refused_log_in_is_the_credentials_fault_in_pickits_words(self, status):
        with pytest.raises(CarrierAuthentication) as refused:
            opened(answer(fixture("refused_wrong_client_secret"), status)).fetch_token()
        assert refused.value.carrier_code == "INVALID_CLIENT"
        assert refused.value.carrier_message == "Unknown client or wrong secret"

    @pytest.mark.parametrize("status", [400, 401, 403])
    def test_a_log_in_refused_in_any_words_is_the_credentials_fault(self, status):
        with pytest.raises(CarrierAuthentication) as refused:
            opened(answer({"error": {"code": "NO_SUCH_CLIENT", "message": "Who?"}}, status)).fetch_token()
        assert (refused.value.carrier_code, refused.value.carrier_message) == ("NO_SUCH_CLIENT", "Who?")

    def test_a_log_in_at_a_wrong_address_is_not_the_credentials_fault(self):
        with pytest.raises(CarrierRejected):
            opened(answer(b"<html>404</html>", 404)).fetch_token()

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
    def test_a_token_that_cannot_be_used_is_no_token_and_is_not_quoted(self, body):
        with pytest.raises(CarrierUnavailable) as problem:
            opened(answer(body)).fetch_token()
        assert "secret-inside" not in problem.value.carrier_message


class TestQuote:
    def test_the_price_comes_with_its_parts(self):
        (offer,), _sent = ask("quote_parts_sum_to_total")
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
    def test_the_total_is_pickits_and_a_difference_is_a_line_of_its_own(self, name, total, other):
        (offer,), _sent = ask(name)
        assert offer.total_price == Decimal(total) == sum(offer.breakdown.values())
        assert offer.breakdown["other"] == Decimal(other)
        assert {"base_rate", "fuel_surcharge", "insurance", "handling_fee", "pickup_point_fee"} < set(offer.breakdown)

    @pytest.mark.parametrize("total", ["12.50", None, True, [], float("nan"), float("inf"), 1e300])
    def test_a_total_that_is_no_price_is_no_offer(self, total):
        with pytest.raises(CarrierUnavailable):
            opened(answer(fixture("quote_parts_sum_to_total") | {"total_price": total})).quote(QUOTE)


class TestLabel:
    def test_what_was_bought_is_read_whole(self):
        label, _sent = ask("label_bought_to_a_pickup_point")
        assert (label.reference, label.tracking_number, label.carrier_shipment_id) == ("WB-0001", NUMBER, "SHP-203948")
        assert label.content.startswith(b"%PDF")
        assert (label.label_format, label.label_size) == ("PDF", "4x6")
        assert label.carrier_label_url == f"https://labels.pickit.net/{NUMBER}.pdf"
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

    def test_to_the_door_there_is_neither_point_nor_code(self):
        label, _sent = ask("label_bought_to_the_door")
        assert (label.pickup_code, label.extras["pickup_point"]) == ("", None)

    @pytest.mark.parametrize(
        "name",
        [
            "label_whose_file_is_no_pdf",
            "label_whose_file_is_no_base64",
            "label_whose_base64_has_foreign_characters",
            "label_in_a_format_unheard_of",
            "label_of_another_reference",
        ],
    )
    def test_a_label_that_cannot_be_printed_or_is_not_ours_is_looked_up_not_bought_again(self, name):
        adapter = opened(answer(fixture(name), 201))
        with pytest.raises(OutcomeUnknown):
            adapter.create_label(ORDER)
        assert len(adapter.http.sent) == 1

    @pytest.mark.parametrize("number", ["../../etc/passwd", "PKT 1", "P" * 51, "PKT-\x00", 1234567890, ""])
    def test_a_number_that_is_none_leaves_the_purchase_in_doubt(self, number):
        with pytest.raises(OutcomeUnknown):
            opened(answer(fixture("label_bought_to_the_door") | {"tracking_number": number})).create_label(ORDER)

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("total_price", "16.28"),
            ("total_price", -16.28),
            ("currency", 840),
            ("estimated_delivery", "soon"),
            ("pickup_code", 330721),
            ("pickup_point", "PP-70421"),
            ("barcode", ["9"]),
        ],
    )
    def test_what_is_good_to_know_and_unreadable_costs_no_label(self, field, value):
        told = fixture("label_bought_to_a_pickup_point") | {field: value}
        label = opened(answer(told, 201)).create_label(ORDER)
        assert label.tracking_number == told["tracking_number"]
        known = {**vars(label), **label.extras}
        assert not known[field]

    def test_whether_a_label_is_cancelled_is_never_guessed(self):
        told = fixture("found_twice_the_first_cancelled")
        told["data"][0]["status"] = 7
        with pytest.raises(CarrierUnavailable):
            opened(answer(told)).find_by_reference("WB-0001")

    def test_a_refusal_names_the_field_of_our_request(self):
        fields = {
            "weight_of_the_first_package": "packages[0].weight_kg",
            "postal_code_missing": "destination.postal_code",
            "label_format": "label_format",
            "pickup_point_closed": "metadata.pickup_point_id",
        }
        for name, field in fields.items():
            body = fixture(f"refused_{name}")
            with pytest.raises(CarrierError) as refused:
                opened(answer(body, 400)).create_label(ORDER)
            assert refused.value.details == {field: [body["error"]["message"]]}

    def test_everything_under_our_reference_is_found_the_cancelled_one_marked(self):
        labels, sent = ask("found_twice_the_first_cancelled")
        assert [(label.tracking_number, label.cancelled) for label in labels] == [
            ("PKT-4081726311", True),
            (NUMBER, False),
        ]
        assert OPERATIONS[sent["operation"]] is Effect.READ

    def test_an_empty_list_is_nothing_found_and_another_reference_no_answer(self):
        assert ask("found_nothing")[0] == []
        with pytest.raises(CarrierUnavailable):
            ask("found_twice_the_first_cancelled", lambda it: it.find_by_reference("WB-000"))


class TestTracking:
    def test_the_history_is_read(self):
        tracks, _sent = ask("tracking_in_transit")
        track = tracks[NUMBER]
        assert [(scan.code, scan.status, scan.location) for scan in track.scans] == [
            ("created", Status.CREATED, "Albany, NY"),
            ("picked_up", Status.PICKED_UP, "Albany, NY"),
            ("in_transit", Status.IN_TRANSIT, "Syracuse, NY"),
        ]
        assert track.scans[2].occurred_at == datetime(2024, 3, 16, 7, 45, tzinfo=UTC)
        assert track.scans[2].occurred_text == "2024-03-16T07:45:00Z"
        assert track.scans[2].details == {"vehicle": "VAN-771", "route": "RTE-042"}
        assert not track.scans[2].tz_assumed
        assert track.estimated_delivery == datetime(2024, 3, 17, 18, 30, tzinfo=UTC)
        assert track.current_location == "Harbour Sorting Hall"
        assert track.extras == {
            "pickup_point": {"id": "PP-70421", "name": "Riverside Lockers"},
            "pickup_code": "PICKUP-330721",
        }

    def test_a_failed_attempt_and_the_locker_keep_their_details(self):
        tracks, _sent = ask("tracking_failed_at_the_door_then_waiting_at_a_point")
        moving, failed, waiting = tracks[NUMBER].scans[-3:]
        assert moving.details["progress_percentage"] == 97.5
        assert failed.status == Status.EXCEPTION
        assert failed.details["failure_reason"] == "CUSTOMER_NOT_AVAILABLE"
        assert (failed.details["attempts"], failed.details["next_action"]) == (2, "RETURN_TO_DEPOT")
        assert waiting.details["locker_number"] == "C-07"
        assert waiting.details["hold_until"] == "2024-03-24T21:00:00Z"
        assert waiting.details["notification_channels"] == ["SMS", "EMAIL"]
        assert tracks[NUMBER].extras["delivery_attempts"] == 2

    def test_times_without_offset_are_utc_and_say_so_and_the_oldest_comes_first(self):
        tracks, _sent = ask("tracking_newest_first_without_offsets")
        created, picked_up = tracks[NUMBER].scans
        assert (created.code, picked_up.code) == ("created", "picked_up")
        assert picked_up.occurred_at == datetime(2024, 3, 15, 13, 5, tzinfo=UTC)
        assert picked_up.tz_assumed
        assert picked_up.occurred_text == "2024-03-15T13:05:00"

    def test_a_code_nobody_knows_is_kept_at_its_true_instant(self):
        tracks, _sent = ask("tracking_with_a_code_nobody_knows")
        (scan,) = tracks[NUMBER].scans
        assert (scan.code, scan.status, scan.description) == ("held_by_customs", Status.UNKNOWN, "Held by customs")
        assert scan.occurred_at == datetime(2024, 3, 16, 7, tzinfo=UTC)

    def test_each_number_is_one_call_and_unknown_ones_are_absent(self):
        adapter = opened(answer(fixture("refused_no_such_shipment"), 404), answer(fixture("tracking_in_transit")))
        assert set(adapter.track(["PKT-0000000000", NUMBER])) == {NUMBER}
        assert len(adapter.http.sent) == 2

    def test_a_missing_page_is_not_an_unknown_number(self):
        with pytest.raises(CarrierRejected):
            opened(answer(b"<html>404</html>", 404)).track([NUMBER])

    def test_another_parcels_history_is_not_taken_for_this_ones(self):
        with pytest.raises(CarrierUnavailable):
            opened(answer(fixture("tracking_in_transit"))).track(["PKT-5555555555"])


class TestPathsFromCallers:
    CALLS = {
        "track": (lambda it, name: it.track([name]), "/shipments/{}/tracking"),
        "cancel": (lambda it, name: it.cancel(name, ""), "/shipments/{}/cancel"),
        "proof": (lambda it, name: it.proof_of_delivery(name), "/shipments/{}/proof-of-delivery"),
        "point": (lambda it, name: it.pickup_point(name), "/pickup-points/{}"),
    }

    @pytest.mark.parametrize("what", list(CALLS))
    def test_they_stay_one_segment(self, what):
        call, path = self.CALLS[what]
        adapter = opened(answer(fixture("refused_account_suspended"), 403))
        with pytest.raises(CarrierRejected):
            call(adapter, HOSTILE)
        assert adapter.http.sent[0]["url"] == BASE + path.format(HOSTILE_ENCODED)

    @pytest.mark.parametrize("what", list(CALLS))
    @pytest.mark.parametrize("name", ["", ".", ".."])
    def test_dots_that_would_climb_are_unknown_without_a_call(self, what, name):
        call, _path = self.CALLS[what]
        adapter = opened(answer({}))
        if what == "track":
            assert call(adapter, name) == {}
        else:
            with pytest.raises(CarrierNotFound):
                call(adapter, name)
        assert adapter.http.sent == []


class TestCancelAndProof:
    def test_a_cancellation_says_when_and_what_comes_back(self):
        done, sent = ask("cancelled_at_the_customers_wish", lambda it: it.cancel(NUMBER, "changed my mind"))
        assert (sent["json"], OPERATIONS[sent["operation"]]) == ({"reason": "changed my mind"}, Effect.WRITE)
        assert done.cancelled_at == datetime(2024, 3, 16, 9, 35, tzinfo=UTC)
        assert (done.refund_status, done.refund_amount) == ("pending", Decimal("16.28"))
        assert done.reason == "Bought twice by mistake"

    def test_proof_at_the_door(self):
        proof, _sent = ask("proof_left_with_the_receptionist")
        assert proof.delivered_at == datetime(2024, 3, 17, 16, 47, tzinfo=UTC)
        assert (proof.signed_by, proof.location, proof.notes) == (
            "Recipient One",
            "Side porch",
            "Handed over at the desk",
        )
        assert proof.signature_image.startswith("data:image/")
        assert proof.delivery_photo.startswith("data:image/")
        assert (proof.delivery_type, proof.pickup_code_used) == ("HOME_DELIVERY", None)
        assert (proof.latitude, proof.longitude) == (42.8864, -78.8784)

    def test_proof_at_a_locker_without_pictures(self):
        proof, _sent = ask("proof_collected_with_a_code_no_pictures")
        assert (proof.signature_image, proof.delivery_photo, proof.notes) == ("", "", "")
        assert (proof.delivery_type, proof.pickup_code_used) == ("PICKUP_POINT", "PICKUP-330721")
        assert (proof.latitude, proof.longitude) == (None, None)


class TestPickup:
    def test_the_booking_tells_the_driver(self):
        booked, _sent = ask("pickup_scheduled_with_a_driver")
        assert (booked.carrier_pickup_id, booked.confirmation_number) == ("PCK-665544", "CONF-908172")
        assert booked.scheduled_date == datetime(2024, 3, 16, 11, 15, tzinfo=UTC)
        assert (booked.window_start, booked.window_end, booked.status) == ("11:15", "15:45", "scheduled")
        assert booked.extras == {
            "driver_name": "Driver Nine",
            "driver_phone": "+15550100123",
            "estimated_arrival": "2024-03-16T12:40:00Z",
            "tracking_url": "https://track.pickit.net/pickup/PCK-665544",
        }


class TestPointsAndCoverage:
    def test_open_points_are_listed_as_pickit_orders_them(self):
        points, _sent = ask("points_near_downtown_one_closed")
        assert [(point.id, point.kind, point.distance_km) for point in points] == [
            ("PP-70421", "LOCKER", 0.62),
            ("PP-54021", "STORE", 1.87),
        ]
        locker, store = points
        assert locker.opening_hours["friday"] == "07:30-23:30"
        assert locker.services == ("PACKAGE_PICKUP", "PACKAGE_DROP")
        assert locker.capacity == {"small": 11, "medium": 6, "large": 3}
        assert (store.code, store.services, store.opening_hours) == ("", (), {})

    def test_no_more_than_asked_for_and_none_is_fine(self):
        few, _sent = ask("points_near_downtown_one_closed", lambda it: it.pickup_points(**NEAR | {"limit": 1}))
        assert len(few) == 1
        assert ask("points_none_near")[0] == []

    def test_one_point_is_read_in_full(self):
        point, _sent = ask("point_downtown_locker_in_full")
        assert point.services == ("PACKAGE_PICKUP", "PACKAGE_DROP", "RETURNS")
        assert point.accessibility == {"wheelchair": True, "parking": True, "public_transport": True}
        assert len(point.images) == 2
        assert point.instructions.startswith("Behind the ticket hall")
        assert (point.latitude, point.longitude, point.distance_km) == (41.5683, -73.9432, None)
        assert point.address.street == "8 Quay Road"

    def test_coverage_where_pickit_goes_and_where_not(self):
        served, _sent = ask("coverage_of_a_city")
        assert served.service_available
        assert served.estimated_transit_days == {"STANDARD": 3, "EXPRESS": 2, "PICKUP_POINT": 4}
        assert served.surcharges == {"residential": False, "extended_area": False}
        unserved, _sent = ask("coverage_where_nobody_goes")
        assert (unserved.service_available, unserved.service_types) == (False, ())


def sign(body, told_at, secret=SECRET):
    text = hmac.new(secret.encode(), told_at.encode() + b"." + body, hashlib.sha256).hexdigest()
    return {"x-pickit-signature": text, "x-pickit-timestamp": told_at, "x-pickit-event": "shipment.delivered"}


def verify(headers, body=b"{}", now=NOW, **fields):
    return opened(answer({}), **fields).verify_webhook(headers=headers, body=body, now=now)


class TestSignature:
    @pytest.mark.parametrize(
        "told_at",
        [
            "2024-03-17T15:00:00Z",
            "2024-03-17T15:00:00",
            "2024-03-17T15:00:00.123Z",
            "2024-03-17T14:59:59.123456789+00:00",
            "2024-03-17T10:00:00-05:00",
            "2024-03-17T07:00:00Z",
            "2024-03-17T15:05:00Z",
        ],
    )
    def test_what_is_signed_and_young_enough_is_taken(self, told_at):
        verify(sign(b'{"a": 1}', told_at), b'{"a": 1}')

    @pytest.mark.parametrize("told_at", ["2024-03-17T06:59:59Z", "2024-03-17T15:05:01Z"])
    def test_older_than_eight_hours_or_more_than_five_minutes_ahead_is_refused(self, told_at):
        with pytest.raises(NotAuthenticated):
            verify(sign(b"{}", told_at))

    @pytest.mark.parametrize("told_at", ["", "now", "1705503600", "2024-13-40T00:00:00Z", "0001-01-01T00:00:00+14:00"])
    def test_a_signed_time_that_is_none_is_refused(self, told_at):
        with pytest.raises(NotAuthenticated):
            verify(sign(b"{}", told_at))

    @pytest.mark.parametrize(
        "change",
        [
            {"x-pickit-signature": ""},
            {"x-pickit-signature": "ü" * 64},
            {"x-pickit-signature": "\udcff"},
            {"x-pickit-signature": "0" * 64},
            {"x-pickit-timestamp": "2024-03-17T15:00:01Z"},
            {"x-pickit-timestamp": "\udcff"},
            {"x-pickit-timestamp": ""},
        ],
    )
    def test_another_signature_or_time_is_refused(self, change):
        with pytest.raises(NotAuthenticated):
            verify(sign(b"{}", "2024-03-17T15:00:00Z") | change)

    def test_one_changed_byte_or_another_accounts_secret_is_refused(self):
        told_at = "2024-03-17T15:00:00Z"
        for headers, body in ((sign(b"{}", told_at), b"{ }"), (sign(b"{}", told_at, "another"), b"{}")):
            with pytest.raises(NotAuthenticated):
                verify(headers, body)

    @pytest.mark.parametrize("secret", ["", None])
    def test_without_a_webhook_secret_nothing_is_believed(self, secret):
        with pytest.raises(NotAuthenticated):
            verify(sign(b"{}", "2024-03-17T15:00:00Z", ""), webhook_secret=secret)


class TestEvents:
    @pytest.mark.parametrize(
        ("name", "code", "status", "at", "place"),
        [
            ("shipment_created", "created", Status.CREATED, (15, 9, 20), ""),
            ("picked_up_told_a_minute_later", "picked_up", Status.PICKED_UP, (15, 13, 5), "Albany, NY"),
            ("in_transit_to_a_hub", "in_transit", Status.IN_TRANSIT, (16, 7, 45), "Harbour Sorting Hall"),
            (
                "waiting_in_a_locker",
                "at_pickup_point",
                Status.AT_PICKUP_POINT,
                (17, 10, 40),
                "Riverside Lockers",
            ),
            (
                "collected_told_a_minute_later",
                "delivered",
                Status.DELIVERED,
                (17, 16, 47),
                "Riverside Lockers",
            ),
            ("nobody_at_the_door", "exception", Status.EXCEPTION, (17, 17, 25), ""),
        ],
    )
    def test_an_event_is_the_scan_that_tracking_will_show(self, name, code, status, at, place):
        event = fixture(f"event_{name}")
        (reported,) = parse(event).scans
        scan = reported.scan
        day, hour, minute = at
        assert reported.tracking_number == NUMBER
        assert (scan.code, scan.status, scan.location) == (code, status, place)
        assert scan.occurred_at == datetime(2024, 3, day, hour, minute, tzinfo=UTC)
        assert scan.description
        assert not scan.tz_assumed
        columns = {"tracking_number", "shipment_id", "pickup_time", "delivered_at", "location", "current_location"}
        assert scan.details == {key: value for key, value in event["data"].items() if key not in columns}

    def test_a_failure_says_what_went_wrong_and_when_it_is_tried_again(self):
        (reported,) = parse(fixture("event_nobody_at_the_door")).scans
        assert reported.scan.description == "Nobody opened, no safe place"
        assert reported.estimated_delivery == datetime(2024, 3, 18, 9, 30, tzinfo=UTC)

    def test_by_webhook_and_by_tracking_a_scan_has_one_identity(self):
        tracks, _sent = ask("tracking_in_transit")
        polled = {(scan.code, scan.occurred_at) for scan in tracks[NUMBER].scans}
        names = ("shipment_created", "picked_up_told_a_minute_later", "in_transit_to_a_hub")
        told = [only_scan(fixture(f"event_{name}")) for name in names]
        assert {(scan.code, scan.occurred_at) for scan in told} == polled

    def test_a_scheduled_pickup_is_news_of_the_pickup_only(self):
        news = parse(fixture("event_pickup_scheduled"))
        (pickup,) = news.pickups
        assert (pickup.carrier_pickup_id, pickup.status) == ("PCK-665544", "scheduled")
        assert pickup.occurred_at == datetime(2024, 3, 15, 8, 10, tzinfo=UTC)
        assert news.scans == ()

    def test_a_scheduled_pickup_picks_nothing_up_even_where_it_names_parcels(self):
        event = fixture("event_pickup_scheduled")
        event["data"]["shipment_ids"] = [NUMBER]
        assert parse(event).scans == ()

    def test_a_completed_pickup_picks_up_every_parcel_it_names(self):
        news = parse(fixture("event_pickup_completed_three_parcels"))
        at = datetime(2024, 3, 16, 12, 40, tzinfo=UTC)
        assert [reported.tracking_number for reported in news.scans] == [NUMBER, "PKT-4081726351", "PKT-4081726352"]
        assert {(item.scan.code, item.scan.status, item.scan.occurred_at) for item in news.scans} == {
            ("picked_up", Status.PICKED_UP, at)
        }
        assert news.scans[0].scan.details["driver"] == {"name": "Driver Nine", "id": "DRV-904"}
        assert "shipment_ids" not in news.scans[0].scan.details
        assert (news.pickups[0].status, news.pickups[0].occurred_at) == ("completed", at)

    def test_an_unheard_of_shipment_event_is_kept_as_unknown(self):
        event = {"event_type": "shipment.teleported", "timestamp": "2024-03-17T15:00:00", "data": {}}
        event["data"] = {"tracking_number": NUMBER, "wormhole": 7, "delivered_at": "later", "location": "Mars"}
        scan = only_scan(event)
        assert (scan.code, scan.status, scan.tz_assumed) == ("teleported", Status.UNKNOWN, True)
        assert (scan.location, scan.details) == ("Mars", {"wormhole": 7, "delivered_at": "later"})

    @pytest.mark.parametrize(
        "event",
        [
            {"event_type": "account.updated", "timestamp": "2024-03-17T15:00:00Z", "data": {"plan": "gold"}},
            {"event_type": "ping"},
            {"event_type": "ping", "data": []},
            {"event_type": "shipment.", "data": {"tracking_number": NUMBER}},
            {"event_type": "shipment.daily_summary", "data": {"count": 3}},
            {"event_type": "pickup.rescheduled", "data": {"pickup_id": "PCK-1"}},
        ],
    )
    def test_other_events_are_understood_as_nothing_of_interest(self, event):
        assert parse(event) == WebhookReport(event_type=event["event_type"])

    @pytest.mark.parametrize(
        "changes",
        [
            {"pickup_point": ["PP-70421"]},
            {"location": {"city": "Troy"}},
            {"estimated_delivery": "N/A"},
            {"rescheduled_for": 7},
        ],
    )
    def test_what_is_good_to_know_and_unreadable_costs_no_scan(self, changes):
        event = fixture("event_collected_told_a_minute_later")
        before, after = (
            opened(answer({})).parse_webhook(json.dumps(one).encode()).scans[0]
            for one in (event, event | {"data": event["data"] | changes})
        )
        assert (after.scan.code, after.scan.occurred_at) == (before.scan.code, before.scan.occurred_at)

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"tracking_number": None}, "data.tracking_number is missing"),
            ({"tracking_number": ""}, "data.tracking_number is not a text"),
            ({"tracking_number": 1234567890}, "data.tracking_number is not a text"),
            ({"delivered_at": "yesterday"}, "not an ISO 8601 time"),
            ({"delivered_at": 1705501920}, "data.delivered_at is not a text"),
        ],
    )
    def test_a_broken_event_says_what_is_broken(self, changes, reason):
        event = fixture("event_collected_told_a_minute_later")
        event["data"] |= changes
        with pytest.raises(ValueError, match=reason):
            parse(event)

    @pytest.mark.parametrize("body", [b"[]", b'"x"', b"7", b"null", b"{}", b'{"event_type": 3}', b"\xff", b""])
    def test_a_body_that_is_no_event_is_refused(self, body):
        with pytest.raises(ValueError, match=r"\w"):
            parse(body)

    def test_long_texts_fit_the_columns_and_stay_whole_in_the_details(self):
        event = fixture("event_nobody_at_the_door")
        event["event_type"] = "shipment." + "x" * 500
        event["data"] |= {"location": "y" * 500, "failure_details": "z" * 500}
        scan = only_scan(event)
        assert (len(scan.code), len(scan.location), len(scan.description)) == (64, 200, 200)
        assert scan.details["failure_details"] == "z" * 500

    @pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
    def test_numbers_that_no_database_takes_are_nothing(self, number):
        body = json.dumps(fixture("event_in_transit_to_a_hub")).replace("38", number)
        assert only_scan(body.encode()).details["progress_percentage"] is None

    def test_characters_that_no_database_takes_are_replaced(self):
        event = fixture("event_nobody_at_the_door")
        event["data"] |= {"failure_details": "nul\0", "note": ["half \ud800"], "k\0": 1}
        scan = only_scan(event)
        assert scan.description == "nul\N{REPLACEMENT CHARACTER}"
        assert "\0" not in json.dumps(scan.details, ensure_ascii=False)
        json.dumps(scan.details, ensure_ascii=False).encode()


# Garbage, made up by the machine


@given(told_at=st.text(max_size=40), given_signature=st.text(max_size=80))
def test_any_headers_are_refused_without_a_crash(told_at, given_signature):
    with pytest.raises(NotAuthenticated):
        verify({"x-pickit-timestamp": told_at, "x-pickit-signature": given_signature + str(uuid.uuid4())})
