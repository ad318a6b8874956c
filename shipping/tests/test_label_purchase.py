"""Label purchases: one label per order and key, the documented response, and the carrier's refusals."""

import base64
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection
from django.test import Client

from carriers.models import CarrierCall
from carriers.types.errors import CarrierTimeout
from shipping.models import Shipment
from shipping.tests.labels import buy as buy
from shipping.tests.labels import purchases as purchases

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("credential")]


def test_first_checkpoint_has_the_details_of_the_carriers_own_event(api, sandbox, order):
    shipment_id = buy(api, order).json()["shipment_id"]
    shipment = api.get(f"/api/v1/shipments/{shipment_id}").json()
    (created,) = shipment["checkpoints"]
    assert created["details"] == {
        "origin": {name: order["origin"][name] for name in ("city", "state", "country")},
        "destination": {name: order["destination"][name] for name in ("city", "state", "country")},
        "service_type": order["service_type"],
        "estimated_delivery": shipment["estimated_delivery"],
    }


def test_response_has_the_documented_keys(api, sandbox, order):
    response = buy(api, order)
    assert response.status_code == 200
    label = response.json()
    assert set(label) >= {
        "carrier",
        "tracking_number",
        "label_url",
        "label_data",
        "label_format",
        "shipment_id",
        "metadata",
    }
    assert label["carrier"] == "Pickit"
    assert label["tracking_number"].startswith("PKT-")
    assert label["label_format"] == "PDF"
    assert set(label["metadata"]) >= {"barcode", "qr_code", "pickup_code", "estimated_delivery", "pickup_point"}
    assert label["metadata"]["pickup_point"]["id"] == "PP-12345"
    file = api.get(f"/api/v1/shipments/{label['shipment_id']}/label")
    assert b"".join(file.streaming_content) == base64.b64decode(label["label_data"])
    assert file["Content-Type"] == "application/pdf"


def test_carrier_without_manifests_returns_none(api, sandbox, order):
    label = buy(api, order).json()
    path = f"/api/v1/shipments/{label['shipment_id']}"
    assert label["manifest_url"] is None
    assert api.get(path).json()["manifest_url"] is None
    missing = api.get(f"{path}/manifest")
    assert (missing.status_code, missing.json()["error"]) == (404, "not_found")
    assert missing.json()["message"] == "This shipment has no manifest."


def test_minimal_order_is_accepted(api, sandbox, order):
    order = {
        "carrier": "pickit",
        "order_id": order["order_id"],
        "origin": {"street": "123 Test St", "city": "Brooklyn", "postal_code": "11201", "country": "US"},
        "destination": {"street": "456 Test Ave", "city": "Manhattan", "postal_code": "10001", "country": "US"},
        "packages": [{"weight_kg": 2, "length_cm": 30, "width_cm": 20, "height_cm": 15}],
    }
    assert buy(api, order).status_code == 200


def test_repeated_order_is_refused_and_names_the_first_shipment(api, sandbox, order):
    first = buy(api, order).json()
    again = buy(api, order)
    assert again.status_code == 409
    assert again.json()["error"] == "conflict"
    assert again.json()["details"]["shipment_id"] == [first["shipment_id"]]
    assert len(purchases(sandbox)) == 1


def test_additional_shipments_of_an_order_are_bought_on_request(api, sandbox, order):
    numbers = {buy(api, order, additional=extra).json()["tracking_number"] for extra in (False, True, True)}
    assert len(numbers) == 3
    assert sorted(Shipment.objects.values_list("sequence", flat=True)) == [1, 2, 3]


def test_repeated_key_replays_the_label(api, sandbox, order):
    first, again = buy(api, order, "k1"), buy(api, order, "k1")
    assert again.json() == first.json()
    assert again["Idempotent-Replayed"] == "true"
    assert len(purchases(sandbox)) == 1


@pytest.mark.django_db(transaction=True)
def test_twenty_concurrent_requests_with_one_key_buy_one_label_and_return_it(api, sandbox, order, settings):
    settings.IDEMPOTENCY_WAIT_S = 0.2

    def one(_):
        try:
            client = type(api)(Client(), api.key)
            for _attempt in range(200):
                response = buy(client, order, "k20")
                if response.status_code != 409:
                    return response.status_code, response.content
                assert response.json()["error"] == "in_progress"
                assert int(response["Retry-After"]) >= 1
            return None
        finally:
            connection.close()

    with ThreadPoolExecutor(20) as pool:
        answers = set(pool.map(one, range(20)))
    assert len(answers) == 1
    assert answers.pop()[0] == 200
    assert len(purchases(sandbox)) == 1


@pytest.mark.django_db(transaction=True)
def test_twenty_concurrent_requests_without_a_key_buy_one_label(api, sandbox, order):
    def one(_):
        try:
            return buy(type(api)(Client(), api.key), order).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(20) as pool:
        assert sorted(pool.map(one, range(20))) == [200] + [409] * 19
    assert len(purchases(sandbox)) == 1


