"""The simulated Pickit behaves as a carrier does: refuses, limits, remembers, reports, and fails as it is told."""

import base64
import hashlib
import hmac
import io
import json
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests
from PIL import Image

from carriers.sandbox import magic
from carriers.sandbox.pickit import STATUSES, WAYS
from carriers.sandbox.server import FAULTS
from carriers.sandbox.testing import SandboxProcess, lacking
from carriers.tests import recorded

RECORDED, EVENTS = recorded.examples("pickit"), recorded.events("pickit")

PLACE = {"street": "456 Warehouse Ave", "city": "Brooklyn", "state": "NY", "postal_code": "11201", "country": "US"}
ORDER = {
    "reference": "REF-1",
    "order_id": "ORDER-1",
    "origin": PLACE,
    "destination": PLACE | {"postal_code": "10001", "city": "Manhattan", "contact_name": "Jane Smith"},
    "packages": [{"weight_kg": 2.5, "declared_value": 100}],
    "service_type": "standard",
}


@pytest.fixture(scope="module")
def process():
    one = SandboxProcess()
    yield one
    one.stop()


class Client:
    """An account at the simulated Pickit."""

    def __init__(self, process, account="test-client", secret="test-secret"):
        self.process, self.session, self.account = process, requests.Session(), account
        self.configure(rate_limit=0, webhook_url="", secret=secret, suspended=False)
        answer = self("POST", "/auth/token", {"client_id": account, "client_secret": secret})
        self.session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def configure(self, **changes):
        self.process.control("PUT", f"/_sandbox/accounts/{self.account}", changes)

    def __call__(self, method, path, body=None, **query):
        url = f"{self.process.url}/pickit/v2{path}"
        return self.session.request(method, url, json=body, params=query, timeout=30)

    def buy(self, **changes):
        return self("POST", "/shipments", ORDER | changes).json()

    def advance(self, number, *way):
        for status in way:
            wish = {"to": status, "force": True}
            self.process.control("POST", f"/_sandbox/pickit/shipments/{number}/advance", wish)


@pytest.fixture
def pickit(process):
    process.control("DELETE", "/_sandbox/faults")
    process.clear()
    return Client(process)


def code(response):
    return response.status_code, response.json()["error"]["code"]


def test_wrong_secrets_and_missing_tokens_are_refused(process, pickit):
    wrong = {"client_id": "test-client", "client_secret": "wrong"}
    assert code(pickit("POST", "/auth/token", wrong)) == (401, "INVALID_CLIENT")
    assert code(requests.get(f"{process.url}/pickit/v2/pickup-points")) == (401, "INVALID_TOKEN")


def test_the_documents_quote_costs_what_the_document_says(pickit):
    quote = pickit("POST", "/shipments/quote", ORDER).json()
    assert quote["total_price"] == 12.5
    parts = ("base_rate", "fuel_surcharge", "insurance", "handling_fee", "pickup_point_fee")
    assert [quote[name] for name in parts] == [10.0, 1.5, 0.5, 0.5, 0.0]
    assert (quote["currency"], quote["estimated_transit_days"]) == ("USD", 2)


@pytest.mark.parametrize(
    ("change", "status", "error", "field"),
    [
        ({"destination": PLACE | {"postal_code": "00000"}}, 422, "NOT_SERVICEABLE", "destination.postal_code"),
        ({"origin": {"city": "x"}}, 400, "VALIDATION_ERROR", "origin.postal_code"),
        ({"packages": []}, 400, "VALIDATION_ERROR", "packages"),
        ({"packages": [{"weight_kg": 31}]}, 400, "VALIDATION_ERROR", "packages[0].weight_kg"),
        ({"service_type": "teleport"}, 400, "VALIDATION_ERROR", "service_type"),
        ({"label": {"format": "DOCX"}}, 400, "VALIDATION_ERROR", "label.format"),
        ({"label": {"format": "ZPL", "size": "A4"}}, 400, "VALIDATION_ERROR", "label.size"),
        ({"pickup_point_id": "PP-NOPE"}, 422, "PICKUP_POINT_UNAVAILABLE", "pickup_point_id"),
    ],
)
def test_bad_orders_are_refused_by_field(pickit, change, status, error, field):
    response = pickit("POST", "/shipments", ORDER | change)
    assert code(response) == (status, error)
    assert response.json()["error"]["field"] == field


def test_the_same_reference_twice_is_two_purchases(pickit):
    one, other = pickit.buy(reference="TWICE"), pickit.buy(reference="TWICE")
    assert one["tracking_number"] != other["tracking_number"]
    found = pickit("GET", "/shipments", reference="TWICE").json()["data"]
    assert [item["tracking_number"] for item in found] == [one["tracking_number"], other["tracking_number"]]
    assert base64.b64decode(found[0]["label"]["data"]).startswith(b"%PDF")


