"""Samples for the tests of UPS's adapter: addresses, orders, calls, recorded responses (``fixtures/ups``)."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

from carriers.adapters.ups import UpsAdapter
from carriers.tests import recorded
from carriers.tests.replay import Replay, Tokens, answer
from carriers.types import (
    Address,
    Customs,
    Document,
    Item,
    Options,
    Order,
    Package,
    ParcelRef,
    PickupRef,
    PickupRequest,
    PointSearch,
    ShipmentRef,
    Subscription,
    TaxId,
)

URL = "https://wwwcie.ups.com"
FIELDS = {
    "client_id": "ups-client",
    "client_secret": "test-secret",
    "account_number": "A1B2C3",
    "webhook_token": "token-of-the-tests",
}
AT = datetime(2026, 11, 30, 10, 0, tzinfo=UTC)
DEPOT = Address(
    company="Nordwind Goods",
    contact_name="Ada Lane",
    contact_phone="+14105550100",
    contact_email="depot@example.org",
    street="12 Harbor Way",
    city="Baltimore",
    state="MD",
    postal_code="21201",
    country="US",
)
BUYER = Address(
    contact_name="Grace Hill",
    contact_phone="206-555-0100",
    contact_email="grace@example.org",
    street="98 Pine Street",
    street2="Floor 3",
    city="Seattle",
    state="WA",
    postal_code="98101",
    country="US",
    residential=True,
)
BERLIN = Address(
    contact_name="Jörg Weiß",
    contact_phone="+49 30 123456",
    contact_email="joerg@example.org",
    street="Torstraße",
    house_number="1",
    city="Berlin",
    postal_code="10119",
    country="DE",
)
BOX = Package(
    weight_kg=Decimal("1.36"),
    length_cm=Decimal(20),
    width_cm=Decimal(25),
    height_cm=Decimal(10),
    declared_value=Decimal(40),
    currency="USD",
    description="Paper books",
)
TUBE = Package(weight_kg=Decimal("2.5"), declared_value=Decimal(60), currency="USD")
BOOKS = Item(
    name="Paper books",
    quantity=2,
    sku="BK-1",
    unit_price=Decimal("12.50"),
    weight_kg=Decimal("0.4"),
    hs_code="490199",
    origin_country="US",
)
MAPS = Item(name="Maps", sku="MP-2", unit_price=Decimal(50), hs_code="490591", origin_country="US")
ORDER = Order(
    origin=DEPOT,
    destination=BUYER,
    packages=(BOX,),
    reference="WB-2001",
    order_id="SHOP-1",
    service_type="03",
    currency="USD",
    items=(BOOKS,),
    label_format="GIF",
    customer_reference="PO-77",
)
ABROAD = replace(
    ORDER,
    destination=BERLIN,
    packages=(BOX, TUBE),
    items=(BOOKS, MAPS),
    reference="WB-2003",
    service_type="65",
    label_format="ZPL",
    customs=Customs(
        invoice_number="INV-9",
        invoice_date=date(2026, 11, 30),
        freight=Decimal("9.50"),
        tax_ids=(
            TaxId(kind="ein", number="12-3456789", country="US"),
            TaxId(kind="vat", number="DE123456789", country="DE", party="recipient"),
        ),
    ),
    options=Options(signature="adult", insured_value=Decimal(100), notify=True, carrier={"eu_de_minimis": True}),
)
NUMBER, NUMBERS = "1ZA1B2C30312345671", ("1ZA1B2C36512345671", "1ZA1B2C36512345689")


def ref_of(order=ORDER, *numbers, **fields):
    """Return the reference of a booked shipment."""
    parcels = tuple(ParcelRef(number=place, tracking_number=text) for place, text in enumerate(numbers, start=1))
    lead = numbers[0] if numbers else ""
    own = {"tracking_number": lead, "carrier_shipment_id": lead, "parcels": parcels} | fields
    return ShipmentRef(reference=order.reference, order=order, booked_at=AT, ship_at=AT, **own)


ONE, TWO = ref_of(ORDER, NUMBER), ref_of(ABROAD, *NUMBERS)
PENDING = ref_of(ORDER)
RETURN = replace(ORDER, origin=BUYER, destination=DEPOT, reference="WB-2004", return_of=ONE, reason="Too small")
INVOICE = Document(kind="invoice", format="PDF", content=b"%PDF-1.4 invoice")
NEAR = PointSearch(country="US", address=BUYER, radius_km=50, limit=3)
PICKUP = PickupRequest(
    reference="WB-PICKUP-1",
    pickup_date=datetime(2026, 12, 1, 10, 0, tzinfo=UTC),
    window_start="10:00",
    window_end="17:00",
    address=DEPOT,
    packages_count=3,
    shipments=(ONE, TWO),
    tracking_numbers=(NUMBER,),
    parcel_location="Reception",
)
BOOKED_PICKUP = PickupRef(carrier_pickup_id="2929602E9CP", request=PICKUP)
WHOLE = Subscription(carrier_id="A1B2C3")

# The call that sends each recorded request.
REQUESTS = {
    "token_granted": lambda it: it.fetch_token(),
    "token_refused": lambda it: it.fetch_token(),
    "prices_of_all_services": lambda it: it.quote(replace(ORDER, service_type=None)),
    "price_of_one_service": lambda it: it.quote(ORDER),
    "route_without_the_service": lambda it: it.quote(replace(ORDER, service_type="07")),
    "label_of_one_parcel": lambda it: it.create_label(ORDER),
    "labels_of_two_parcels_abroad": lambda it: it.create_label(ABROAD),
    "label_refused_for_the_postal_code": lambda it: it.create_label(
        replace(ORDER, destination=replace(BUYER, postal_code="21201"))
    ),
    "return_label": lambda it: it.create_return(RETURN),
    "labels_recovered_by_reference": lambda it: it.find_by_reference(PENDING),
    "labels_recovered_by_number": lambda it: it.documents(TWO, ("label", "invoice")),
    "voided": lambda it: it.cancel(ONE, "Ordered twice"),
    "void_refused_inside_a_success": lambda it: it.cancel(ref_of(ORDER, *NUMBERS), "Ordered twice"),
    "void_after_pickup": lambda it: it.cancel(ONE, "Ordered twice"),
    "track_of_two_parcels": lambda it: it.track([TWO]),
    "track_without_information": lambda it: it.track([ONE]),
    "proof_of_delivery": lambda it: it.proof_of_delivery(ONE),
    "pickup_booked": lambda it: it.schedule_pickup(PICKUP),
    "pickups_pending": lambda it: it.find_pickups(PICKUP),
    "pickup_cancelled": lambda it: it.cancel_pickup(BOOKED_PICKUP, "No parcels"),
    "pickup_cancelled_before": lambda it: it.cancel_pickup(BOOKED_PICKUP, "No parcels"),
    "access_points_nearby": lambda it: it.pickup_points(NEAR),
    "access_point": lambda it: it.pickup_point("U12345678", "US"),
    "no_access_points": lambda it: it.pickup_points(replace(NEAR, country="KP", address=None)),
    "transit_times": lambda it: it.transit_times(replace(ORDER, ship_at=AT)),
    "transit_times_of_a_wrong_postal_code": lambda it: it.transit_times(
        replace(ORDER, ship_at=AT, destination=replace(BUYER, postal_code="981"))
    ),
    "address_valid": lambda it: it.check_address(BUYER),
    "address_ambiguous": lambda it: it.check_address(replace(BUYER, street="Ambiguous Street")),
    "document_uploaded": lambda it: it.upload_document(INVOICE, ONE),
    "account_subscribed": lambda it: it.subscribe([], "https://example.org/hook", "secret-1"),
    "numbers_subscribed": lambda it: it.subscribe([NUMBER], "https://example.org/hook", "secret-1"),
    "account_unsubscribed": lambda it: it.unsubscribe(WHOLE),
}
# Each operation -> the story that its sample call is of.
SAMPLES = {
    "quote": "prices_of_all_services",
    "transit_times": "transit_times",
    "check_address": "address_ambiguous",
    "create_label": "labels_of_two_parcels_abroad",
    "create_return": "return_label",
    "find_by_reference": "labels_recovered_by_reference",
    "documents": "labels_recovered_by_number",
    "upload_document": "document_uploaded",
    "cancel": "voided",
    "track": "track_of_two_parcels",
    "proof_of_delivery": "proof_of_delivery",
    "schedule_pickup": "pickup_booked",
    "find_pickups": "pickups_pending",
    "cancel_pickup": "pickup_cancelled",
    "pickup_points": "access_points_nearby",
    "pickup_point": "access_point",
    "subscribe": "numbers_subscribed",
    "unsubscribe": "account_unsubscribed",
}
RECORDED, EVENTS = recorded.examples("ups"), recorded.events("ups")


def response(name):
    return deepcopy(RECORDED[name]["response"])


CALLS = {operation: (REQUESTS[name], response(name)) for operation, name in SAMPLES.items()}


def open_adapter(*answers, **fields):
    return UpsAdapter(
        fields=FIELDS | fields, environment="sandbox", urls={"main": URL}, http=Replay(*answers), tokens=Tokens()
    )


def replaying(name):
    """Return an adapter that gets a recorded response."""
    return open_adapter(answer(response(name), RECORDED[name]["status"]))
