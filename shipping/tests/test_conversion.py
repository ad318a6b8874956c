"""Orders are typed once, reach the adapter unchanged and are stored as the request that the merchant sent."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import pytest

from carriers.adapters.pickit import build
from carriers.tests.samples import shipment_ref
from carriers.types import Address, Item, Order, Package, PaymentMethod, PickupPoint, Warehouse
from shipping.common import refs
from shipping.common.conversion import to_builtins, to_order, to_request
from shipping.models import Shipment

OSLO = Address(country="NO", postal_code="0150", city="Oslo", street="Storgata 1", contact_name="Jane Smith")
PUNE = Address(country="IN", postal_code="411004", city="Pune", state="MH", company="Bags", contact_phone="09823044551")
ORDER = Order(
    origin=OSLO,
    destination=PUNE,
    packages=(
        Package(weight_kg=Decimal("2.500"), length_cm=Decimal("30.00"), declared_value=Decimal("5.10"), currency="INR"),
        Package(weight_kg=Decimal("0.001"), description="A pen"),
    ),
    reference="WB0123456789ABCDEF0123456",
    order_id="SHOP-8812",
    service_type="courier_5",
    ordered_at=datetime(2026, 5, 19, 11, 11, 0, 250_000, tzinfo=UTC),
    currency="INR",
    items=(Item(name="Bag", quantity=3, unit_price=Decimal("260.00"), tax=Decimal("12.00"), hs_code="4202"),),
    payment_method=PaymentMethod.COD,
    cod_amount=Decimal("765.00"),
    pickup_point=PickupPoint(id="PP-70421", address=Address(country="IN")),
    billing_address=replace(PUNE, contact_name="Nikhil Varma"),
    warehouse=Warehouse(name="MainDepot", address=OSLO, carrier_id="WHKKP2"),
    label_format="ZPL",
    label_size="A6",
    customer_reference="PO 7",
    return_of=shipment_ref(reference="WB0", tracking_number="KP00000001", carrier_shipment_id="p-1"),
    reason="Does not fit",
    metadata={"pickup_point_id": "PP-70421", "customer_reference": "PO 7", "note": "", "big": 10**30, "deep": [None]},
)
# As releases without typed orders stored it.
OLD = {
    "carrier": "Velocity Shipfast",
    "order_id": "SHOP-8812",
    "additional": True,
    "more_returns": False,
    "origin": {"country": "IN", "postal_code": "302001", "city": "Jaipur", "street": "1 Depot Road", "company": ""},
    "destination": {"country": "IN", "postal_code": "411004", "city": "Pune", "street": "44 Lotus Street"},
    "packages": [{"weight_kg": "0.750", "length_cm": "34.00", "declared_value": "99.90", "currency": "INR"}],
    "items": [{"name": "Bag", "quantity": 2, "unit_price": "260.00", "discount": "0", "tax": "12.00", "sku": ""}],
    "payment_method": "cod",
    "cod_amount": "765.00",
    "currency": "INR",
    "service_type": "standard",
    "label_format": "PDF",
    "label_size": "4x6",
    "reason": "Does not fit",
    "warehouse_id": "018f2f62-3c1a-7000-8000-000000000001",
    "waybill_number": "WB26000000018",
    "mute_warnings": False,
    "metadata": {"pickup_point_id": "PP-1", "customer_reference": "PO 7", "own": {"weight": 1.5}},
}


def test_stored_order_is_the_order_that_was_bought():
    stored = json.loads(json.dumps(to_request(ORDER, {"carrier": "Velocity Shipfast"})))
    assert to_order(stored) == replace(ORDER, return_of=None)  # a row, of which the reference is built again
    assert "return_of" not in stored
    assert stored["carrier"] == "Velocity Shipfast"


def test_order_with_required_fields_only_is_stored_without_empty_fields():
    order = Order(origin=OSLO, destination=OSLO, packages=(Package(weight_kg=Decimal(1)),))
    stored = to_request(order, {})
    assert to_order(stored) == order
    assert stored["origin"] == {
        "country": "NO",
        "postal_code": "0150",
        "city": "Oslo",
        "street": "Storgata 1",
        "contact_name": "Jane Smith",
    }
    assert stored["packages"] == [{"weight_kg": "1"}]
    assert "cod_amount" not in stored


def test_merchants_metadata_is_stored_as_it_was_sent():
    assert to_request(ORDER, {})["metadata"] == ORDER.metadata


def test_keys_of_the_request_that_are_not_the_orders_stay():
    warehouse_id = UUID("018f2f62-3c1a-7000-8000-000000000001")
    request = {"mute_warnings": True, "warehouse_id": warehouse_id, "additional": False, "origin": {"country": "XX"}}
    stored = to_request(ORDER, request)
    assert (stored["mute_warnings"], stored["warehouse_id"], stored["additional"]) == (True, str(warehouse_id), False)
    assert stored["origin"]["country"] == "NO"


def test_request_stored_by_an_earlier_release_is_read():
    order = to_order(OLD)
    assert order == Order(
        order_id="SHOP-8812",
        origin=Address(country="IN", postal_code="302001", city="Jaipur", street="1 Depot Road"),
        destination=Address(country="IN", postal_code="411004", city="Pune", street="44 Lotus Street"),
        packages=(
            Package(
                weight_kg=Decimal("0.750"),
                length_cm=Decimal("34.00"),
                declared_value=Decimal("99.90"),
                currency="INR",
            ),
        ),
        items=(Item(name="Bag", quantity=2, unit_price=Decimal("260.00"), tax=Decimal("12.00")),),
        payment_method=PaymentMethod.COD,
        cod_amount=Decimal("765.00"),
        currency="INR",
        pickup_point=PickupPoint(id="PP-1", address=Address(country="IN")),
        service_type="standard",
        customer_reference="PO 7",
        reason="Does not fit",
        metadata=OLD["metadata"],
    )


def test_empty_fields_that_the_merchant_sent_are_stored():
    stored = to_request(to_order(OLD), OLD)
    assert {name: stored[name] for name in ("origin", "destination")} == {
        name: OLD[name] for name in ("origin", "destination")
    }
    changed = replace(to_order(OLD), origin=OSLO)
    assert to_request(changed, OLD)["origin"]["country"] == "NO"


@pytest.mark.django_db
@pytest.mark.usefixtures("credential", "sandbox")
def test_empty_fields_that_the_merchant_sent_are_shown(api, order):
    empty = {"company": "", "contact_email": ""}
    sent = {name: {**order[name], **empty} for name in ("origin", "destination")}
    item = {"name": "Bag", "quantity": 1, "sku": "", "hs_code": ""}
    body = {**order, **sent, "billing_address": sent["destination"], "items": [item]}
    bought = api.post("/api/v1/labels", body)
    assert bought.status_code == 200, bought.content
    shown = api.get(f"/api/v1/shipments/{bought.json()['shipment_id']}").json()
    assert {name: shown[name] for name in sent} == sent
    assert shown["billing_address"] == sent["destination"]
    assert item.items() <= shown["items"][0].items()


def test_request_keeps_its_keys_when_it_is_stored_again():
    assert OLD.keys() <= to_request(to_order(OLD), OLD).keys()


def test_validated_data_gives_the_same_order_as_its_stored_form():
    validated = OLD | {"cod_amount": Decimal("765.00"), "packages": [{"weight_kg": Decimal("0.750")}]}
    assert to_order(validated) == to_order(to_builtins(validated))


@pytest.mark.django_db
@pytest.mark.usefixtures("credential", "sandbox")
def test_shipment_with_a_request_of_an_earlier_release_is_shown(api, order):
    shipment_id = api.post("/api/v1/labels", order).json()["shipment_id"]
    Shipment.objects.filter(id=shipment_id).update(request=OLD | {"billing_address": OLD["destination"]})
    shown = api.get(f"/api/v1/shipments/{shipment_id}").json()
    assert shown["items"] == [OLD["items"][0] | {"unit_price": 260.0, "discount": 0.0, "tax": 12.0}]
    assert shown["payment"] == {"method": "cod", "cod_amount": 765.0, "currency": "INR"}
    assert shown["billing_address"] == OLD["destination"]


@pytest.mark.django_db
@pytest.mark.usefixtures("credential", "sandbox")
def test_bought_order_is_stored_as_it_was_sent_to_the_carrier(api, order, sandbox):
    shipment_id = api.post("/api/v1/labels", order).json()["shipment_id"]
    shipment = Shipment.objects.get(id=shipment_id)
    stored = to_order(shipment.request)
    assert (stored.reference, stored.ordered_at) == (shipment.reference, shipment.created_at)
    assert order.keys() <= shipment.request.keys()
    (call,) = sandbox.calls(carrier="pickit", operation="create_label")
    assert call["body"] == json.loads(json.dumps(build.shipment(stored), default=float))


@pytest.mark.django_db
@pytest.mark.usefixtures("credential", "sandbox")
def test_shipment_with_an_unreadable_request_is_still_tracked(api, order):
    bought = api.post("/api/v1/labels", order).json()
    Shipment.objects.filter(id=bought["shipment_id"]).update(request=OLD | {"metadata": None, "packages": "two"})
    track = api.post("/api/v1/tracking", {"carrier": "pickit", "tracking_number": bought["tracking_number"]})
    assert (track.status_code, track.json()["status"]) == (200, "created")
    ref = refs.shipment_ref(Shipment.objects.get())
    assert (ref.order.order_id, ref.order.destination.city) == (order["order_id"], order["destination"]["city"])
