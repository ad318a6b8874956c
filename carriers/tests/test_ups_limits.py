"""What UPS's adapter refuses before anything is sent."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from jsonschema import Draft202012Validator

from carriers.adapters.ups import UpsAdapter
from carriers.tests.replay import answer
from carriers.tests.ups import (
    ABROAD,
    BERLIN,
    BOOKS,
    BOX,
    BUYER,
    DEPOT,
    ORDER,
    PICKUP,
    RETURN,
    TUBE,
    open_adapter,
    response,
)
from carriers.types import DangerousGoods, Document, Options, Payer, PaymentMethod, PickupPoint
from carriers.types.errors import CarrierRejected

GOODS = DangerousGoods(un_number="3480", hazard_class="9", packing_group="II", quantity=Decimal("1.2"))
DETAILS = {"ProperShippingName": "Lithium ion batteries", "RegulationSet": "CFR", "TransportationMode": "Ground"}
POINT = PickupPoint(id="U12345678", name="CORNER MARKET", address=replace(BUYER, residential=None))
LONG = "x" * 60


def to(order=ORDER, **fields):
    return replace(order, destination=replace(order.destination, **fields))


def customs(**fields):
    return replace(ABROAD, customs=replace(ABROAD.customs, **fields))


def item(**fields):
    return replace(ABROAD, items=(replace(BOOKS, **fields),))


def options(order=ORDER, **fields):
    return replace(order, options=replace(order.options, **fields))


def test_good_orders_have_no_problem():
    for order in (ORDER, ABROAD, RETURN, replace(ORDER, pickup_point=POINT), replace(ORDER, packages=(BOX,) * 200)):
        assert UpsAdapter.problems(open_adapter(answer({})), order) == {}


@pytest.mark.parametrize(
    ("order", "field"),
    [
        (to(street="Pine Street and a corner " + LONG), "destination.street"),
        (to(street2=LONG), "destination.street2"),
        (to(street="", street2=""), "destination.street"),
        (to(contact_name="Grace Hill of Seattle, Washington, USA"), "destination.contact_name"),
        (to(contact_name=""), "destination.contact_name"),
        (to(city="Llanfairpwllgwyngyllgogerychwyrndrobwll"), "destination.city"),
        (to(state="Washington"), "destination.state"),
        (to(contact_phone="+1234567890123456789"), "destination.contact_phone"),
        (to(ABROAD, contact_phone=""), "destination.contact_phone"),
        (replace(ORDER, return_address=replace(BERLIN, street=LONG)), "return_address.street"),
        (replace(ORDER, packages=(BOX,) * 201), "packages"),
        (replace(RETURN, packages=(BOX,) * 2), "packages"),
        (replace(RETURN, service_type=None), "service_type"),
        (replace(ORDER, packages=(replace(BOX, width_cm=None),)), "packages[0]"),
        (replace(ORDER, packages=(replace(BOX, description=LONG),)), "packages[0].description"),
        (replace(ABROAD, packages=(TUBE,), items=(replace(BOOKS, name=LONG),)), "items[0].name"),
        (replace(ORDER, customer_reference=LONG), "metadata.customer_reference"),
        (options(signature="recipient"), "options.signature"),
        (options(RETURN, signature="adult"), "options.signature"),
        (options(to(contact_email=""), notify=True), "destination.contact_email"),
        (options(payer=Payer(who="recipient")), "options.payer.account_number"),
        (options(payer=Payer(who="third_party", account_number="Z9Y8X7")), "options.payer.country"),
        (options(dangerous_goods=(GOODS,)), "options.carrier.dangerous_goods"),
        (options(ABROAD, carrier={}), "options.carrier.eu_de_minimis"),
        (
            replace(ORDER, packages=(BOX, TUBE), payment_method=PaymentMethod.COD, cod_amount=Decimal(20)),
            "payment_method",
        ),
        (replace(ORDER, payment_method=PaymentMethod.COD, cod_amount=Decimal(20), currency=""), "currency"),
        (replace(ORDER, ship_at=datetime.now(UTC) + timedelta(days=9)), "ship_at"),
        (replace(ORDER, ship_at=datetime.now(UTC) - timedelta(days=2)), "ship_at"),
        (customs(importer=replace(BERLIN, street=LONG)), "customs.importer.street"),
        (customs(importer=replace(BERLIN, company=LONG)), "customs.importer.company"),
        (customs(duties=Payer(who="recipient", account_number=LONG)), "customs.duties.account_number"),
        (replace(ABROAD, billing_address=replace(BERLIN, street=LONG)), "billing_address.street"),
        (replace(ORDER, wanted_documents=("invoice",)), "wanted_documents"),
        (replace(ORDER, customs=ABROAD.customs), "customs"),
        (replace(ORDER, attachments=(Document(kind="other", format="PDF"),)), "attachments"),
        (customs(incoterm="DDU"), "customs.incoterm"),
        (customs(mrn="26DE123"), "customs.mrn"),
        (customs(invoice_number=LONG), "customs.invoice_number"),
        (replace(ABROAD, items=()), "items"),
        (replace(ABROAD, currency=""), "currency"),
        (item(origin_country=""), "items[0].origin_country"),
        (item(unit_price=Decimal(0)), "items[0].unit_value"),
        (item(description=LONG * 2), "items[0].description"),
        (replace(ABROAD, attachments=(Document(kind="invoice", format="ZPL"),)), "attachments[0].format"),
    ],
)
def test_order_that_ups_cannot_take_is_refused_by_field(order, field):
    found = open_adapter(answer({})).problems(order)
    assert field in found and all(text for texts in found.values() for text in texts)


def test_worth_of_goods_for_the_eu_is_known_in_euro():
    for price, is_low in ((Decimal(10), "Y"), (Decimal(100), "N")):
        order = options(replace(item(unit_price=price), currency="EUR"), carrier={})
        adapter = open_adapter(answer(response("labels_of_two_parcels_abroad")))
        assert adapter.problems(order) == {}
        adapter.create_label(order)
        shipment = adapter.http.sent[0]["json"]["ShipmentRequest"]["Shipment"]
        assert shipment["ShipmentServiceOptions"]["EUDeMinimisIndicator"] == is_low


def test_dangerous_goods_and_cash_on_delivery_are_sent():
    dangerous = Options(dangerous_goods=(GOODS,), carrier={"dangerous_goods": [DETAILS], "cod_funds": "8"})
    order = replace(ORDER, options=dangerous, payment_method=PaymentMethod.COD, cod_amount=Decimal("20.00"))
    Draft202012Validator(UpsAdapter.options_schema).validate(dangerous.carrier)
    adapter = open_adapter(answer(response("label_of_one_parcel")))
    assert adapter.problems(order) == {}
    adapter.create_label(order)
    services = adapter.http.sent[0]["json"]["ShipmentRequest"]["Shipment"]["Package"][0]["PackageServiceOptions"]
    assert services["COD"]["CODFundsCode"] == "8"
    (sent,) = services["HazMat"]
    assert (sent["IDNumber"], sent["ClassDivisionNumber"], sent["Quantity"], sent["UOM"]) == (
        "UN3480",
        "9",
        "1.2",
        "kg",
    )
    assert sent["ProperShippingName"] == "Lithium ion batteries"


def test_access_point_is_sent_with_its_whole_address():
    adapter = open_adapter(answer(response("label_of_one_parcel")))
    adapter.create_label(replace(ORDER, pickup_point=POINT))
    shipment = adapter.http.sent[0]["json"]["ShipmentRequest"]["Shipment"]
    assert shipment["ShipmentIndicationType"] == [{"Code": "01"}]
    point = shipment["AlternateDeliveryAddress"]
    assert (point["UPSAccessPointID"], point["AttentionName"]) == ("U12345678", "Grace Hill")
    assert point["Address"]["AddressLine"] == ["98 Pine Street", "Floor 3"]


def test_billing_address_is_no_part_of_a_label_inside_a_country():
    adapter = open_adapter(answer(response("label_of_one_parcel")))
    order = replace(ORDER, billing_address=replace(BUYER, street=LONG))
    assert adapter.problems(order) == {}
    assert adapter.create_label(order).tracking_number


def test_long_texts_of_prices_checks_and_pickups_are_refused_by_field_and_not_sent():
    adapter, wordy = open_adapter(answer({})), replace(DEPOT, street=LONG * 2)
    calls = {
        "destination.street": lambda: adapter.quote(to(street=LONG)),
        "address.street": lambda: adapter.check_address(wordy),
        "address.street ": lambda: adapter.schedule_pickup(replace(PICKUP, address=wordy)),
        "contact_name": lambda: adapter.schedule_pickup(replace(PICKUP, address=replace(DEPOT, contact_name=LONG))),
        "parcel_location": lambda: adapter.schedule_pickup(replace(PICKUP, parcel_location=LONG)),
        "special_instructions": lambda: adapter.schedule_pickup(replace(PICKUP, special_instructions=LONG)),
        "total_weight_kg": lambda: adapter.schedule_pickup(replace(PICKUP, total_weight_kg=Decimal(500_000))),
    }
    for field, call in calls.items():
        with pytest.raises(CarrierRejected) as refused:
            call()
        assert list(refused.value.details) == [field.strip()]
    assert adapter.http.sent == []
