"""Expected delivery of self-tracked units: posted with checkpoints, shown in histories, compared in the analytics."""

import io
import json

import pytest
from django.core.management import call_command

from shipping.models import Shipment

pytestmark = pytest.mark.django_db
STEPS = ("CREATED", "PICKED_UP", "IN_TRANSIT", "OUT_FOR_DELIVERY", "DELIVERED")


def step(number, status, name="PROMISED01", **extra):
    time = f"2024-01-{15 + number}T10:00:00-05:00"
    return {"tracking_id": name, "status": status, "location": "Bogotá", "description": "x", "timestamp": time} | extra


def steps(name, *, promise, last=None):
    """Return the checkpoints of a unit that is delivered on the 19th; the last but one may have another estimate."""
    rows = [step(number, status, name) for number, status in enumerate(STEPS)]
    rows[0]["estimated_delivery"] = promise
    rows[3]["estimated_delivery"] = last
    return rows


def history(api, name="PROMISED01"):
    return api.get(f"/api/v1/tracking/{name}").json()


def test_estimate_is_shown_until_the_delivery(api):
    posted = api.post("/api/v1/checkpoints", step(0, "CREATED", estimated_delivery="2024-01-18T09:00:00-05:00"))
    assert (posted.status_code, posted.json()["data"]["estimated_delivery"]) == (201, "2024-01-18T14:00:00Z")
    shown = history(api)
    assert (shown["estimated_delivery"], shown["delivery_time"]) == ("2024-01-18T14:00:00Z",) * 2
    assert shown["checkpoints"][0]["details"] == {"estimated_delivery": "2024-01-18T14:00:00Z"}
    # A date ends with its day where the checkpoint was written, and is shown as it was written.
    posted = api.post("/api/v1/checkpoints", step(1, "PICKED_UP", estimated_delivery="2024-01-19"))
    assert posted.json()["data"]["estimated_delivery"] == "2024-01-19"
    shown = history(api)
    assert (shown["delivery_time"], shown["estimated_delivery"]) == ("2024-01-20T04:59:00Z",) * 2
    assert shown["checkpoints"][1]["details"] == {"estimated_delivery": "2024-01-19"}
    api.post("/api/v1/checkpoints", step(2, "IN_TRANSIT"))
    (unit,) = api.get("/api/v1/shipments").json()["units"]
    assert (unit["estimated_delivery"], unit["delivery_time"]) == ("2024-01-20T04:59:00Z",) * 2
    repeated = api.post("/api/v1/checkpoints", step(2, "IN_TRANSIT", estimated_delivery="2024-02-01"))
    assert (repeated.status_code, "estimated_delivery" in repeated.json()["data"]) == (200, False)
    assert history(api)["estimated_delivery"] == "2024-01-20T04:59:00Z"


def test_repeated_request_returns_the_estimate_of_the_first(api):
    headers = {"Idempotency-Key": "once"}
    answers = [
        api.post("/api/v1/checkpoints", step(0, "CREATED", estimated_delivery="2024-01-19"), headers=headers).json()
        for _ in range(2)
    ]
    assert [answer["data"]["estimated_delivery"] for answer in answers] == ["2024-01-19"] * 2


def test_estimate_that_cannot_be_meant_is_refused_and_null_is_none(api):
    for value in ("1970-01-01", "2036-01-01T00:00:00Z", "soon", ""):
        refused = api.post("/api/v1/checkpoints", step(0, "CREATED", estimated_delivery=value))
        assert (refused.status_code, list(refused.json()["details"])) == (400, ["estimated_delivery"]), value
    accepted = api.post("/api/v1/checkpoints", step(0, "CREATED", estimated_delivery=None))
    assert (accepted.status_code, accepted.json().get("warnings")) == (201, None)
    assert history(api)["estimated_delivery"] is None


def test_every_way_of_posting_takes_estimates_and_the_analytics_compare_them(client, api, api_key, merchant, tmp_path):
    """On time: by the first estimate. The batch is late, though its last estimate was kept."""
    late = api.post("/api/v1/checkpoints/batch", steps("LATE000001", promise="2024-01-18", last="2024-01-25"))
    assert late.json()["stored"] == 5, late.content
    lines = "\n".join(json.dumps(row) for row in steps("ONTIME0001", promise="2024-01-19"))
    headers = {"X-API-Key": api_key}
    sent = client.post("/api/v1/checkpoints/batch", lines, content_type="application/x-ndjson", headers=headers)
    assert sent.json()["stored"] == 5, sent.content
    rows = steps("ONTIME0002", promise="2024-01-19T15:00:00Z")
    table = [",".join(rows[0]), *(",".join(row.get(name) or "" for name in rows[0]) for row in rows)]
    (tmp_path / "scans.csv").write_text("\n".join(table), encoding="utf-8")
    call_command(
        "import_checkpoints",
        tmp_path / "scans.csv",
        merchant="acme",
        mode="test",
        stdout=io.StringIO(),
        stderr=io.StringIO(),
    )
    api.post("/api/v1/checkpoints/batch", [step(number, status, "NOPROMISE1") for number, status in enumerate(STEPS)])
    total = api.get("/api/v1/analytics/performance", **{"from": "2024-01-01", "to": "2024-01-31"}).json()["total"]
    assert [total[name] for name in ("deliveries", "promised", "on_time", "late")] == [4, 3, 2, 1]
    assert Shipment.objects.filter(promised_delivery=None).count() == 1
    assert history(api, "LATE000001")["delivery_time"] == "2024-01-19T15:00:00Z"
