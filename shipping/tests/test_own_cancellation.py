"""A carrier that has no way to cancel shipments: they are cancelled in Waybill only, until the carrier scans them."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from apikeys.models import Event
from carriers.adapters.pickit import PickitAdapter
from shipping.checkpoints import polling
from shipping.models import Checkpoint, Shipment
from shipping.tests.labels import buy as buy
from shipping.tests.labels import fault as fault

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("credential")]


@pytest.fixture(autouse=True)
def _no_cancel_operation(monkeypatch):
    monkeypatch.setattr(PickitAdapter, "cancels_locally", True)


@pytest.fixture
def label(api, sandbox, order):
    return buy(api, order).json()


def cancel(api, label, **body):
    return api.post(f"/api/v1/shipments/{label['shipment_id']}/cancel", body)


def advance(sandbox, label, to):
    path = f"/_sandbox/pickit/shipments/{label['tracking_number']}/advance"
    sandbox.control("POST", path, {"to": to, "webhook": False})


def list_events(label):
    rows = Event.objects.filter(subject_id=label["shipment_id"], type__startswith="shipment.").order_by("id")
    return [row.type.removeprefix("shipment.") for row in rows]


def test_cancellation_is_stored_without_informing_the_carrier(api, sandbox, order, label):
    first = cancel(api, label, reason="Customer request")
    assert first.status_code == 200
    assert "Pickit has no way to cancel it and was not informed" in first.json()["message"]
    assert first.json()["cancellation"]["carrier_informed"] is False
    assert (cancel(api, label).json(), sandbox.calls(operation="cancel")) == (first.json(), [])
    shown = api.get(f"/api/v1/shipments/{label['shipment_id']}").json()
    assert (shown["status"], shown["cancellation"]) == ("cancelled", first.json()["cancellation"])
    assert [one["status"] for one in shown["checkpoints"]] == ["created", "cancelled"]
    row = Checkpoint.objects.get(status="cancelled")
    assert (row.source, row.reported_by, row.details) == ("waybill", None, {"reason": "Customer request"})
    assert list_events(label)[-3:] == ["checkpoint", "status_changed", "cancelled"]
    assert buy(api, order).status_code == 200


def test_parcel_that_the_carrier_has_is_not_cancelled(api, sandbox, label):
    advance(sandbox, label, "in_transit")  # not reported yet: the track is read first
    refused = cancel(api, label)
    assert (refused.status_code, refused.json()["error"]) == (409, "cannot_cancel")
    assert "Pickit has the parcel already" in refused.json()["message"]
    shipment = Shipment.objects.get()
    assert (shipment.status, shipment.cancellation) == ("in_transit", None)


def test_later_scan_undoes_the_cancellation(api, sandbox, label):
    cancel(api, label)
    advance(sandbox, label, "picked_up")
    with time_machine.travel(timezone.now() + timedelta(hours=7), tick=True):
        assert polling.poll()["scans"] == 1
    shown = api.get(f"/api/v1/shipments/{label['shipment_id']}").json()
    assert (shown["status"], shown["cancellation"]) == ("picked_up", None)
    assert {"status_changed", "scanned_after_cancellation"} <= set(list_events(label)[-3:])
    assert cancel(api, label).status_code == 409
    advance(sandbox, label, "delivered")
    api.post("/api/v1/tracking", {"carrier": "pickit", "tracking_number": label["tracking_number"]})
    assert Shipment.objects.get().status == "delivered"
    assert "already" in cancel(api, label).json()["message"]


def test_cancellation_by_the_carrier_itself_counts_as_known_to_it(api, sandbox, label):
    advance(sandbox, label, "cancelled")
    assert cancel(api, label).json()["cancellation"]["carrier_informed"] is True
    assert not Checkpoint.objects.filter(source="waybill").exists()


@pytest.mark.django_db(transaction=True)
def test_carrier_that_does_not_answer_does_not_prevent_the_cancellation(api, sandbox, label, settings):
    settings.CARRIER_MAX_RETRIES = 0
    fault(sandbox, "status", operation="track", status=503, count=1)
    assert cancel(api, label).status_code == 200
    assert Shipment.objects.get().status == "cancelled"
