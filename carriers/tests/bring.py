"""Samples for the tests of Bring's adapter: addresses, orders, calls, recorded responses (``fixtures/bring``)."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from decimal import Decimal

from carriers.adapters.bring import BringAdapter
from carriers.tests import recorded
from carriers.tests.replay import FILE, Replay, answer
from carriers.tests.samples import shipment_ref
from carriers.types import (
    Address,
    Customs,
    DangerousGoods,
    Item,
    Options,
    Order,
    Package,
    ParcelRef,
    PaymentMethod,
    PickupPoint,
    PickupRequest,
    PointSearch,
    Subscription,
    TaxId,
)

HOST = "https://api.bring.com"
NUMBER, PARCELS = "70438109000000017", ("370438109000000018", "370438109000000025")
SHIP_AT = datetime(2099, 1, 15, 10, 0, tzinfo=timezone(timedelta(hours=1)))
SECRET = "hook-secret-of-the-tests"
FIELDS = {
    "api_uid": "shop@nordwind.example",
    "api_key": "bring-key-of-the-tests",
    "customer_number": "20012345678",
    "cod_account_number": "12345678903",
    "webhook_token": SECRET,
}
SHOP = Address(
    company="Nordwind AS",
    contact_name="Ada Lane",
    street="Storgata 1",
    city="Oslo",
    postal_code="0155",
    country="NO",
    contact_phone="+4790000001",
    contact_email="ops@nordwind.example",
)
BUYER = Address(
    contact_name="Bo Quist",
    street="Bryggen",
    house_number="2",
    street2="c/o Lind",
    city="Bergen",
    postal_code="5003",
    country="NO",
    contact_phone="+4790000002",
    contact_email="bo@example.org",
)
SWEDE = replace(BUYER, city="Stockholm", postal_code="111 22", country="SE", contact_phone="+46700000003")
BOX = Package(
    weight_kg=Decimal("1.4"),
    length_cm=Decimal(20),
    width_cm=Decimal(15),
    height_cm=Decimal("9.5"),
    description="Books",
)
ORDER = Order(
    origin=SHOP,
    destination=BUYER,
    packages=(BOX,),
    reference="WB-0001",
    order_id="SHOP-1",
    service_type="5800",
    ship_at=SHIP_AT,
    currency="NOK",
)
POINT = PickupPoint(
    id="205003",
    name="Pakkeboks Bergen",
    kind="LOCKER",
    address=Address(country="NO", postal_code="5003", city="Bergen", street="Storgata 74"),
    carrier_state={"type": "37", "max_cm": [44.5, 50.5, 60.0]},
)
TO_POINT = replace(ORDER, packages=(BOX, replace(BOX, weight_kg=Decimal("0.8"))), pickup_point=POINT)
COD = replace(ORDER, payment_method=PaymentMethod.COD, cod_amount=Decimal("250.50"))
SHAMPOO = Item(
    name="Shampoo",
    quantity=2,
    unit_price=Decimal(100),
    weight_kg=Decimal("0.25"),
    hs_code="3305.10",
    origin_country="CH",
)
SHIRT = replace(SHAMPOO, name="Shirt", quantity=1, weight_kg=Decimal("0.5"), hs_code="61091000", origin_country="PT")
CUSTOMS = Customs(signer="Ada Lane", tax_ids=(TaxId(kind="vat", number="NO123456789MVA"),))
EXPORT = replace(ORDER, destination=SWEDE, service_type="PICKUP_PARCEL", items=(SHAMPOO, SHIRT), customs=CUSTOMS)
CARGO = replace(
    ORDER,
    service_type="5100",
    options=Options(
        dangerous_goods=(
            DangerousGoods(un_number="3295", hazard_class="3", packing_group="III", quantity=Decimal("0.5")),
        )
    ),
)
REF = shipment_ref(
    ORDER,
    tracking_number=NUMBER,
    parcels=(ParcelRef(number=1, tracking_number=PARCELS[0], reference="WB-0001-1"),),
    carrier_state={"files": [["label", "PDF", f"{HOST}/labels/id/6d8c4323-87cd-47e8-aa0d-75f8f0b5b4cb.pdf", 0]]},
)
RETURN = replace(
    ORDER,
    origin=BUYER,
    destination=SHOP,
    reference="WB-0002",
    service_type="9300",
    return_of=REF,
    wanted_documents=("qr",),
    reason="Too small",
)
ANY_SERVICE = replace(ORDER, reference="", service_type=None, packages=(replace(BOX, weight_kg=Decimal(6)),))
PICKUP = PickupRequest(
    reference="PU-0001",
    pickup_date=SHIP_AT,
    window_start="10:00",
    window_end="14:00",
    address=SHOP,
    packages_count=1,
    special_instructions="Ring twice",
    shipments=(REF,),
    parcel_location="Reception",
)
NEAR_BUYER = PointSearch(country="NO", address=BUYER, limit=3)
HOOK = "https://ship.example.org/webhooks/bring/events/1"
SUBSCRIPTION = Subscription(carrier_id="ad84cbca-2e89-43e0-a301-a8d5d7fe7804", numbers=(NUMBER,))

# The call that sends each recorded request.
REQUESTS = {
    "customer_numbers_of_the_user": lambda it: it.check_credential(),
    "refused_wrong_key": lambda it: it.check_credential(),
    "prices_of_the_usual_products_one_too_heavy": lambda it: it.quote(ANY_SERVICE),
    "no_product_is_possible": lambda it: it.quote(replace(ANY_SERVICE, service_type="PICKUP_PARCEL")),
    "refused_postal_code_of_a_quote": lambda it: it.quote(
        replace(ANY_SERVICE, service_type="5800", destination=replace(BUYER, postal_code="9999"))
    ),
    "days_of_a_product": lambda it: it.transit_times(replace(ANY_SERVICE, service_type="5800")),
    "coverage_of_a_postal_code": lambda it: it.coverage(postal_code="5003", city="Bergen", country="NO"),
    "label_of_one_parcel": lambda it: it.create_label(ORDER),
    "label_of_two_parcels_to_a_locker": lambda it: it.create_label(TO_POINT),
    "label_with_cash_on_delivery": lambda it: it.create_label(COD),
    "label_of_an_export": lambda it: it.create_label(EXPORT),
    "label_of_dangerous_goods": lambda it: it.create_label(CARGO),
    "label_without_number_of_a_parcel": lambda it: it.create_label(TO_POINT),
    "refused_city_and_postal_code": lambda it: it.create_label(
        replace(ORDER, destination=replace(BUYER, city="", postal_code="9999"))
    ),
    "refused_product_inside_a_success": lambda it: it.create_label(replace(ORDER, service_type="5801")),
    "failed_inside_bring": lambda it: it.create_label(ORDER),
    "return_with_qr_code": lambda it: it.create_return(RETURN),
    "found_by_our_reference": lambda it: it.find_by_reference(REF),
    "found_nothing": lambda it: it.find_by_reference(REF),
    "blocked_after_too_many_misses": lambda it: it.track([REF]),
    "tracking_of_two_parcels": lambda it: it.track([REF]),
    "tracking_of_a_delivery": lambda it: it.proof_of_delivery(REF),
    "pickup_ordered": lambda it: it.schedule_pickup(PICKUP),
    "refused_pickup_in_the_past": lambda it: it.schedule_pickup(
        replace(PICKUP, pickup_date=datetime(2024, 1, 15, tzinfo=SHIP_AT.tzinfo))
    ),
    "points_near_an_address": lambda it: it.pickup_points(NEAR_BUYER),
    "point_in_full": lambda it: it.pickup_point("205003", "NO"),
    "subscribed": lambda it: it.subscribe([NUMBER], HOOK, SECRET),
    "subscription_ended": lambda it: it.unsubscribe(SUBSCRIPTION),
}
RECORDED, EVENTS = recorded.examples("bring"), recorded.events("bring")


def response(name):
    return deepcopy(RECORDED[name]["response"])


def open_adapter(*answers, environment="sandbox", url="http://127.0.0.1:8010/bring", **fields):
    return BringAdapter(fields=FIELDS | fields, environment=environment, urls={"main": url}, http=Replay(*answers))


def replaying(name):
    """Return an adapter that gets a recorded response."""
    return open_adapter(answer(response(name), RECORDED[name]["status"]))


def _call(name):
    return REQUESTS[name], response(name)


CALLS = {
    "check_credential": _call("customer_numbers_of_the_user"),
    "quote": _call("prices_of_the_usual_products_one_too_heavy"),
    "transit_times": _call("days_of_a_product"),
    "coverage": _call("coverage_of_a_postal_code"),
    "create_label": _call("label_of_two_parcels_to_a_locker"),
    "create_return": _call("return_with_qr_code"),
    "find_by_reference": _call("found_by_our_reference"),
    "documents": (lambda it: it.documents(REF, ("label",)), FILE),
    "track": _call("tracking_of_two_parcels"),
    "proof_of_delivery": _call("tracking_of_a_delivery"),
    "schedule_pickup": _call("pickup_ordered"),
    "pickup_points": _call("points_near_an_address"),
    "pickup_point": _call("point_in_full"),
    "subscribe": _call("subscribed"),
    "unsubscribe": (REQUESTS["subscription_ended"], {}),
}
