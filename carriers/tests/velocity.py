"""Samples for the tests of Velocity's adapter: addresses, orders, calls, recorded responses (``fixtures/velocity``)."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

from carriers.adapters.velocity import VelocityAdapter
from carriers.tests import recorded
from carriers.tests.replay import FILE, Replay, Tokens, answer
from carriers.tests.samples import shipment_ref
from carriers.types import (
    Address,
    Item,
    Order,
    OrderUpdate,
    Package,
    PaymentMethod,
    ReportRequest,
    Warehouse,
    WarehouseRequest,
)

BASE = "http://127.0.0.1:8010/velocity"
SECRET = "whsec-of-the-tests"
AWB = "SHPHYB700100200"
NOW = datetime(2026, 5, 12, 15, 0, tzinfo=UTC)
DEPOT = Address(
    contact_name="Meera Shah",
    contact_phone="+91 98230 11022",
    contact_email="seller@example.org",
    street="Lane 4",
    city="Jaipur",
    state="Rajasthan",
    postal_code="302001",
    country="IN",
)
BUYER = Address(
    contact_name="Nikhil Varma",
    contact_phone="098230-44551",
    contact_email="customer@example.org",
    street="44 Lotus Street",
    city="Pune",
    state="Maharashtra",
    postal_code="411004",
    country="IN",
)
PARCEL = Package(weight_kg=Decimal("0.75"), length_cm=Decimal(34), width_cm=Decimal(27), height_cm=Decimal(12))
BAGS = Item(
    name="Canvas Bag",
    sku="canvas-bag-88",
    quantity=3,
    unit_price=Decimal(260),
    discount=Decimal(15),
    tax=Decimal(12),
)
HOME = Warehouse(name="MainDepot", address=DEPOT, carrier_id="WHKKP2")
PREPAID = {
    "reference": "WB-0073",
    "order_id": "SHOP-8812",
    "origin": DEPOT,
    "destination": BUYER,
    "packages": (PARCEL,),
    "items": (BAGS,),
    "ordered_at": datetime(2026, 5, 19, 11, 11, tzinfo=UTC),
    "currency": "INR",
    "warehouse": HOME,
    "service_type": "standard",
}
ORDER = Order(**PREPAID, payment_method=PaymentMethod.COD, cod_amount=Decimal(765))
CHOSEN = Order(**PREPAID | {"service_type": "courier_5"})
REF = shipment_ref(ORDER, tracking_number=AWB)
RETURNED = PREPAID | {
    "reference": "WB-0074",
    "origin": BUYER,
    "destination": DEPOT,
    "ordered_at": datetime(2026, 5, 27, 3, 35, tzinfo=UTC),
    "return_of": REF,
    "reason": "Does not fit",
}
RETURN = Order(**RETURNED)
QUOTE = Order(
    service_type="standard",
    origin=Address(postal_code="411004", country="IN"),
    destination=Address(postal_code="600017", country="IN"),
    packages=(Package(weight_kg=Decimal("0.75")),),
    payment_method=PaymentMethod.COD,
    cod_amount=Decimal(765),
)
KOCHI = Warehouse(
    name="Kochi Depot",
    address=Address(
        contact_phone="+919823077031",
        contact_email="depot@example.org",
        street="7 Harbour Road\nFort Kochi",
        city="Kochi",
        state="Kerala",
        postal_code="682001",
        country="IN",
    ),
)
MOVED = OrderUpdate(
    tracking_number=AWB,
    destination=Address(**vars(BUYER) | {"street": "46 Lotus Street"}),
    packages=(Package(weight_kg=Decimal(2)),),
)
UNSERVED = replace(
    QUOTE,
    destination=Address(postal_code="999999", country="IN"),
    payment_method=PaymentMethod.PREPAID,
    cod_amount=None,
)
MAY = ReportRequest(kind="orders", since=date(2026, 5, 1), until=date(2026, 5, 31))


FIELDS = {"username": "+919812300045", "password": "pune-secret", "webhook_secret": SECRET}
RECORDED, EVENTS = recorded.examples("velocity"), recorded.events("velocity")
UNKNOWN = shipment_ref(ORDER, tracking_number="SHPHYB700100299")
LABELLED = replace(REF, carrier_state={"label_url": f"{BASE}/api/label/31990244.pdf"})


def response(name):
    return deepcopy(RECORDED[name]["response"])


def _order_to(pincode):
    return replace(ORDER, destination=replace(BUYER, postal_code=pincode))


CALLS = {
    "quote": (lambda it: it.quote(QUOTE), response("serviceable_by_two_couriers")),
    "create_label": (lambda it: it.create_label(ORDER), response("order_with_cash_on_delivery")),
    "find_by_reference": (lambda it: it.find_by_reference(REF), response("order_found_by_our_reference")),
    "cancel": (lambda it: it.cancel(REF, "late"), response("order_cancelled")),
    "track": (lambda it: it.track([REF]), response("tracking_of_one_in_transit")),
    "documents": (lambda it: it.documents(LABELLED, ["label"]), FILE),
    "register_warehouse": (
        lambda it: it.register_warehouse(WarehouseRequest(warehouse=KOCHI)),
        response("warehouse_created"),
    ),
    "create_return": (lambda it: it.create_return(RETURN), response("return_booked")),
    "update_order": (lambda it: it.update_order(MOVED), response("order_updated_to_another_address")),
    "reports": (lambda it: it.reports(MAY), response("report_of_orders")),
}
# The call that sends each recorded request.
REQUESTS = {
    "token_granted": lambda it: it.fetch_token(),
    "token_refused": lambda it: it.fetch_token(),
    "token_over_rate_limit": lambda it: it.fetch_token(),
    "token_failed_at_velocity": lambda it: it.fetch_token(),
    "order_with_cash_on_delivery": lambda it: it.create_label(ORDER),
    "order_from_unknown_warehouse": lambda it: it.create_label(
        replace(ORDER, warehouse=replace(HOME, carrier_id="WHNONE0"))
    ),
    "order_refused_for_pincode_and_weight": lambda it: it.create_label(
        replace(_order_to("4110"), packages=(replace(PARCEL, weight_kg=Decimal(31)),))
    ),
    "order_to_an_unserved_pincode": lambda it: it.create_label(_order_to("999999")),
    "order_failed_at_courier": lambda it: it.create_label(ORDER),
    "order_of_a_chosen_courier": lambda it: it.create_label(CHOSEN),
    "tracking_of_one_in_transit": lambda it: it.track([REF]),
    "tracking_without_unknown_number": lambda it: it.track([REF, UNKNOWN]),
    "order_cancelled": lambda it: it.cancel(REF, ""),
    "cancelling_delivered_order": lambda it: it.cancel(REF, ""),
    "cancelling_unknown_order": lambda it: it.cancel(UNKNOWN, ""),
    "serviceable_by_two_couriers": lambda it: it.quote(QUOTE),
    "not_serviceable": lambda it: it.quote(UNSERVED),
    "warehouse_created": lambda it: it.register_warehouse(WarehouseRequest(warehouse=KOCHI)),
    "warehouse_changed": lambda it: it.register_warehouse(
        WarehouseRequest(warehouse=replace(KOCHI, carrier_id="WHQRS778"))
    ),
    "return_booked": lambda it: it.create_return(RETURN),
    "return_of_a_chosen_courier": lambda it: it.create_return(Order(**RETURNED | {"service_type": "courier_5"})),
    "order_updated_to_another_address": lambda it: it.update_order(MOVED),
    "changing_order_out_for_delivery": lambda it: it.update_order(MOVED),
    "order_found_by_our_reference": lambda it: it.find_by_reference(REF),
    **{
        f"report_of_{kind}": lambda it, kind=kind: it.reports(replace(MAY, kind=kind))
        for kind in VelocityAdapter.report_kinds
    },
}

# Fields of the credential of a recorded request, if they are not the usual ones.
CREDENTIALS = {"token_refused": {"password": "guessed"}} | {
    name: {"channel_id": "30417"} for name in REQUESTS if name.startswith("order_")
}


def open_adapter(*answers, **fields):
    return VelocityAdapter(
        fields=FIELDS | fields, environment="sandbox", urls={"main": BASE}, http=Replay(*answers), tokens=Tokens()
    )


def replaying(name):
    """Return an adapter that gets a recorded response."""
    return open_adapter(answer(response(name), RECORDED[name]["status"]), **CREDENTIALS.get(name, {}))
