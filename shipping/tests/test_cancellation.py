"""Shipments are cancelled once, also if the carrier's answer is lost."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from apikeys.models import Event
from carriers.adapters.pickit import PickitAdapter
from carriers.types import Scan, Status, Track
from carriers.types.errors import CarrierCannotCancel
from shipping.models import Parcel, Shipment
from shipping.tests.labels import buy as buy
from shipping.tests.labels import fault as fault
from shipping.tests.labels import short_timeout as short_timeout

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("credential")]


def test_repeated_cancellation_calls_the_carrier_once_and_frees_the_order(api, sandbox, order):
    number = buy(api, order).json()["tracking_number"]
    first = api.post(f"/api/v1/pickit/shipments/{number}/cancel", {"reason": "Customer request"})
    assert first.status_code == 200
    assert set(first.json()["cancellation"]) == {
        "tracking_number",
        "cancelled_at",
        "reason",
        "refund_status",
        "refund_amount",
        "carrier_informed",
    }
    assert first.json()["cancellation"]["carrier_informed"] is True
    again = api.post(f"/api/v1/shipments/{number}/cancel")
    assert again.json() == first.json()
    assert len(sandbox.calls(operation="cancel")) == 1
    assert api.get(f"/api/v1/tracking/{number}").json()["current_status"] == "CANCELLED"
    assert buy(api, order).status_code == 200


def test_cancellation_without_an_answer_is_read_from_the_track(api, sandbox, order, short_timeout):
    number = buy(api, order).json()["tracking_number"]
    fault(sandbox, "hang_after", "cancel", delay_s=3, count=1)
    assert api.post(f"/api/v1/shipments/{number}/cancel").status_code == 200


@pytest.mark.parametrize("then", ["cut", "status"])
def test_cancellation_without_an_answer_and_a_track_is_a_timeout(api, sandbox, order, settings, then):
    settings.CARRIER_MAX_RETRIES = 0
    path = f"/api/v1/shipments/{buy(api, order).json()['shipment_id']}/cancel"
    fault(sandbox, "cut", operation="cancel", count=1)
    fault(sandbox, then, operation="track", status=400, count=1)
    lost = api.post(path, {})
    assert (lost.status_code, lost.json()["error"]) == (504, "carrier_timeout")
    assert api.post(path, {}).status_code == 200


def test_cancellation_that_the_carrier_reported_needs_no_call(api, sandbox, order):
    label = buy(api, order).json()
    sandbox.control("POST", f"/_sandbox/pickit/shipments/{label['tracking_number']}/advance", {"to": "cancelled"})
    api.post("/api/v1/tracking", {"carrier": "pickit", "tracking_number": label["tracking_number"]})
    answers = [api.post(f"/api/v1/shipments/{label['shipment_id']}/cancel", {}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()
    assert not sandbox.calls(operation="cancel")


def test_order_can_be_bought_again_after_the_carrier_cancelled_it(api, sandbox, order):
    number = buy(api, order).json()["tracking_number"]
    sandbox.control("POST", f"/_sandbox/pickit/shipments/{number}/advance", {"to": "cancelled"})
    assert buy(api, order).status_code == 409
    api.post("/api/v1/tracking", {"carrier": "pickit", "tracking_number": number})
    assert buy(api, order).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_concurrent_cancellations_are_stored_and_reported_once(api, sandbox, order):
    path = f"/api/v1/shipments/{buy(api, order).json()['shipment_id']}/cancel"
    fault(sandbox, "slow", "cancel", delay_s=1)

    def one(_):
        try:
            return type(api)(Client(), api.key).post(path)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(one, range(4)))
    assert [answer.status_code for answer in answers] == [200] * 4
    assert len({str(answer.json()["cancellation"]) for answer in answers}) == 1
    assert Event.objects.filter(type="shipment.cancelled").count() == 1


def test_delivered_shipment_cannot_be_cancelled(api, sandbox, order):
    number = buy(api, order).json()["tracking_number"]
    sandbox.control("POST", f"/_sandbox/pickit/shipments/{number}/advance", {"to": "delivered"})
    refused = api.post(f"/api/v1/shipments/{number}/cancel")
    assert refused.status_code == 409
    assert refused.json()["error"] == "cannot_cancel"
    assert refused.json()["carrier_code"] == "CANNOT_CANCEL"


@pytest.mark.parametrize("late", ["returned", "delivered"])
def test_late_scan_of_a_cancelled_shipment_is_stored_after_the_order_was_bought_again(api, sandbox, order, late):
    first = buy(api, order).json()["tracking_number"]
    api.post(f"/api/v1/shipments/{first}/cancel")
    assert buy(api, order).status_code == 200
    sandbox.control("POST", f"/_sandbox/pickit/shipments/{first}/advance", {"to": late})
    track = api.post("/api/v1/tracking", {"carrier": "Pickit", "tracking_number": first})
    assert track.status_code == 200
    assert late in [event["status"] for event in track.json()["events"]]


def test_shipment_of_which_one_parcel_is_cancelled_is_not_cancelled(api, sandbox, order, monkeypatch):
    label = buy(api, order | {"packages": [{"weight_kg": 1}, {"weight_kg": 2}]}).json()
    for number in (1, 2):
        Parcel.objects.filter(number=number).update(tracking_number=f"PKT-{number}")
    voided = ["PKT-1"]

    def refuse(*_args):
        raise CarrierCannotCancel(carrier="Pickit")

    def track(_adapter, refs):
        scans = [
            Scan(code="x", status=Status.CANCELLED, occurred_at=timezone.now(), occurred_text="", parcel=number)
            for number in voided
        ]
        number = refs[0].tracking_number
        return {number: Track(tracking_number=number, scans=tuple(scans))}

    monkeypatch.setattr(PickitAdapter, "cancel", refuse)
    monkeypatch.setattr(PickitAdapter, "track", track)
    path = f"/api/v1/shipments/{label['shipment_id']}/cancel"
    assert api.post(path, {}).status_code == 409
    assert Shipment.objects.get().cancellation is None
    voided.append("pkt-2")
    assert api.post(path, {}).status_code == 200
