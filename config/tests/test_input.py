"""Requests as merchants write them: nothing is lost silently, and each way to write a value counts."""

import copy
import gzip
import json
import unicodedata

import pytest
from django.test import Client

from apikeys.http.fields import DecimalField, IntegerField, MeasureField, MomentField
from carriers.adapters.pickit import PickitAdapter
from shipping.common import lookup
from shipping.models import Shipment

pytestmark = [pytest.mark.django_db, pytest.mark.once, pytest.mark.usefixtures("credential")]

CHECKPOINT = {
    "tracking_id": "UNIT-000001",
    "status": "CREATED",
    "location": "Bogotá",
    "description": "Paquete creado",
    "timestamp": "2024-01-15T09:00:00Z",
}
UNKNOWN = {
    "pickup_point_id": "metadata.pickup_point_id",
    "destination.line2": "street2",
    "destination.zip": "postal_code",
    "items[0].qty": "quantity",
    "items[0].price": "unit_price",
    "packages[0].weigth_kg": "weight_kg",
    "nothing_like_it": "",
}


def with_unknown_fields(order):
    body = copy.deepcopy(order)
    body |= {"pickup_point_id": "PP-1", "nothing_like_it": 1, "items": [{"name": "Mug", "qty": 2, "price": 5}]}
    body["destination"] |= {"line2": "Apt 4", "zip": "1"}
    body["packages"][0]["weigth_kg"] = 3
    body["metadata"] = {"anything": {"goes": "here"}}
    return body


def send(api, path, raw, **headers):
    return Client().post(path, raw, content_type="application/json", headers={"X-API-Key": api.key} | headers)


