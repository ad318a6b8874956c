"""A refusal of a pickup point names the nearest usable one."""

import pytest

from shipping.models import Shipment

pytestmark = [pytest.mark.django_db, pytest.mark.once, pytest.mark.usefixtures("credential", "sandbox")]
CLOSED = "PP-6537-5299"  # a closed point of the sandbox


def test_refusal_names_the_nearest_usable_point(api, order):
    order["metadata"]["pickup_point_id"] = CLOSED
    refused = api.post("/api/v1/labels", order)
    body = refused.json()
    assert (refused.status_code, body["error"]) == (422, "not_serviceable")
    assert "metadata.pickup_point_id" in body["details"]
    nearest, _name = body["details"]["nearest_pickup_point"]
    assert nearest != CLOSED
    order["metadata"]["pickup_point_id"] = nearest
    assert api.post("/api/v1/labels", order).status_code == 200


def test_unknown_point_is_refused_without_a_suggestion(api, order):
    order["metadata"]["pickup_point_id"] = "PP-NOWHERE"
    body = api.post("/api/v1/labels", order).json()
    assert "metadata.pickup_point_id" in body["details"]
    assert "nearest_pickup_point" not in body["details"]


def test_failed_search_for_another_point_keeps_the_refusal(api, order, sandbox, settings):
    settings.CARRIER_MAX_RETRIES = 0
    fault = {"kind": "status", "status": 500, "operation": "pickup_points", "count": 1}
    sandbox.control("POST", "/_sandbox/faults", fault)
    order["metadata"]["pickup_point_id"] = CLOSED
    refused = api.post("/api/v1/labels", order)
    assert refused.status_code == 422
    assert "nearest_pickup_point" not in refused.json()["details"]
    assert Shipment.objects.get().booking_state == "failed"


def test_accepted_order_makes_no_call_about_points(api, order, sandbox):
    api.post("/api/v1/labels", order)
    assert not sandbox.calls(operation="pickup_point") + sandbox.calls(operation="pickup_points")


def test_quote_suggests_another_point_if_the_chosen_one_is_closed(api, order):
    order["metadata"]["pickup_point_id"] = CLOSED
    metadata = api.post("/api/v1/quotes", order).json()["metadata"]
    assert metadata["pickup_point_available"] is False
    assert metadata["nearest_pickup_point"]["id"] != CLOSED
    order["metadata"]["pickup_point_id"] = metadata["nearest_pickup_point"]["id"]
    open_one = api.post("/api/v1/quotes", order).json()["metadata"]
    assert open_one["pickup_point_available"] is True
    assert "nearest_pickup_point" not in open_one
    order["metadata"]["pickup_point_id"] = "PP-NOPE"
    assert api.post("/api/v1/quotes", order).json()["metadata"]["nearest_pickup_point"] is None
