"""The published documents are read right, and what does not conform to them is found."""

import json
from dataclasses import replace

import pytest

from carriers.tests.conformance import published
from carriers.tests.conformance.operations import Exchange
from carriers.tests.conformance.suite import faults_of, operations

pytestmark = pytest.mark.skipif(not published.is_available(), reason=published.REASON)

UPS_HEADERS = {"authorization": "Bearer t", "content-type": "application/json", "transid": "1", "transactionsrc": "w"}
PATHS = {
    "ups": {
        "ship": "POST /api/shipments/v2409/ship",
        "label-recovery": "POST /api/labels/v1/recovery",
        "rate-one-service": "POST /api/rating/v2409/Rate",
        "rate-shop": "POST /api/rating/v2409/Shop",
        "locator-access-points": "POST /api/locations/v3/search/availabilities/64",
        "pickup-create": "POST /api/pickupcreation/v2409/pickup",
        "time-in-transit": "POST /api/shipments/v1/transittimes",
        "track-alert-subscribe": "POST /api/track/v2/subscription/standard/package",
    },
    "bring": {
        "booking": "POST /booking/api/booking",
        "shipping-guide": "POST /shippingguide/api/v2/products",
        "event-cast-create": "POST /event-cast/api/v1/webhooks",
    },
}


def exchange(carrier, name, **changes):
    """Return a minimal request of the samples, with a refusal that every API documents."""
    method, path = PATHS[carrier][name].split(" ")
    body = (published.samples_folder() / carrier / "minimal-requests" / f"{name}.json").read_bytes()
    answer = b'{"response": {"errors": [{"code": "1", "message": "no"}]}}'
    made = Exchange(method, path, {}, UPS_HEADERS, body, 429, {"content-type": "application/json"}, answer)
    return replace(made, **changes)


def change_body(made, change):
    body = json.loads(made.body)
    change(body)
    return replace(made, body=json.dumps(body).encode())


def test_texts_that_look_like_numbers_and_booleans_stay_texts():
    ups = published.load("ups/UPSTrackAlert.yaml")
    examples = ups["paths"]["/subscription/{type}/package"]["post"]["requestBody"]["content"]["application/json"]
    assert "021" in str(published.load("ups/Tracking.yaml")) and examples
    points = published.load("bring/raml/pickup-point.raml")
    countries = {
        tuple(one["uriParameters"]["countryCode"]["enum"]) for name, one in points.items() if name.startswith("/")
    }
    assert countries == {("NO", "DK", "SE", "FI"), ("NO",)}


@pytest.mark.parametrize("carrier", PATHS)
def test_minimal_requests_conform(carrier):
    for name in PATHS[carrier]:
        is_transit = name == "time-in-transit"  # its errors have no envelope
        changes = {"answer": b'{"errors": []}'} if is_transit else {}
        assert faults_of(carrier, exchange(carrier, name, **changes)) == [], name


def test_each_kind_of_fault_is_found():
    def break_body(change, name="ship", carrier="ups"):
        return change_body(exchange(carrier, name), change)

    def ship(body):
        return body["ShipmentRequest"]["Shipment"]

    sent = exchange("ups", "ship")
    without_token = {name: value for name, value in UPS_HEADERS.items() if name != "authorization"}
    without_ids = {name: value for name, value in UPS_HEADERS.items() if not name.startswith("trans")}
    wrong = {
        "no document": replace(sent, path="/shipments/v2409/ship"),
        "no document has": replace(sent, method="PUT"),
        "version: 'v99'": replace(sent, path="/api/shipments/v99/ship"),
        "query testing: is not documented": replace(sent, query={"testing": "1"}),
        "header Authorization: is required": replace(sent, headers=without_token),
        "Shipment.Service.Code: 'ZZ' is not one of": break_body(lambda body: ship(body)["Service"].update(Code="ZZ")),
        "'text/plain' is not one of": replace(sent, headers=UPS_HEADERS | {"content-type": "text/plain"}),
        "Shipment.Colour: is not documented": break_body(lambda body: ship(body).update(Colour="red")),
        "ShipTo.Name: is required": break_body(lambda body: ship(body)["ShipTo"].pop("Name")),
        "Name: 'xxx": break_body(lambda body: ship(body)["ShipTo"].update(Name="x" * 36)),
        "is not of type 'string'": break_body(lambda body: ship(body)["ShipTo"].update(Name=7)),
        "status 418: is not documented": replace(sent, status=418),
        "answer : is not JSON": replace(sent, answer=b"<html>"),
        "answer ShipmentResponse: is required": replace(sent, status=200, answer=b"{}"),
        "header transId: is required": exchange("ups", "time-in-transit", headers=without_ids),
        "recipient.phone: is not documented": break_body(
            lambda body: body["consignments"][0]["parties"]["recipient"].update(phone="1"), "booking", "bring"
        ),
        "weightInKg: {}": break_body(
            lambda body: body["consignments"][0]["packages"][0].update(weightInKg={}), "booking", "bring"
        ),
    }
    for text, made in wrong.items():
        carrier = "bring" if "booking" in made.path else "ups"
        faults = faults_of(carrier, made)
        assert any(text in fault for fault in faults), (text, faults)


@pytest.mark.parametrize(("carrier", "least"), [("ups", 30), ("bring", 15)])
def test_all_documents_give_operations(carrier, least):
    found = operations(carrier)
    assert len(found) >= least
    assert all(one.responses or carrier == "bring" for one in found)
    assert all(one.requests for one in found if carrier == "ups" and one.method == "POST")
