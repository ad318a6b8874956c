"""Validation of orders, updates, returns and warehouses at the simulated Velocity."""

import uuid

import pytest

from carriers.sandbox.tests.velocity_client import RECORDED

WRONG = {
    "billing_phone": ("+919000000001", "90000", 9000000001, None),
    "billing_pincode": ("5601", 560095, "56010A"),
    "billing_customer_name": ("", None, "x" * 101, 7),
    "billing_address": ("x" * 201, None),
    "billing_city": ("x" * 51, None),
    "billing_state": ("x" * 51, None),
    "billing_email": ("nobody", "a@b", 7),
    "order_id": ("x" * 51, "", None, 7),
    "order_date": ("08.05.2026", "2026-02-30 10:00", "2026-05-08T12:23:00Z", None),
    "payment_method": ("cod", "CASH", None),
    "cod_collectible": (None, 0, "990"),
    "weight": (0.05, 30.1, "1", None),
    "length": (0.5, 201, None),
    "breadth": (0.5, 201, None),
    "height": (0.5, 201, None),
    "order_items": ([], None, "shirt", [{"name": "Shirt", "units": 1}], [{"name": "Shirt", "units": 0.5}], ["Shirt"]),
    "pickup_location": (None, ""),
    "sub_total": ("990", -1, None),
    "shipping_is_billing": ("no", 0),
    "vendor_details": ("4 Main Road", {"city": 7}),
}
# The smallest and largest values that the document's schema accepts.
BOUNDS = {
    "billing_customer_name": ("x" * 100,),
    "billing_address": ("x" * 200,),
    "billing_city": ("x" * 50,),
    "billing_state": ("x" * 50,),
    "weight": (0.1, 30),
    "length": (1, 200),
    "breadth": (1, 200),
    "height": (1, 200),
    "order_items": ([{"name": "Shirt", "units": 1, "selling_price": 0, "discount": 0, "tax": 0}],),
}
WRONG_WAREHOUSES = {
    "phone": "1",
    "pin_code": "1",
    "name": "",
    "city": None,
    "email": "nobody",
    "return_pin_code": "1",
}


@pytest.mark.parametrize("field", list(BOUNDS))
def test_documented_bounds_are_accepted(velocity, field):
    for value in BOUNDS[field]:
        answer = velocity.order(**{field: value})
        assert answer.status_code == 200, answer.text


def test_order_id_with_fifty_characters_is_accepted(velocity):
    assert velocity.order(order_id=f"{uuid.uuid4()}".ljust(50, "x")).status_code == 200


@pytest.mark.parametrize("change", [{"selling_price": -1}, {"discount": -1}, {"tax": -1}, {"units": 0}])
def test_invalid_item_is_refused(velocity, change):
    item = {"name": "Shirt", "units": 1, "selling_price": 10, "discount": 2, "tax": 1}
    answer = velocity.order(order_items=[item | change])
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["order_items"])
    assert next(iter(change)) in answer.json()["errors"]["order_items"]


@pytest.mark.parametrize("field", list(WRONG))
def test_invalid_order_is_refused_with_its_field(velocity, field):
    for value in WRONG[field]:
        answer = velocity.order(**{field: value})
        body = answer.json()
        assert (answer.status_code, body["message"]) == (400, "Validation failed"), value
        assert list(body["errors"]) == [field]
        assert body["errors"][field]


def test_recipient_other_than_the_buyer_is_validated(velocity):
    body = velocity.order(shipping_is_billing=False, shipping_pincode="560103").json()
    names = ("customer_name", "address", "city", "state", "phone")
    assert set(body["errors"]) == {f"shipping_{name}" for name in names}


def test_too_heavy_order_gets_the_documented_message(velocity):
    assert velocity.order(weight=31).json()["errors"] == {"weight": "Weight exceeds maximum limit"}


def test_order_without_warehouse_gets_warehouse_not_found(velocity):
    answer = velocity.order(warehouse_id=None, pickup_location=None)
    assert (answer.status_code, answer.json()) == (404, {"message": "Warehouse not found", "warehouse_id": None})


def test_unserved_pincode_is_refused(velocity):
    answer = velocity.order(billing_pincode="999999")
    assert (answer.status_code, answer.json()["pincode"]) == (422, "999999")
    answer = velocity.order("return_booked", pickup_pincode="000000")
    assert (answer.status_code, answer.json()["pincode"]) == (422, "000000")


def test_courier_without_cod_is_neither_offered_nor_accepted_for_cod(velocity):
    route = RECORDED["serviceable_by_two_couriers"]["request"]["body"]
    offered = [
        {
            one["courier_company_id"]
            for one in velocity("serviceability", route | {"cod": cod}).json()["available_carriers"]
        }
        for cod in (0, 1)
    ]
    assert offered[0] - offered[1] == {"9"}
    name = "order_of_a_chosen_courier"
    cash = {"payment_method": "COD", "cod_collectible": 765}
    assert velocity.order(name, courier_company_id="9").json()["courier_name"] == "Xpressbees Air"
    assert set(velocity.order(name, courier_company_id="9", **cash).json()["errors"]) == {"courier_company_id"}
    assert set(velocity.order(name, courier_company_id="77").json()["errors"]) == {"courier_company_id"}


def test_return_without_address_goes_to_the_warehouse(velocity):
    no_address = {
        f"shipping_{name}": None for name in ("customer_name", "address", "city", "pincode", "state", "phone")
    }
    assert velocity.order("return_booked", **no_address).status_code == 200
    assert "shipping_pincode" in velocity.order("return_booked", **no_address, warehouse_id=None).json()["errors"]
    assert set(velocity.order("return_booked", payment_method="COD").json()["errors"]) == {"payment_method"}


def test_update_is_validated_and_lists_changed_fields(velocity):
    number = velocity.order().json()["awb"]
    update = {"awb": number, "shipping_city": "Pune", "shipping_address": "46 Lotus Street", "weight": 2}
    assert velocity("order-update", update).json()["updated_fields"] == ["shipping_address", "weight"]
    assert velocity("order-update", update).json()["updated_fields"] == []
    for wrong in ({"weight": 31}, {"shipping_pincode": "1"}, {"cod_collectible": 0}, {"shipping_city": None}):
        answer = velocity("order-update", {"awb": number} | wrong)
        assert (answer.status_code, set(answer.json()["errors"])) == (400, set(wrong))
    assert velocity("order-update", {"awb": number, "shipping_pincode": "999999"}).status_code == 422
    assert velocity("order-update", {"awb": number}).status_code == 400
    velocity.advance(number, to="OFD")
    late = velocity("order-update", update)
    assert (late.status_code, late.json()["current_status"]) == (400, "out_for_delivery")


@pytest.mark.parametrize("field", list(WRONG_WAREHOUSES))
def test_invalid_warehouse_is_refused_with_its_field(velocity, field):
    body = RECORDED["warehouse_created"]["request"]["body"] | {field: WRONG_WAREHOUSES[field]}
    assert set(velocity("warehouse", body).json()["errors"]) == {field}