def test_another_account_sees_nothing_of_it(process, pickit):
    number = pickit.buy()["tracking_number"]
    other = Client(process, "test-client-id")
    assert code(other("GET", f"/shipments/{number}/tracking")) == (404, "SHIPMENT_NOT_FOUND")
    assert other("GET", "/shipments", reference="REF-1").json()["data"] == []


def test_twenty_requests_a_second_and_then_429(process):
    pickit = Client(process, "limited")
    pickit.configure(rate_limit=20)
    answers = [pickit("GET", "/service-coverage", postal_code="10001", city="New York") for _ in range(40)]
    assert {answer.status_code for answer in answers} == {200, 429}
    limited = next(answer for answer in answers if answer.status_code == 429)
    assert limited.headers["Retry-After"] == "1"
    assert limited.json() == RECORDED["refused_too_many_requests"]["response"]


def test_a_way_to_the_door_and_its_proof(process, pickit):
    number = pickit.buy()["tracking_number"]
    proof = f"/shipments/{number}/proof-of-delivery"
    assert code(pickit("GET", proof)) == (404, "POD_NOT_AVAILABLE")
    for _ in range(4):
        process.control("POST", f"/_sandbox/pickit/shipments/{number}/advance", {})
    track = pickit("GET", f"/shipments/{number}/tracking").json()
    assert [event["status"] for event in track["events"]] == [
        "created",
        "picked_up",
        "in_transit",
        "out_for_delivery",
        "delivered",
    ]
    found = pickit("GET", proof).json()
    assert found["signed_by"] == "Jane Smith"
    for name, kind in (("signature_image", "PNG"), ("delivery_photo", "JPEG")):
        picture = base64.b64decode(found[name].partition(",")[2])
        assert Image.open(io.BytesIO(picture)).format == kind
    assert code(pickit("POST", f"/shipments/{number}/cancel", {"reason": "x"})) == (409, "CANNOT_CANCEL")


def test_pickup_points_are_near_in_order_and_the_same_each_time(pickit):
    def search(**more):
        return pickit("GET", "/pickup-points", **{"lat": 40.7128, "lng": -74.006, "radius": 5} | more).json()["data"]

    found = search()
    assert found[0]["id"] == "PP-12345"
    assert found == search()
    assert [point["distance"] for point in found] == sorted(point["distance"] for point in found)
    assert max(point["distance"] for point in found) <= 5
    assert len(search(limit=3)) == 3
    for place in ({"lat": 90, "lng": 180}, {"lat": -90, "lng": -180}, {"lat": 0, "lng": 0, "radius": 50}):
        assert all(pickit("GET", f"/pickup-points/{point['id']}").ok for point in search(**place, limit=3))


