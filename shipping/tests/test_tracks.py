"""Many numbers are tracked in one request, against the sandbox over HTTP."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apikeys.db.tenancy import Tenant
from apikeys.keys.format import generate_key
from apikeys.keys.lifecycle import store_key
from apikeys.models import Merchant
from carriers.adapters.pickit import PickitAdapter
from carriers.credentials import storage
from carriers.models import CarrierCall
from carriers.types import Track
from conftest import ApiClient
from shipping.checkpoints import carrier_reports
from shipping.common import lookup
from shipping.models import BookingState, Shipment

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("credential", "sandbox")]

PATH = "/api/v1/tracking"
INDIAN = {
    "contact_name": "Asha Rao",
    "contact_phone": "+919000000001",
    "street": "12 Example Road",
    "city": "Bangalore",
    "state": "Karnataka",
    "postal_code": "560102",
    "country": "IN",
}


@pytest.fixture
def buy(api, order):
    """``buy(3)``: the numbers of three shipments at Pickit."""

    def buy(count):
        orders = [order | {"order_id": f"{order['order_id']}-{place}"} for place in range(count)]
        return [api.post("/api/v1/labels", one).json()["tracking_number"] for one in orders]

    return buy


@pytest.fixture
def other_merchant(client):
    """An API client of another merchant."""
    key = generate_key("test")
    store_key(Tenant(Merchant.objects.create(name="Other", slug="other").id, "test"), key, name="other")
    return ApiClient(client, key)


def track(api, numbers, carrier="Pickit", path=PATH):
    answer = api.post(path, {"carrier": carrier, "tracking_numbers": numbers})
    assert answer.status_code == 200, answer.content
    assert set(answer.json()) == {"results"}
    return answer.json()["results"]


def fault(sandbox, kind, carrier="pickit", **more):
    sandbox.control("POST", "/_sandbox/faults", {"carrier": carrier, "operation": "track", "kind": kind} | more)


def advance(sandbox, number, to, carrier="pickit"):
    sandbox.control("POST", f"/_sandbox/{carrier}/shipments/{number}/advance", {"to": to, "webhook": False})


def stale(result):
    return result["metadata"]["stale"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("path", [PATH, "/api/week3-integrations/tracking"])
def test_results_equal_single_requests_in_order(api, sandbox, buy, path):
    numbers = buy(3)
    advance(sandbox, numbers[1], "in_transit")
    asked = [numbers[2], numbers[0], numbers[1]]
    results = track(api, asked, path=path)
    assert [one["status"] for one in results] == ["created", "created", "in_transit"]
    assert len(sandbox.calls(operation="track")) == 3
    alone = [api.post(path, {"carrier": "pickit", "tracking_number": number}).json() for number in asked]
    assert results == alone


def test_every_kind_of_name_is_accepted(api, sandbox, buy):
    (number,) = buy(1)
    shipment = Shipment.objects.get()
    names = [str(shipment.id), number, shipment.carrier_shipment_id]
    results = track(api, names)
    assert [one["tracking_number"] for one in results] == [number] * 3
    assert len(sandbox.calls(operation="track")) == 1


def test_numbers_of_other_merchants_are_not_found_and_not_requested(api, sandbox, buy, other_merchant):
    mine, pending = buy(2)
    Shipment.objects.filter(tracking_number=pending).update(booking_state=BookingState.PENDING)
    results = track(api, ["PKT-1234567890", mine, pending])
    assert results[1]["status"] == "created"
    for result, number in ((results[0], "PKT-1234567890"), (results[2], pending)):
        expected = {"tracking_number": number, "error": "shipment_not_found", "message": "Shipment not found."}
        assert result == expected | {"details": {}}
    assert [one["error"] for one in track(other_merchant, [mine])] == ["shipment_not_found"]
    assert len(sandbox.calls(operation="track")) == 1


@pytest.mark.django_db(transaction=True)
def test_unreadable_track_is_stale(api, sandbox, buy):
    numbers = buy(4)
    for number in numbers:
        advance(sandbox, number, "in_transit")
    fault(sandbox, "garbage", count=1)
    results = track(api, numbers)
    assert sorted((one["status"], stale(one)) for one in results) == [("created", True)] + [("in_transit", False)] * 3
    assert [one["tracking_number"] for one in results] == numbers


def test_track_missing_in_the_answer_is_stale(api, buy, monkeypatch):
    (number,) = buy(1)
    monkeypatch.setattr(PickitAdapter, "track", lambda *_: {})
    alone = api.post(PATH, {"carrier": "pickit", "tracking_number": number}).json()
    assert (alone["status"], stale(alone)) == ("created", True)
    assert track(api, [number]) == [alone]


@pytest.mark.django_db(transaction=True)
def test_stored_tracks_are_returned_while_the_carrier_is_unavailable(api, sandbox, buy, settings):
    settings.CARRIER_MAX_RETRIES = 0
    known, empty = buy(2)
    Shipment.objects.filter(tracking_number=empty).update(checkpoint_count=0)
    fault(sandbox, "status", status=503, count=9)
    known_track, refused, unknown = track(api, [known, empty, "PKT-0000000000"])
    assert (known_track["status"], stale(known_track)) == ("created", True)
    assert (refused["tracking_number"], refused["error"]) == (empty, "carrier_unavailable")
    assert (refused["carrier"], refused["retryable"]) == ("Pickit", True)
    assert unknown["error"] == "shipment_not_found"


@pytest.mark.django_db(transaction=True)
def test_refused_credential_is_the_error_of_each_number(api, sandbox, buy, monkeypatch):
    numbers = buy(2)
    monkeypatch.setattr("carriers.credentials.tokens.StoredTokens.current", lambda *_: "stale")
    monkeypatch.setattr("carriers.credentials.tokens.StoredTokens.renew", lambda *_: "stale too")
    assert {one["error"] for one in track(api, numbers)} == {"carrier_authentication"}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"tracking_numbers": []}, "tracking_numbers"),
        ({"tracking_numbers": [f"PKT-{number:010}" for number in range(51)]}, "tracking_numbers"),
        ({"tracking_numbers": ["PKT-0000000001", "PKT-0000000002", "PKT-0000000001 "]}, "tracking_numbers"),
        ({"tracking_numbers": ["PKT-0000000001", "PKT"]}, "tracking_numbers[1]"),
        ({"tracking_numbers": ["PKT-0000000001", 5]}, "tracking_numbers[1]"),
        ({"tracking_numbers": "PKT-0000000001"}, "tracking_numbers"),
        ({"tracking_numbers": None}, "tracking_number"),  # null means absent
        ({"tracking_numbers": ["PKT-0000000001"], "tracking_number": "PKT-0000000001"}, "tracking_numbers"),
        ({}, "tracking_number"),
    ],
)
def test_request_has_one_form_within_its_bounds(api, sandbox, body, field):
    refused = api.post(PATH, {"carrier": "pickit"} | body)
    assert (refused.status_code, refused.json()["error"]) == (400, "validation_error")
    assert set(refused.json()["details"]) == {field}
    assert sandbox.calls(operation="track") == []


def test_empty_request_names_both_fields(api):
    assert set(api.post(PATH, {}).json()["details"]) == {"carrier", "tracking_number"}


def test_number_of_queries_does_not_grow_with_the_numbers(tenant, buy, django_assert_max_num_queries):
    numbers = buy(2)
    with django_assert_max_num_queries(5):
        found = lookup.find_shipments(tenant, [f"PKT-{number:010}" for number in range(48)] + numbers, carrier="pickit")
    assert [found[number].tracking_number for number in numbers] == numbers


def test_newest_of_two_shipments_with_one_number_is_found(tenant, buy):
    numbers = buy(2)
    Shipment.objects.update(carrier_shipment_id="SHP-BOTH")
    newest = Shipment.objects.get(tracking_number=numbers[1])
    assert lookup.find_shipments(tenant, ["SHP-BOTH"]) == {"SHP-BOTH": newest}
    assert lookup.get_shipment(tenant, "SHP-BOTH") == newest


@pytest.fixture
def indian_numbers(api, tenant):
    """The numbers of five shipments at Velocity."""
    fields = {"username": "+910000000000", "password": "test-secret"}
    storage.save_credential(tenant=tenant, mode="test", carrier="velocity", environment="sandbox", fields=fields)
    place = api.post("/api/v1/warehouses", {"name": "Mumbai", "address": INDIAN, "carriers": ["velocity"]}).json()
    order = {
        "carrier": "velocity",
        "origin": INDIAN,
        "destination": INDIAN,
        "packages": [{"weight_kg": 1, "length_cm": 10, "width_cm": 10, "height_cm": 10}],
        "warehouse_id": place["id"],
    }
    bought = [api.post("/api/v1/labels", order | {"order_id": f"ORDER-{place}"}).json() for place in range(5)]
    return [label["tracking_number"] for label in bought]


def test_many_numbers_take_one_call(api, sandbox, indian_numbers):
    for number in indian_numbers:
        advance(sandbox, number, "IT", carrier="velocity")
    results = track(api, indian_numbers, carrier="velocity")
    assert [(one["status"], stale(one)) for one in results] == [("in_transit", False)] * 5
    assert CarrierCall.objects.filter(operation="track").count() == 1
    assert CarrierCall.objects.get(operation="track").merchant_id == Shipment.objects.first().merchant_id


def test_only_storing_takes_queries_per_number(api, indian_numbers, monkeypatch):
    monkeypatch.setattr("shipping.checkpoints.carrier_reports.store_track", lambda *_, **__: 0)

    def queries(numbers):
        with CaptureQueriesContext(connection) as captured:
            assert not any(stale(one) for one in track(api, numbers, carrier="velocity"))
        return len(captured)

    queries(indian_numbers[:2])  # fills the caches
    assert queries(indian_numbers) == queries(indian_numbers[:2])


def test_track_that_cannot_be_stored_is_stale(api, indian_numbers, monkeypatch):
    store = carrier_reports.store_track

    def broken(shipment, found, **more):
        if shipment.tracking_number == indian_numbers[0]:
            raise RuntimeError("a bug")
        return store(shipment, found, **more)

    monkeypatch.setattr(carrier_reports, "store_track", broken)
    results = track(api, indian_numbers[:3], carrier="velocity")
    assert [stale(one) for one in results] == [True, False, False]


def test_older_track_does_not_replace_a_newer_estimate(api, indian_numbers):
    shipment, now = Shipment.objects.get(tracking_number=indian_numbers[0]), timezone.now()
    estimated, later = now + timedelta(days=5), now + timedelta(days=9)
    shipment.save(update_fields=shipment.estimate(estimated, reported_at=now))
    track = Track(tracking_number=shipment.tracking_number, scans=(), estimated_delivery=later)
    for asked_at, estimate in ((now - timedelta(minutes=1), estimated), (now + timedelta(minutes=1), later)):
        carrier_reports.store_track(shipment, track, asked_at=asked_at)
        assert Shipment.objects.get(id=shipment.id).estimated_delivery == estimate


def test_number_that_the_carrier_cannot_have_is_refused_before_it_is_called(api, sandbox):
    names = {"PKT_40817": 400, "1Z999AA10123456784": 400, "PKT-0000000000": 404, "pkt-a b1": 404}
    wrong = {"tracking_number": ["Invalid tracking number format"]}
    results = [
        [api.post(PATH, {"carrier": "pickit", "tracking_number": name}) for name in names],
        [api.post(f"/api/v1/pickit/shipments/{name}/cancel", {}) for name in names],
        [api.get(f"/api/v1/pickit/shipments/{name}/proof-of-delivery") for name in names],
    ]
    for answers in results:
        assert [one.status_code for one in answers] == list(names.values())
        assert [one.json()["details"] for one in answers[:2]] == [wrong, wrong]
    many = api.post(PATH, {"carrier": "pickit", "tracking_numbers": list(names)}).json()["results"]
    assert [one["error"] for one in many] == ["validation_error"] * 2 + ["shipment_not_found"] * 2
    assert [one.get("details") for one in many[:2]] == [wrong, wrong]
    free = [api.post(f"/api/v1/{path}", {}) for path in ("shipments/PKT_1/cancel", "velocity/shipments/PKT_1/cancel")]
    assert [one.status_code for one in free] == [404, 404]
    assert not sandbox.calls(carrier="pickit")
