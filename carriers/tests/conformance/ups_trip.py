"""All operations of UPS: domestic, abroad with customs, several parcels, returns, Access Points and options."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

from carriers import types
from carriers.tests.conformance.trips import SECRET, SHIP_AT, URL, Trip

FIELDS = {
    "client_id": "ups-client",
    "client_secret": "test-secret",
    "account_number": "A1B2C3",
    "webhook_token": SECRET,
}
ACCOUNT: dict[str, str] = {}
SENDER = types.Address(
    company="Nordwind Goods",
    contact_name="Ada Lane",
    street="12 Harbor Way",
    city="Baltimore",
    state="MD",
    postal_code="21201",
    country="US",
    contact_phone="+14105550100",
    contact_email="ops@example.com",
)
RECIPIENT = types.Address(
    contact_name="Grace Hill",
    street="98 Pine Street",
    street2="Floor 3",
    city="Seattle",
    state="WA",
    postal_code="98101",
    country="US",
    contact_phone="+12065550100",
    contact_email="grace@example.com",
    residential=True,
)
ABROAD = types.Address(
    company="Weiß & Söhne",
    contact_name="Jörg Weiß",
    street="Torstraße",
    house_number="1",
    city="Berlin",
    postal_code="10119",
    country="DE",
    contact_phone="+4930123456",
    contact_email="joerg@example.com",
)
FRANCE = replace(ABROAD, city="Paris", postal_code="75001", country="FR", contact_phone="+33123456789")
BOX = types.Package(
    weight_kg=Decimal("1.4"),
    length_cm=Decimal(25),
    width_cm=Decimal(20),
    height_cm=Decimal(10),
    declared_value=Decimal("40.00"),
    currency="USD",
    description="Books",
)
BOOKS = types.Item(
    name="Paper book",
    quantity=2,
    sku="B-1",
    unit_price=Decimal("12.50"),
    description="Printed book",
    weight_kg=Decimal("0.4"),
    hs_code="490199",
    origin_country="US",
    parcel=1,
)
SHIRT = types.Item(
    name="Shirt",
    unit_price=Decimal("15.00"),
    unit_value=Decimal("15.00"),
    description="Cotton shirt",
    weight_kg=Decimal("0.3"),
    hs_code="61051000",
    origin_country="PT",
    parcel=2,
)
CUSTOMS = types.Customs(
    incoterm="DAP",
    invoice_number="INV-1",
    invoice_date=date(2027, 1, 15),
    freight=Decimal("10.00"),
    insurance=Decimal("2.00"),
    signer="Ada Lane",
    tax_ids=(
        types.TaxId(kind="ein", number="12-3456789", country="US"),
        types.TaxId(kind="eori", number="DE123456789012345", country="DE", party="recipient"),
        types.TaxId(kind="ioss", number="IM1234567890", country="DE"),
    ),
)
DOMESTIC = types.Order(
    origin=SENDER,
    destination=RECIPIENT,
    packages=(BOX,),
    service_type="03",
    ship_at=SHIP_AT,
    currency="USD",
    items=(BOOKS,),
    label_format="GIF",
)
INTERNATIONAL = replace(
    DOMESTIC,
    destination=ABROAD,
    packages=(BOX, BOX),
    service_type="65",
    items=(BOOKS, SHIRT),
    customs=CUSTOMS,
    options=types.Options(carrier={"eu_de_minimis": False}),
    wanted_documents=("invoice",),
)
EUROPEAN = replace(
    DOMESTIC, origin=ABROAD, destination=FRANCE, service_type="11", currency="EUR", items=(), customer_reference="PO 7"
)
DIRECT = {"direct_delivery": True}
AEROSOLS = {
    "ProperShippingName": "Aerosols",
    "RegulationSet": "CFR",
    "TransportationMode": "Ground",
    "CommodityRegulatedLevelCode": "FR",
    "PackagingType": "Fiberboard Box",
    "EmergencyPhone": "14105550199",
    "EmergencyContact": "Ada Lane",
}
ORDERS = {
    "domestic": DOMESTIC,
    "zpl": replace(DOMESTIC, label_format="ZPL", packages=(BOX, replace(BOX, weight_kg=Decimal("0.2")))),
    "epl": replace(DOMESTIC, label_format="EPL"),
    "abroad": INTERNATIONAL,
    "duties": replace(
        INTERNATIONAL,
        customs=replace(
            CUSTOMS,
            contents="other",
            export_reason="Exhibition",
            incoterm="DDP",
            importer=replace(ABROAD, company="Importer GmbH"),
        ),
    ),
    "europe": EUROPEAN,
    "puerto rico": replace(
        DOMESTIC,
        destination=replace(RECIPIENT, city="San Juan", state="PR", postal_code="00901", country="PR"),
        service_type="01",
    ),
    "billing": replace(
        DOMESTIC,
        options=types.Options(
            payer=types.Payer(who="third_party", account_number="Z9Y8X7", postal_code="10001", country="US")
        ),
    ),
    "collect": replace(
        DOMESTIC,
        options=types.Options(
            payer=types.Payer(who="recipient", account_number="Z9Y8X7", postal_code="98101", country="US")
        ),
    ),
    "options": replace(
        DOMESTIC,
        service_type="01",
        options=types.Options(signature="adult", insured_value=Decimal("100.00"), saturday=True, notify=True),
    ),
    "signature abroad": replace(
        INTERNATIONAL,
        options=types.Options(
            signature="any", insured_value=Decimal("100.00"), notify=True, carrier={"eu_de_minimis": True}
        ),
    ),
    "dangerous": replace(
        DOMESTIC,
        options=types.Options(
            dangerous_goods=(
                types.DangerousGoods(un_number="1950", hazard_class="2.1", packing_group="II", quantity=Decimal("0.5")),
            ),
            carrier={"dangerous_goods": [AEROSOLS]},
        ),
    ),
    "only to the recipient": replace(
        DOMESTIC, return_address=replace(SENDER, street="3 Canal Road"), options=types.Options(carrier=DIRECT)
    ),
    "third party": replace(
        INTERNATIONAL,
        customs=replace(
            CUSTOMS,
            contents="gift",
            duties=types.Payer(who="third_party", account_number="Z9Y8X7", postal_code="10001", country="US"),
        ),
        options=types.Options(
            payer=types.Payer(who="third_party", account_number="Z9Y8X7", postal_code="10001", country="US"),
            carrier={"eu_de_minimis": True, "shipper_type": "01", "consignee_type": "02"},
        ),
    ),
    "cod europe": replace(EUROPEAN, payment_method=types.PaymentMethod.COD, cod_amount=Decimal("20.00")),
    "cod": replace(DOMESTIC, payment_method=types.PaymentMethod.COD, cod_amount=Decimal("20.00")),
}


def run(trip: Trip) -> None:
    """Call every operation, with the orders that fit it."""
    trip.do("check_credential")
    trip.do("check_address", RECIPIENT)
    bought = {name: _buy(trip, name, order) for name, order in ORDERS.items()}
    _return(trip, bought)
    _deliver_to_point(trip)
    _attach(trip)
    _pick_up(trip, bought)
    if ref := bought["domestic"]:
        trip.network.advance(ref.tracking_number, "picked_up", "attempted", "delivered")
        trip.do("track", [ref])
        trip.do("proof_of_delivery", ref)
        subscriptions = trip.do("subscribe", [ref.tracking_number], URL, SECRET) or ()
        for subscription in (*subscriptions, *(trip.do("subscribe", [], URL, SECRET) or ())):
            trip.do("unsubscribe", subscription)
    if ref := bought["zpl"]:
        trip.do("cancel", ref, "Ordered twice", ref.parcels[1:])
        trip.do("cancel", ref, "Ordered twice")


def _buy(trip: Trip, name: str, order: types.Order) -> types.ShipmentRef | None:
    trip.price(order)
    return trip.buy(name, order)


def _return(trip: Trip, bought: dict[str, types.ShipmentRef | None]) -> None:
    for name in ("domestic", "abroad"):
        if ref := bought[name]:
            order = ref.order
            trip.buy(
                f"return {name}",
                replace(
                    order,
                    origin=order.destination,
                    destination=order.origin,
                    packages=order.packages[:1],
                    items=order.items[:1],
                    return_of=ref,
                    reason="Too small",
                    service_type="65" if order.customs else "03",
                    wanted_documents=(),
                ),
            )


def _deliver_to_point(trip: Trip) -> None:
    near = types.PointSearch(country="US", address=RECIPIENT, limit=3)
    trip.do("pickup_points", types.PointSearch(country="US", latitude=47.6, longitude=-122.3, radius_km=5, limit=3))
    points = trip.do("pickup_points", near)
    if points:
        point = trip.do("pickup_point", points[0].id, "US") or points[0]
        _buy(trip, "point", replace(DOMESTIC, pickup_point=point))


def _attach(trip: Trip) -> None:
    """Buy with a document of the merchant's, which is uploaded before the label."""
    invoice = types.Document(kind="invoice", format="PDF", content=b"%PDF-1.4 invoice")
    trip.buy("attached", replace(INTERNATIONAL, attachments=(invoice,), wanted_documents=()))
    ref = trip.buy("uploaded", INTERNATIONAL)
    if ref:
        trip.do("upload_document", invoice, ref)


def _pick_up(trip: Trip, bought: dict[str, types.ShipmentRef | None]) -> None:
    request = types.PickupRequest(
        reference="WB-PICKUP-1",
        pickup_date=SHIP_AT,
        window_start="09:00",
        window_end="17:00",
        address=SENDER,
        packages_count=3,
        total_weight_kg=Decimal("4.2"),
        special_instructions="Ring twice",
        shipments=tuple(ref for name in ("domestic", "abroad") if (ref := bought[name])),
        parcel_location="Reception",
    )
    booked = trip.do("schedule_pickup", request)
    trip.do("find_pickups", request)
    if booked:
        ref = types.PickupRef(
            carrier_pickup_id=booked.carrier_pickup_id,
            request=request,
            confirmation_number=booked.confirmation_number,
            carrier_state=booked.carrier_state,
        )
        trip.do("cancel_pickup", ref, "No parcels")
