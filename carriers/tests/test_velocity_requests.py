"""The bodies of Velocity's requests, and the fields that its refusals name."""

from dataclasses import replace
from decimal import Decimal

import pytest

from carriers.adapters.velocity import VelocityAdapter, build
from carriers.tests.replay import answer
from carriers.tests.velocity import BAGS, BUYER, DEPOT, HOME, KOCHI, ORDER, PARCEL, PREPAID, open_adapter, response
from carriers.types import Order, Package, PaymentMethod, WarehouseRequest
from carriers.types.errors import CarrierRejected


def test_warehouse_has_a_second_address_line_only_if_the_street_has_several():
    def built(street, **more):
        warehouse = replace(KOCHI, address=replace(KOCHI.address, street=street))
        body = build.warehouse(WarehouseRequest(warehouse=warehouse, **more))
        return body["address"], body.get("address_2"), body["return_address"]

    assert built("7 Harbour Road") == ("7 Harbour Road", None, "7 Harbour Road")
    assert built("7 Harbour Road\r\n \nGate 2\nFort Kochi ") == (
        "7 Harbour Road",
        "Gate 2, Fort Kochi",
        "7 Harbour Road, Gate 2, Fort Kochi",
    )
    assert built("7 Harbour Road\nFort Kochi", return_address=DEPOT) == ("7 Harbour Road", "Fort Kochi", "Lane 4")


def test_order_has_a_street_of_several_lines_without_line_breaks():
    two = {"street": "Lane 4\nBehind the mill"}
    home = replace(HOME, address=replace(DEPOT, **two))
    adapter = open_adapter(answer(response("order_with_cash_on_delivery")))
    adapter.create_label(replace(ORDER, destination=replace(BUYER, **two), warehouse=home))
    body = adapter.http.sent[0]["json"]
    assert body["billing_address"] == "Lane 4, Behind the mill"
    assert (body["vendor_details"]["address"], body["vendor_details"]["address_2"]) == ("Lane 4", "Behind the mill")


def test_item_without_sku_gets_one_from_its_name():
    adapter = open_adapter(answer(response("order_with_cash_on_delivery")))
    adapter.create_label(replace(ORDER, items=(replace(BAGS, sku=""),)))
    assert adapter.http.sent[0]["json"]["order_items"][0]["sku"] == "SKU-Canvas Bag"


def test_refusal_has_every_message_of_a_field():
    refusal = {"message": "Validation failed", "errors": {"weight": ["Too heavy", "Too round"]}}
    with pytest.raises(CarrierRejected) as refused:
        open_adapter(answer(refusal, 400)).create_label(ORDER)
    assert refused.value.details == {"packages": ["Too heavy", "Too round"]}


@pytest.mark.parametrize(("return_address", "field"), [(KOCHI.address, "return_address"), (None, "address")])
def test_refused_return_address_is_named_as_in_our_request(return_address, field):
    names = {"pin_code": "postal_code", "address": "street", "city": "city", "state": "state", "country": "country"}
    refusal = {"message": "Validation failed", "errors": {f"return_{name}": "Wrong" for name in names}}
    with pytest.raises(CarrierRejected) as refused:
        open_adapter(answer(refusal, 400)).register_warehouse(
            WarehouseRequest(warehouse=KOCHI, return_address=return_address)
        )
    assert refused.value.details == {f"{field}.{name}": ["Wrong"] for name in names.values()}


@pytest.mark.parametrize(
    ("written", "national"),
    [
        ("+91 98765 43210", "9876543210"),
        ("+91-9876543210", "9876543210"),
        ("919876543210", "9876543210"),
        ("0091 9876543210", "9876543210"),
        ("09876543210", "9876543210"),
        ("+91 (0)98230 44551", "9823044551"),
        ("0091 0 98230 44551", "9823044551"),
        ("98230 44551 ext. 12", "9823044551"),
        ("+91 22 2345 6789", "2223456789"),
        ("+44 20 7946 0018", "442079460018"),
        ("98230 44551 x5", "9823044551"),
        ("+0919823044551", "9823044551"),
        ("982304 HOME", "982304"),
        ("9823044551ext12", "9823044551"),
        ("98230 44551 extn. 5", "9823044551"),
        ("98230 44551 #12", "9823044551"),
        ("९८२३०४४५५१", "9823044551"),
        ("ask the concierge", ""),
        ("9876543210", "9876543210"),
        ("9100000001", "9100000001"),
        ("+1 555 0100", "15550100"),
        ("", ""),
    ],
)
def test_phone_has_ten_digits(written, national):
    assert build.phone(written) == national


def test_several_packages_are_measured_as_one_stack():
    packages = (
        PARCEL,
        Package(weight_kg=Decimal(1), length_cm=Decimal(20), width_cm=Decimal(60), height_cm=Decimal(5)),
    )
    body = build.forward_order(Order(**PREPAID | {"packages": packages}), zone=VelocityAdapter.zone)
    measures = {name: body[name] for name in ("length", "breadth", "height", "weight")}
    assert measures == {"length": 34, "breadth": 60, "height": 17, "weight": Decimal("1.75")}


def test_order_without_items_has_one_named_after_the_order():
    body = build.forward_order(Order(**PREPAID | {"items": ()}), zone=VelocityAdapter.zone)
    assert [item["name"] for item in body["order_items"]] == ["SHOP-8812"]


def test_undeclared_goods_are_worth_the_cash_on_delivery():
    parcel = replace(PARCEL, declared_value=None)
    for order, worth in ((ORDER, 765), (replace(ORDER, payment_method=PaymentMethod.PREPAID, cod_amount=None), 0)):
        goods = build.forward_order(replace(order, items=(), packages=(parcel,)), zone=VelocityAdapter.zone)
        assert (goods["sub_total"], goods["order_items"][0]["selling_price"]) == (worth, worth)