def test_refusal_has_the_carriers_words_and_is_replayed(api, sandbox, order):
    order["destination"]["postal_code"] = "00000"
    order["metadata"] = {}
    response = buy(api, order, "k5")
    assert response.status_code in (400, 422)
    body = response.json()
    assert body["carrier"] == "Pickit"
    assert body["carrier_code"]
    assert body["carrier_message"]
    assert body["retryable"] is False
    assert Shipment.objects.get().booking_state == "failed"
    assert buy(api, order, "k5").json() == body | {"correlation_id": buy(api, order, "k5").json()["correlation_id"]}
    assert len(purchases(sandbox)) == 1


def test_unreachable_carrier_fails_the_purchase_and_frees_the_key(api, sandbox, order, settings):
    settings.CARRIER_MAX_RETRIES = 1
    buy(api, order)  # logs in
    working = settings.CARRIER_BASE_URLS
    settings.CARRIER_BASE_URLS = {("pickit", "sandbox", "main"): "http://127.0.0.1:9/pickit/v2"}
    refused = buy(api, order | {"order_id": "UNREACHED"}, "k6")
    assert refused.status_code == 503
    assert refused.json()["retryable"] is True
    settings.CARRIER_BASE_URLS = working
    assert buy(api, order | {"order_id": "UNREACHED"}, "k6").status_code == 200


def test_refused_credential_is_a_502_error(api, sandbox, order, credential):
    api.post(
        "/api/v1/carriers/pickit/credentials",
        {"environment": "sandbox", "credentials": {"client_id": "test-client-id", "client_secret": "not-the-secret"}},
    )
    response = buy(api, order)
    assert response.status_code == 502
    assert response.json()["error"] == "carrier_authentication"


def test_call_log_has_every_call_without_secrets_or_personal_data(api, sandbox, order):
    shipment_id = buy(api, order).json()["shipment_id"]
    operations = dict(CarrierCall.objects.values_list("operation", "subject_id"))
    assert set(operations) == {"token", "create_label"}
    assert str(operations["create_label"]) == shipment_id
    logged = " ".join(f"{call.request_body} {call.response_body} {call.url}" for call in CarrierCall.objects.all())
    for hidden in ("test-secret", "Jane Smith", "789 Customer St", "+1987654321", "jane.smith@example.com"):
        assert hidden not in logged


def test_long_carrier_code_and_message_are_cut(api, sandbox):
    error = CarrierTimeout(carrier="x", carrier_code="c" * 50_000, carrier_message="m" * 50_000)
    assert (len(error.carrier_code), len(error.carrier_message)) == (64, 1000)


def test_huge_number_in_a_scan_leaves_the_shipment_readable(api, sandbox, order):
    number = buy(api, order).json()["tracking_number"]
    advance = {"to": "in_transit", "details": {"weight_grams": 10**30}}
    sandbox.control("POST", f"/_sandbox/pickit/shipments/{number}/advance", advance)
    assert api.post("/api/v1/tracking", {"carrier": "Pickit", "tracking_number": number}).status_code == 200
    assert api.get(f"/api/v1/tracking/{number}").status_code == 200


@pytest.mark.parametrize(
    ("kind", "size", "content_type", "start"),
    [
        ("pdf", "a4", "application/pdf", b"%PDF"),
        ("PDF", "A6", "application/pdf", b"%PDF"),
        ("png", "4X6", "image/png", b"\x89PNG"),
        ("PNG", "A4", "image/png", b"\x89PNG"),
        ("ZPL", "4x6", "application/zpl", b"^XA"),
        ("zpl", "a6", "application/zpl", b"^XA"),
    ],
)
def test_label_has_the_requested_format_and_size(api, order, sandbox, kind, size, content_type, start):
    bought = api.post("/api/v1/labels", order | {"label_format": kind, "label_size": size})
    assert bought.status_code == 200, bought.content
    label = bought.json()
    assert label["label_format"] == kind.upper()
    file = api.get(f"/api/v1/shipments/{label['shipment_id']}/label")
    assert file["Content-Type"] == content_type
    assert f"{label['tracking_number']}.{kind.lower()}" in file["Content-Disposition"]
    assert b"".join(file.streaming_content).startswith(start)


@pytest.mark.parametrize(
    ("change", "field", "error"),
    [
        ({"label_format": "DOCX"}, "label_format", "validation_error"),
        ({"label_size": "A0"}, "label_size", "validation_error"),
        ({"label_format": "ZPL", "label_size": "A4"}, "label_size", "carrier_rejected"),
    ],
)
def test_unknown_format_or_size_is_refused_and_buys_nothing(api, order, sandbox, change, field, error):
    refused = api.post("/api/v1/labels", order | change)
    assert (refused.status_code, refused.json()["error"]) == (400, error)
    assert set(refused.json()["details"]) == {field}
    assert all(call["done"] != 201 for call in sandbox.calls(operation="create_label"))
