"""A shipment can have a generated number and is found by it."""

import pytest

from shipping.models import Shipment
from tracking.tests.documented import QUERY

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("credential", "sandbox")]


@pytest.fixture
def number(client):
    return client.get("/next-tracking-number", QUERY).json()["tracking_number"]


def test_shipment_is_found_by_its_generated_number(api, order, number):
    label = api.post("/api/v1/labels", order | {"waybill_number": number}).json()
    assert label["tracking_number"] != number
    page = api.get(f"/api/v1/shipments/{number}").json()
    assert (page["shipment_id"], page["waybill_number"]) == (label["shipment_id"], number)
    assert api.get(f"/api/v1/tracking/{number}").status_code == 200


def test_number_is_free_again_after_a_cancellation(api, order, number):
    given = {"waybill_number": number}
    first = api.post("/api/v1/labels", order | given).json()
    refused = api.post("/api/v1/labels", order | given | {"order_id": "ANOTHER"})
    assert (refused.status_code, set(refused.json()["details"])) == (409, {"waybill_number"})
    assert Shipment.objects.count() == 1
    api.post(f"/api/v1/shipments/{first['shipment_id']}/cancel", {})
    assert api.post("/api/v1/labels", order | given | {"order_id": "ANOTHER"}).status_code == 200


@pytest.mark.parametrize("wrong", ["MYID4Q0ZK81WB7TA", "short", "RR123456789MY"])
def test_mistyped_number_is_refused_before_the_purchase(api, order, wrong):
    refused = api.post("/api/v1/labels", order | {"waybill_number": wrong})
    assert (refused.status_code, set(refused.json()["details"])) == (400, {"waybill_number"})
    assert not Shipment.objects.exists()


def test_self_tracked_unit_accepts_a_generated_number(api, number):
    body = {"tracking_id": number, "status": "CREATED", "location": "Bogota", "description": "Made"}
    assert api.post("/api/v1/checkpoints", body | {"timestamp": "2024-01-15T09:00:00Z"}).status_code == 201
    assert api.get(f"/api/v1/tracking/{number}").json()["total_checkpoints"] == 1