@pytest.mark.usefixtures("sandbox")
def test_unknown_fields_are_warned_of_and_refused_if_strict(api, order):
    body, headers = with_unknown_fields(order), {"Idempotency-Key": "unknown"}
    refused = api.post("/api/v1/labels", body, headers={"Prefer": "respond-async, handling=strict"})
    assert (refused.status_code, set(refused.json()["details"])) == (400, set(UNKNOWN))
    assert not Shipment.objects.exists()
    answers = [api.post("/api/v1/labels", body, headers=headers) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json()["warnings"] == answers[1].json()["warnings"]
    quote = api.post("/api/v1/quotes", body | {"mute_warnings": True})
    warned = [
        {one["field"]: one["message"] for one in answer.json()["warnings"] if one["code"] == "unknown_field"}
        for answer in (answers[0], quote)
    ]
    assert set(warned[0]) == set(warned[1]) == set(UNKNOWN)
    for field, suggestion in UNKNOWN.items():
        assert (f"`{suggestion}`" in warned[0][field]) == bool(suggestion), field


def test_responses_without_warnings_get_them_only_if_there_are_some(api):
    assert "warnings" not in api.post("/api/v1/checkpoints", CHECKPOINT).json()
    answer = api.post("/api/v1/checkpoints", CHECKPOINT | {"note": "x"}, headers={"Idempotency-Key": "note"})
    assert [one["field"] for one in answer.json()["warnings"]] == ["note"]
    batch = api.post("/api/v1/checkpoints/batch", [CHECKPOINT, CHECKPOINT | {"note": "x"}]).json()
    assert [one["field"] for one in batch["warnings"]] == ["[1].note"]
    assert api.post("/api/v1/checkpoints", CHECKPOINT | {"note": 1}, headers={"Prefer": 'handling="strict"'}).json()[
        "details"
    ].keys() == {"note"}


@pytest.mark.usefixtures("sandbox")
def test_null_of_an_optional_field_means_absent(api, order):
    body = copy.deepcopy(order)
    body |= dict.fromkeys(("items", "billing_address", "warehouse_id", "currency", "cod_amount", "service_type"))
    body |= dict.fromkeys(("label_format", "label_size", "additional", "mute_warnings", "waybill_number"))
    body["metadata"] = {"pickup_point_id": None, "customer_reference": None}
    body["destination"] |= dict.fromkeys(("company", "contact_email", "state"))
    body["packages"][0] |= dict.fromkeys(("declared_value", "description"))
    assert api.post("/api/v1/labels", body).status_code == 200
    assert set(api.post("/api/v1/labels", body | {"order_id": None}).json()["details"]) == {"order_id"}


@pytest.mark.parametrize(
    "query",
    [
        "status=",
        "carrier=",
        "order_id=",
        "q=",
        "limit=",
        "cursor=",
        "page=2",
        "limit=1&limit=2",
        "status=x",
        "limit=1_0",
    ],
)
def test_query_parameter_is_named(api, query):
    response = api.client.get(f"/api/v1/shipments?{query}", headers={"X-API-Key": api.key})
    assert (response.status_code, list(response.json()["details"])) == (400, [query.split("=")[0]])


def test_filter_that_a_list_or_report_does_not_have_is_refused(api):
    for path in ("/api/v1/metrics/business", "/metrics/business", "/api/v1/carriers"):
        assert api.get(path).status_code == 200
        refused = api.get(path, store="shop")
        assert (refused.status_code, list(refused.json()["details"])) == (400, ["store"]), path


def test_status_may_be_written_as_it_is_displayed(api):
    for written in ("OUT_FOR_DELIVERY", "out_for_delivery", "Out For Delivery", "out-for-delivery"):
        assert api.get("/api/v1/shipments", status=written).json()["filters"] == {"status": "OUT_FOR_DELIVERY"}
    assert api.get("/api/v1/pickups", status="Needs review").status_code == 200


def test_compressed_body_is_read_and_bounded(api, settings):
    raw = json.dumps(CHECKPOINT).encode()
    packed = gzip.compress(raw)
    path = "/api/v1/checkpoints"
    assert send(api, path, packed, **{"Content-Encoding": "gzip"}).status_code == 201
    for body, encoding, status, name in (
        (raw, "br", 415, "Content-Encoding"),
        (raw, "gzip", 400, "body"),
        (packed[:-5], "gzip", 400, "body"),
        (gzip.compress(b" " * (settings.MAX_BODY_BYTES + 1)), "gzip", 413, "body"),
    ):
        answer = send(api, path, body, **{"Content-Encoding": encoding})
        assert (answer.status_code, list(answer.json()["details"])) == (status, [name])


def test_unknown_content_type_is_named(api):
    refused = api.client.post(
        "/api/v1/checkpoints", b"a: 1", content_type="application/yaml", headers={"X-API-Key": api.key}
    )
    assert (refused.status_code, list(refused.json()["details"])) == (415, ["Content-Type"])


def test_key_that_an_object_has_twice_is_refused(api):
    for raw, names in {
        '{"status": "CREATED", "status": "DELIVERED"}': ["status"],
        '{"a": [{"b": 1, "b" : 2}], "c": "\\":"}': ["a[0].b"],
        '{"a": 1, "\\u0061": 2}': ["a"],
    }.items():
        answer = send(api, "/api/v1/checkpoints", raw)
        assert (answer.status_code, list(answer.json()["details"])) == (400, names)
    text = json.dumps(CHECKPOINT | {"description": ':"": {"status":1}'})
    assert send(api, "/api/v1/checkpoints", text).status_code == 201


def validate(field, value):
    try:
        return str(field.run_validation(value))
    except Exception as error:
        return type(error).__name__


def test_numbers_are_decimal_digits():
    weight, amount, count = MeasureField(9, 3), DecimalField(12, 2), IntegerField()
    written = {0.1 + 0.2: "0.300", "0.30000000000000004": "0.300", 2.26796185: "2.268", "2.5": "2.500"}
    for value, read in written.items():
        assert validate(weight, value) == read
    assert [validate(amount, value) for value in (1.005 * 3, 3 * 1.1, 10.005)] == [
        "ValidationError",
        "3.30",
        "ValidationError",
    ]
    for value in ("1_000", "١٢", "Infinity", "NaN", "1e5", "+5", "0x10", "", True, [1], 1e300, "9" * 2000):
        assert {validate(field, value) for field in (weight, amount, count)} == {"ValidationError"}, value


def test_times_are_rfc_3339_in_any_case():
    field = MomentField()
    at = field.run_validation("2024-01-15T10:30:00Z").at
    for text in ("2024-01-15t10:30:00z", "2024-01-15 10:30:00Z", "2024-01-15T12:30:00+02:00", "20240115T103000Z"):
        assert field.run_validation(text).at == at, text
    assert field.run_validation("2024-01-15T12:30:00 02:00").at == at  # a plus sign in a query
    for text in ("2024-W03-1", "2024-015", "2024W031", "2024-01-15T10Z", "2024-1-5", "٢٠٢٤-01-15", "2024-01-15Z"):
        assert validate(field, text) == "ValidationError", text


def test_text_has_one_form_and_nothing_invisible_decides(api):
    decomposed = unicodedata.normalize("NFD", "ÑANDÚ-01")
    assert api.post("/api/v1/checkpoints", CHECKPOINT | {"tracking_id": decomposed}).status_code == 201
    body = CHECKPOINT | {"tracking_id": unicodedata.normalize("NFC", decomposed), "location": "Bogota\u0301\u200b"}
    assert api.post("/api/v1/checkpoints", body).status_code == 200
    assert api.get(f"/api/v1/tracking/{decomposed}").status_code == 200
    for invisible in "\u200b\u200d\u202e\u00ad\ufeff\u2060\ufe0f\u3164":
        answer = api.post("/api/v1/checkpoints", CHECKPOINT | {"tracking_id": f"UNIT{invisible}0001"})
        assert (answer.status_code, list(answer.json()["details"])) == (400, ["tracking_id"]), ascii(invisible)
    for blank in ("\u200b\u202e ", "\u3164\u2800", "\ufe0f\u200d"):
        answer = api.post("/api/v1/checkpoints", CHECKPOINT | {"location": blank})
        assert list(answer.json()["details"]) == ["location"]


def test_body_may_begin_with_a_byte_order_mark(api):
    assert send(api, "/api/v1/checkpoints", b"\xef\xbb\xbf" + json.dumps(CHECKPOINT).encode()).status_code == 201


def test_numbers_are_compared_without_case_and_blanks(api, tenant, credential):
    made = {"merchant_id": tenant.merchant_id, "mode": tenant.mode, "carrier": "pickit", "credential": credential}
    made |= {"booking_state": "booked", "status": "created"}
    row = Shipment.objects.create(
        **made, tracking_number="PKT-12345", carrier_shipment_id="SHP-1", reference="R1", order_id="Order-1"
    )
    for name in ("pkt-12345", " PKT-12345 ", "PKT- 12345", "shp-1", str(row.id).upper()):
        assert api.get(f"/api/v1/tracking/{name}").status_code == 200, name
        assert api.get(f"/api/v1/shipments/{name}").json()["shipment_id"] == str(row.id), name
    for query in ({"order_id": "ORDER-1 "}, {"carrier": " PickIt"}):
        assert len(api.get("/api/v1/shipments", **query).json()["units"]) == 1
    assert api.get("/api/v1/tracking/PKT\u200b-12345").status_code == 404


def test_same_spelling_comes_before_another(api, tenant, credential):
    made = {"merchant_id": tenant.merchant_id, "mode": tenant.mode, "carrier": "pickit", "credential": credential}
    numbers = ("PKT-A1", "pkt-a1")
    rows = {text: Shipment.objects.create(**made, tracking_number=text, reference=text) for text in numbers}
    for text, row in rows.items():
        assert lookup.get_shipment(tenant, text) == row
        assert lookup.find_shipments(tenant, [f" {text}"]) == {f" {text}": row}
    assert (
        lookup.get_shipment(tenant, "Pkt-A1") == lookup.find_shipments(tenant, ["Pkt-A1"])["Pkt-A1"] == rows["pkt-a1"]
    )


@pytest.mark.usefixtures("credential", "sandbox")
def test_id_of_a_pickup_point_may_be_padded(api):
    assert api.get("/api/v1/pickit/pickup-points/ PP-12345 ").json()["pickup_point"]["id"] == "PP-12345"


def test_unit_is_one_in_any_case(api):
    first, second = CHECKPOINT | {"tracking_id": "1z999AA1"}, CHECKPOINT | {"tracking_id": "1Z999aa1"}
    results = api.post("/api/v1/checkpoints/batch", [first, second]).json()["results"]
    assert [one["result"] for one in results] == ["stored", "repeated"]
    assert api.post("/api/v1/checkpoints", first | {"tracking_id": "1Z999AA1"}).status_code == 200
    assert Shipment.objects.count() == 1


@pytest.mark.usefixtures("sandbox")
def test_label_without_a_recipient_is_sold_with_a_warning_unless_the_carrier_needs_the_name(api, order, monkeypatch):
    del order["destination"]["contact_name"]
    warned = [api.post(f"/api/v1/{path}", order).json()["warnings"] for path in ("labels", "quotes")]
    assert [[one["code"] for one in warnings].count("missing_recipient") for warnings in warned] == [1, 0]
    monkeypatch.setattr(PickitAdapter, "needs_recipient_name", True)
    refused = api.post("/api/v1/labels", order | {"order_id": "another"})
    assert (refused.status_code, list(refused.json()["details"])) == (400, ["destination.contact_name"])


@pytest.mark.usefixtures("sandbox")
def test_postal_code_is_needed_where_the_country_uses_it(api, order):
    address = {"street": "1 Nathan Road", "city": "Kowloon", "country": "HK"}
    assert api.post("/api/v1/warehouses", {"name": "North", "address": address}).status_code == 201
    order["destination"] |= {"country": "GB", "city": "London", "postal_code": "sw1a1aa"}
    assert api.post("/api/v1/labels", order).status_code == 200
    assert Shipment.objects.get().destination["postal_code"] == "SW1A 1AA"
    refused = api.post("/api/v1/quotes", order | {"origin": {"city": "Austin", "country": "US"}})
    assert (refused.status_code, list(refused.json()["details"])) == (400, ["origin.postal_code"])