class Receiver:
    def __init__(self, statuses):
        self.got, self.statuses = [], list(statuses)
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                receiver.got.append((dict(self.headers), self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(receiver.statuses.pop(0) if receiver.statuses else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/events"

    def wait_for(self, count):
        give_up = time.monotonic() + 20
        while len(self.got) < count and time.monotonic() < give_up:
            time.sleep(0.02)
        return [json.loads(body) for _headers, body in self.got]

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def receiver(process, pickit):
    one = Receiver([])
    process.control("PUT", "/_sandbox/accounts/test-client", {"webhook_url": one.url, "webhook_secret": "hook-secret"})
    yield one
    one.close()


def test_scans_are_reported_signed_and_in_order(process, pickit, receiver):
    bought = pickit.buy()
    number = bought["tracking_number"]
    for status in ("picked_up", "in_transit", "out_for_delivery", "exception", "at_pickup_point", "delivered"):
        process.control("POST", f"/_sandbox/pickit/shipments/{number}/advance", {"to": status})
    events = receiver.wait_for(6)
    assert [event["event_type"] for event in events] == [
        "shipment.created",
        "shipment.picked_up",
        "shipment.in_transit",
        "shipment.failed",
        "shipment.at_pickup_point",
        "shipment.delivered",
    ]
    assert events[0]["timestamp"] == bought["created_at"]
    assert events[4]["data"]["pickup_code"].startswith("PICKUP-")
    for headers, body in receiver.got:
        signed = headers["X-Pickit-Timestamp"].encode() + b"." + body
        expected = hmac.new(b"hook-secret", signed, hashlib.sha256).hexdigest()
        assert headers["X-Pickit-Signature"] == expected
        assert headers["X-Pickit-Event"] == json.loads(body)["event_type"]


def test_a_completed_pickup_names_its_shipments(process, pickit, receiver):
    number = pickit.buy()["tracking_number"]
    body = {
        "pickup_date": "2026-12-01T10:00:00Z",
        "window": {"start": "10:00", "end": "14:00"},
        "address": PLACE,
        "packages_count": 1,
        "shipment_ids": [number],
    }
    pickup = pickit("POST", "/pickups", body).json()
    process.control("POST", f"/_sandbox/pickit/pickups/{pickup['pickup_id']}/complete")
    kinds = {event["event_type"]: event["data"] for event in receiver.wait_for(3)}
    assert kinds["pickup.completed"]["shipment_ids"] == [number]
    assert kinds["pickup.scheduled"]["confirmation_number"] == pickup["confirmation_number"]


@pytest.mark.parametrize(("kind", "bought"), [("hang_after", 1), ("timeout", 0), ("close", 0)])
def test_it_fails_as_told_and_the_record_shows_it(process, pickit, kind, bought):
    fault = {"operation": "create_label", "kind": kind, "delay_s": 0.2}
    process.control("POST", "/_sandbox/faults", fault)
    with pytest.raises(requests.ConnectionError):
        pickit("POST", "/shipments", ORDER | {"reference": f"FAULT-{kind}"})
    assert len(pickit("GET", "/shipments", reference=f"FAULT-{kind}").json()["data"]) == bought
    calls = process.calls(operation="create_label")
    assert [(call["reference"], call["fault"]) for call in calls] == [(f"FAULT-{kind}", kind)]


def test_it_answers_nonsense_as_told(process, pickit):
    process.control("POST", "/_sandbox/faults", {"operation": "quote", "kind": "garbage"})
    assert pickit("POST", "/shipments/quote", ORDER).text.startswith("<html>")
    process.control("POST", "/_sandbox/faults", {"operation": "quote", "kind": "status", "status": 503})
    assert pickit("POST", "/shipments/quote", ORDER).status_code == 503
    assert pickit("POST", "/shipments/quote", ORDER).status_code == 200


def test_an_order_can_ask_for_its_own_failure(pickit):
    assert pickit("POST", "/shipments", ORDER | {"order_id": "SANDBOX-500"}).status_code == 500
    assert pickit("POST", "/shipments", ORDER | {"order_id": "SANDBOX-REJECT"}).status_code == 400


def test_no_secret_stands_in_the_record(process, pickit):
    Client(process)
    assert "test-secret" not in json.dumps(process.calls())


def test_a_kill_forgets_nothing(pickit):
    one = SandboxProcess()
    try:
        client = Client(one)
        number = client.buy()["tracking_number"]
        one.kill()
        one.restart()
        assert client("GET", f"/shipments/{number}/tracking").json()["status"] == "created"
    finally:
        one.stop()


@pytest.mark.parametrize("word", WAYS)
def test_a_magic_word_brings_the_parcel_where_it_says(pickit, word):
    number = pickit.buy(destination=ORDER["destination"] | {"contact_name": word})["tracking_number"]
    assert pickit("GET", f"/shipments/{number}/tracking").json()["status"] == WAYS[word][-1]


def test_there_is_a_magic_word_for_every_status_and_every_fault():
    assert {way[-1] for way in WAYS.values()} == STATUSES - {"created"} | {"held_at_customs"}
    assert {fault["kind"] for fault in magic.FAULTS.values()} == FAULTS - {"echo"}


# Our adapter is tested with the same files: key for key, type for type, code for code.

NUMBER, VAN, POINT, REFERENCE = "PKT-4081726350", "PCK-665544", "PP-70421", "WB-0001"
FAULTY = {"refused_too_many_requests": 429, "failed_inside_pickit": 500}
# Answers that an adapter has to survive and that this Pickit does not give.
STRANGE = {
    "quote_total_above_its_parts",
    "quote_total_below_its_parts",
    "label_in_a_format_unheard_of",
    "label_of_another_reference",
    "label_whose_base64_has_foreign_characters",
    "label_whose_file_is_no_base64",
    "label_whose_file_is_no_pdf",
    "tracking_newest_first_without_offsets",
}


class Shop(Client):
    """The account of the records. ``names``: how what they name is called here."""

    def __init__(self, process):
        login = RECORDED["token_granted"]["request"]["body"]
        super().__init__(process, login["client_id"], login["client_secret"])
        self.names = {POINT: "PP-12345", REFERENCE: f"WB-{uuid.uuid4()}"}

    def send(self, name):
        """A recorded request, about what is there."""
        asked = self.here(RECORDED[name]["request"])
        return self(asked["method"], asked["path"], asked.get("body"), **asked.get("query", {}))

    def here(self, value):
        """What is recorded, with the names that things have here."""
        text = json.dumps(value)
        for told, real in self.names.items():
            text = text.replace(told, real)
        return json.loads(text)

    def bought(self, *way, name="label_bought_to_a_pickup_point"):
        number = self.send(name).json()["tracking_number"]
        self.names[NUMBER] = number
        self.advance(number, *way)

    def booked(self, *, completed=False):
        self.bought()
        self.names[VAN] = self.send("pickup_scheduled_with_a_driver").json()["pickup_id"]
        if completed:
            self.process.control("POST", f"/_sandbox/pickit/pickups/{self.names[VAN]}/complete")


@pytest.fixture
def shop(process):
    process.control("DELETE", "/_sandbox/faults")
    return Shop(process)


def _bought_twice(shop):
    shop.bought()
    assert shop.send("cancelled_at_the_customers_wish").ok
    shop.bought()


# What must have happened before a recorded request is answered as recorded.
BEFORE = {
    "found_twice_the_first_cancelled": _bought_twice,
    "tracking_in_transit": lambda shop: shop.bought("picked_up", "in_transit"),
    "tracking_failed_at_the_door_then_waiting_at_a_point": lambda shop: shop.bought(
        "picked_up", "in_transit", "exception", "at_pickup_point"
    ),
    "tracking_with_a_code_nobody_knows": lambda shop: shop.bought("held_by_customs"),
    "cancelled_at_the_customers_wish": Shop.bought,
    "proof_left_with_the_receptionist": lambda shop: shop.bought("delivered", name="label_bought_to_the_door"),
    "proof_collected_with_a_code_no_pictures": lambda shop: shop.bought("at_pickup_point", "delivered"),
    "pickup_scheduled_with_a_driver": Shop.bought,
    "pickup_called_off": Shop.booked,
    "refused_no_proof_before_delivery": Shop.bought,
    "refused_cancelling_what_is_delivered": lambda shop: shop.bought("delivered"),
    "refused_cancelling_a_pickup_that_was_made": lambda shop: shop.booked(completed=True),
    "refused_token_expired": lambda shop: shop.session.headers.update(Authorization="Bearer of-yesterday"),
    "refused_account_suspended": lambda shop: shop.configure(suspended=True),
}


# Records that show less than Pickit may tell, and its simulator does.
SHORTER = {
    "found_twice_the_first_cancelled",
    "label_bought_to_a_pickup_point",
    "pickup_scheduled_with_a_driver",
    "points_near_downtown_one_closed",
    "quote_as_short_as_documented",
    "tracking_failed_at_the_door_then_waiting_at_a_point",
    "tracking_in_transit",
    "tracking_with_a_code_nobody_knows",
}


@pytest.mark.parametrize("name", sorted(set(RECORDED) - STRANGE))
def test_a_recorded_request_is_answered_as_recorded(process, shop, name):
    BEFORE.get(name, lambda shop: None)(shop)
    if name in FAULTY:
        process.control("POST", "/_sandbox/faults", {"carrier": "pickit", "kind": "status", "status": FAULTY[name]})
    answer = shop.send(name)
    assert answer.status_code == RECORDED[name]["status"], answer.text
    assert lacking(shop.here(RECORDED[name]["response"]), answer.json(), exactly=name not in SHORTER) == []


@pytest.mark.parametrize(
    ("operation", "status", "name"),
    [
        ("token", 401, "refused_wrong_client_secret"),
        ("track", 401, "refused_token_expired"),
        ("track", 403, "refused_account_suspended"),
        ("track", 429, "refused_too_many_requests"),
        ("track", 503, "failed_inside_pickit"),
    ],
)
def test_a_failure_that_is_asked_for_has_the_body_of_a_real_one(process, shop, operation, status, name):
    process.control("POST", "/_sandbox/faults", {"operation": operation, "kind": "status", "status": status})
    answer = shop.send({"token": "token_granted", "track": "tracking_in_transit"}[operation])
    assert (answer.status_code, answer.json()) == (status, RECORDED[name]["response"])


def test_its_eight_events_are_those_that_the_adapter_is_tested_with(process, shop):
    receiver = Receiver([])
    shop.configure(webhook_url=receiver.url)
    shop.booked(completed=True)
    shop.advance(shop.names[NUMBER], "in_transit", "exception", "at_pickup_point", "delivered")
    shop.bought("picked_up")
    pushed = {event["event_type"]: event for event in receiver.wait_for(9)}
    receiver.close()
    assert {event["event_type"] for event in EVENTS.values()} == set(pushed)
    assert len(pushed) == len(EVENTS) == 8
    for event in EVENTS.values():
        assert lacking(event, pushed[event["event_type"]], exactly=True) == [], event["event_type"]
