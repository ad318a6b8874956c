"""All operations of Bring: inside Norway, abroad with customs, several parcels, returns, pickup points and options."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from carriers import types
from carriers.tests.conformance.trips import SECRET, SHIP_AT, URL, Trip

FIELDS = {
    "api_uid": "test@bring.example",
    "api_key": "test-secret",
    "customer_number": "20012345678",
    "client_url": "https://shop.example.com",
    "cod_account_number": "12345678903",
    "webhook_token": SECRET,
}
ACCOUNT = {"customers": ["20012345678"]}
SENDER = types.Address(
    company="Nordwind AS",
    contact_name="Ada Lane",
    street="Storgata",
    house_number="1",
    city="OSLO",
    postal_code="0155",
    country="NO",
    contact_phone="+4790000001",
    contact_email="ops@example.com",
)
RECIPIENT = types.Address(
    contact_name="Bo Quist",
    street="Bryggen 2",
    street2="c/o Kari Åsen",
    city="BERGEN",
    postal_code="5003",
    country="NO",
    contact_phone="+4790000002",
    contact_email="bo@example.com",
)
SWEDEN = replace(RECIPIENT, city="Stockholm", postal_code="11122", country="SE", contact_phone="+46700000002")
DENMARK = replace(RECIPIENT, city="Hørsholm", postal_code="2970", country="DK", contact_phone="+4540000002")
HOUSTON = replace(RECIPIENT, city="Houston", postal_code="77001", country="US", contact_phone="+17135550100")
BOX = types.Package(
    weight_kg=Decimal("1.4"),
    length_cm=Decimal(20),
    width_cm=Decimal(15),
    height_cm=Decimal(10),
    description="Books",
)
BOOKS = types.Item(
    name="Paper book",
    quantity=2,
    unit_price=Decimal("125.50"),
    description="Printed book",
    weight_kg=Decimal("0.4"),
    hs_code="490199",
    origin_country="NO",
)
SHIRT = replace(BOOKS, name="Shirt", quantity=1, description="Cotton shirt", hs_code="610510", origin_country="PT")
CUSTOMS = types.Customs(
    signer="Ada Lane",
    tax_ids=(
        types.TaxId(kind="vat", number="NO123456789MVA", country="NO"),
        types.TaxId(kind="ioss", number="IM1234567890", country="SE"),
    ),
)
DOMESTIC = types.Order(
    origin=SENDER,
    destination=RECIPIENT,
    packages=(BOX,),
    service_type="5600",
    ship_at=SHIP_AT,
    currency="NOK",
    items=(BOOKS,),
    label_format="PDF",
)
ABROAD = replace(
    DOMESTIC,
    destination=SWEDEN,
    packages=(BOX, replace(BOX, weight_kg=Decimal("0.8"))),
    service_type="PICKUP_PARCEL",
    items=(BOOKS, SHIRT),
    customs=CUSTOMS,
)
NORDIC = replace(
    DOMESTIC,
    origin=replace(SWEDEN, company="Nordwind AB"),
    destination=DENMARK,
    service_type="HOME_DELIVERY_PARCEL",
    currency="SEK",
    items=(),
)
GOODS = types.DangerousGoods(
    un_number="1950", hazard_class="2.1", packing_group="II", quantity=Decimal("0.5"), unit="kg"
)
ORDERS = {
    "domestic": DOMESTIC,
    "business": replace(
        DOMESTIC,
        destination=replace(RECIPIENT, company="Quist AS"),
        service_type="5000",
        packages=(BOX, BOX),
        customer_reference="PO 7",
        return_address=replace(SENDER, street="Lager", house_number="2"),
    ),
    "mailbox": replace(DOMESTIC, service_type="3584"),
    "rfid": replace(DOMESTIC, service_type="3570", label_format="ZPL"),
    "abroad": ABROAD,
    "importer": replace(
        ABROAD,
        service_type="BUSINESS_PARCEL",
        destination=replace(SWEDEN, company="Quist AB"),
        customs=replace(
            CUSTOMS,
            contents="other",
            export_reason="Exhibition",
            importer=replace(SWEDEN, company="Importer AB"),
            tax_ids=(types.TaxId(kind="vat", number="SE556677889901", country="SE", party="importer"),),
        ),
    ),
    "letter packet": replace(
        ABROAD, packages=(BOX,), destination=HOUSTON, service_type="3639", customs=replace(CUSTOMS, tax_ids=())
    ),
    "nordic": NORDIC,
    "options": replace(
        ABROAD,
        options=types.Options(
            min_age=18,
            insured_value=Decimal(5000),
            notify=True,
            carrier={"message_for_recipient": "Ring twice", "additional_services": [{"id": "1134"}]},
        ),
    ),
    "saturday": replace(DOMESTIC, service_type="4850", options=types.Options(saturday=True)),
    "signature": replace(DOMESTIC, options=types.Options(signature="any")),
    "dangerous": replace(DOMESTIC, service_type="5100", options=types.Options(dangerous_goods=(GOODS,))),
    "limited": replace(
        NORDIC, service_type="BUSINESS_PARCEL", options=types.Options(carrier={"limited_quantities_g": 500})
    ),
    "cod": replace(DOMESTIC, service_type="5800", payment_method=types.PaymentMethod.COD, cod_amount=Decimal("250.50")),
}


def run(trip: Trip) -> None:
    """Call every operation, with the orders that fit it."""
    trip.do("check_credential")
    trip.do("coverage", postal_code="5003", city="Bergen", country="NO")
    names = ORDERS if trip.network.credential.mode == "live" else ("domestic", "business", "abroad", "nordic")
    bought = {name: _buy(trip, name, ORDERS[name]) for name in names}
    _return(trip, bought)
    _deliver_to_point(trip)
    _pick_up(trip, bought)
    if ref := bought["domestic"]:
        trip.network.advance(ref.tracking_number, "HANDED_IN", "TRANSPORT_TO_RECIPIENT", "DELIVERED")
        trip.do("track", [ref])
        trip.do("proof_of_delivery", ref)
        for _ in range(2):  # the second time in place of the first
            subscriptions = trip.do("subscribe", [ref.tracking_number], URL, SECRET)
        for subscription in subscriptions or ():
            trip.do("unsubscribe", subscription)


def _buy(trip: Trip, name: str, order: types.Order) -> types.ShipmentRef | None:
    trip.price(order)
    return trip.buy(name, order)


def _return(trip: Trip, bought: dict[str, types.ShipmentRef | None]) -> None:
    for name, service in (("domestic", "9300"), ("nordic", "PICKUP_PARCEL_RETURN")):
        if ref := bought[name]:
            order = ref.order
            trip.buy(
                f"return {name}",
                replace(
                    order,
                    origin=order.destination,
                    destination=order.origin,
                    return_of=ref,
                    reason="Too small",
                    service_type=service,
                    wanted_documents=("qr",),
                ),
            )


def _deliver_to_point(trip: Trip) -> None:
    trip.do("pickup_points", types.PointSearch(country="DK", latitude=55.9, longitude=12.5, radius_km=20, limit=3))
    for name, address, service in (("point", RECIPIENT, "5800"), ("point abroad", SWEDEN, "PICKUP_PARCEL")):
        search = types.PointSearch(country=address.country, address=address, limit=3)
        if points := trip.do("pickup_points", search):
            point = trip.do("pickup_point", points[0].id, address.country) or points[0]
            order = DOMESTIC if address.country == "NO" else ABROAD
            _buy(trip, name, replace(order, service_type=service, pickup_point=point))


def _pick_up(trip: Trip, bought: dict[str, types.ShipmentRef | None]) -> None:
    refs = tuple(ref for name in ("domestic", "abroad") if (ref := bought[name]))
    request = types.PickupRequest(
        reference="WB-PICKUP-1",
        pickup_date=SHIP_AT,
        window_start="09:00",
        window_end="17:00",
        address=SENDER,
        packages_count=3,
        total_weight_kg=Decimal("3.6"),
        special_instructions="Ring twice",
        shipments=refs,
        parcel_location="Reception",
    )
    trip.do("schedule_pickup", request)
    trip.do("schedule_pickup", replace(request, shipments=(), total_weight_kg=None, special_instructions=""))
