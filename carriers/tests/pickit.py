"""Samples for the tests of Pickit's adapter: addresses, orders, calls and recorded responses (``fixtures/pickit``)."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

from carriers.adapters.pickit import PickitAdapter
from carriers.tests import recorded
from carriers.tests.replay import Replay, Tokens, answer
from carriers.tests.samples import pickup_ref, shipment_ref
from carriers.types import Address, Order, Package, PickupPoint, PickupRequest, PointSearch

NUMBER = "PKT-4081726350"
BASE = "http://127.0.0.1:8010/pickit/v2"
SECRET = "whsec-of-the-tests"
NOW = datetime(2024, 3, 17, 15, 0, tzinfo=UTC)

WAREHOUSE = Address(
    company="Lindenhof Goods",
    contact_name="Ida Falk",
    contact_phone="+15550100177",
    contact_email="depot@lindenhof.example",
    street="19 Depot Lane",
    city="Albany",
    state="NY",
    postal_code="12207",
    country="US",
)
CUSTOMER = Address(
    contact_name="Recipient One",
    contact_phone="+15550100188",
    contact_email="recipient@lindenhof.example",
    street="31 Elm Court",
    city="Buffalo",
    state="NY",
    postal_code="14202",
    country="US",
)
PARCEL = Package(
    weight_kg=Decimal("3.25"),
    length_cm=Decimal(42),
    width_cm=Decimal(28),
    height_cm=Decimal(17),
    declared_value=Decimal(80),
    currency="USD",
    description="Ceramic bowls",
)


def point(point_id):
    """Return a pickup point as an order names it."""
    return PickupPoint(id=point_id, address=Address(country="US"))


QUOTE = Order(
    origin=WAREHOUSE,
    destination=CUSTOMER,
    packages=(PARCEL,),
    service_type="standard",
    pickup_point=point("PP-70421"),
)
ORDER = Order(
    reference="WB-0001",
    order_id="ORDER-7301",
    origin=WAREHOUSE,
    destination=CUSTOMER,
    packages=(PARCEL,),
    service_type="standard",
    pickup_point=point("PP-70421"),
    customer_reference="CR-5518",
)
PICKUP = PickupRequest(
    reference="WB-P-1",
    pickup_date=datetime(2024, 3, 16, 11, 15, tzinfo=UTC).astimezone(),
    window_start="11:15",
    window_end="15:45",
    address=WAREHOUSE,
    packages_count=7,
    total_weight_kg=Decimal("18.75"),
    special_instructions="Use the side gate",
    tracking_numbers=(NUMBER, "PKT-4081726351", "PKT-4081726352"),
)
NEAR = PointSearch(country="US", latitude=41.5639, longitude=-73.9401, radius_km=6.5, limit=25)
REF = shipment_ref(ORDER, tracking_number=NUMBER)
CITY = {"postal_code": "12180", "city": "Troy", "country": "US"}
UNSERVED_CITY = {"postal_code": "99950", "city": "Ketchikan", "country": "US"}
FIELDS = {"client_id": "lindenhof-goods", "client_secret": "lindenhof-secret", "webhook_secret": SECRET}
MISTAKE, NO_PARCELS = "Bought twice by mistake", "no parcels today"
RECORDED, EVENTS = recorded.examples("pickit"), recorded.events("pickit")


def fixture(name):
    """Return the body of a recorded response or webhook."""
    return deepcopy(EVENTS[name] if name in EVENTS else RECORDED[name]["response"])


def _order_to(**changes):
    return replace(ORDER, destination=replace(CUSTOMER, **changes))


CALLS = {
    "quote": (lambda it: it.quote(QUOTE), fixture("quote_parts_sum_to_total")),
    "create_label": (lambda it: it.create_label(ORDER), fixture("label_bought_to_a_pickup_point")),
    "find_by_reference": (
        lambda it: it.find_by_reference(shipment_ref(reference="WB-0001")),
        fixture("found_two_first_cancelled"),
    ),
    "cancel": (lambda it: it.cancel(REF, MISTAKE), fixture("cancelled_at_customers_request")),
    "track": (lambda it: it.track([REF]), fixture("tracking_failed_at_the_door_then_waiting_at_a_point")),
    "proof_of_delivery": (lambda it: it.proof_of_delivery(REF), fixture("proof_left_with_the_receptionist")),
    "schedule_pickup": (lambda it: it.schedule_pickup(PICKUP), fixture("pickup_scheduled_with_a_driver")),
    "cancel_pickup": (
        lambda it: it.cancel_pickup(pickup_ref(PICKUP, "PCK-665544"), NO_PARCELS),
        fixture("pickup_cancelled"),
    ),
    "pickup_points": (lambda it: it.pickup_points(NEAR), fixture("points_near_downtown_one_closed")),
    "pickup_point": (lambda it: it.pickup_point("PP-70421", "US"), fixture("point_downtown_locker_in_full")),
    "coverage": (lambda it: it.coverage(**CITY), fixture("coverage_of_a_city")),
    "rotate_credentials": (lambda it: it.rotate_credentials(), fixture("secret_rotated")),
}
CALL = {operation: call for operation, (call, _body) in CALLS.items()}
# The call that sends each recorded request.
REQUESTS = {
    "token_granted": lambda it: it.fetch_token(),
    "secret_rotated": CALL["rotate_credentials"],
    "points_near_downtown_one_closed": CALL["pickup_points"],
    "points_none_nearby": lambda it: it.pickup_points(replace(NEAR, radius_km=0.125)),
    "point_downtown_locker_in_full": CALL["pickup_point"],
    "label_bought_to_the_door": lambda it: it.create_label(replace(ORDER, pickup_point=None)),
    "proof_collected_with_code_without_pictures": CALL["proof_of_delivery"],
    "proof_left_with_the_receptionist": CALL["proof_of_delivery"],
    "cancelled_at_customers_request": CALL["cancel"],
    "pickup_scheduled_with_a_driver": CALL["schedule_pickup"],
    "pickup_cancelled": CALL["cancel_pickup"],
    "coverage_of_a_city": CALL["coverage"],
    "coverage_of_an_unserved_city": lambda it: it.coverage(**UNSERVED_CITY),
    "refused_wrong_client_secret": lambda it: it.fetch_token(),
    "refused_token_expired": CALL["track"],
    "refused_account_suspended": CALL["create_label"],
    "refused_label_format": lambda it: it.create_label(replace(ORDER, label_format="DOCX")),
    "refused_postal_code_missing": lambda it: it.create_label(_order_to(postal_code="")),
    "refused_postal_code_not_served": lambda it: it.create_label(_order_to(postal_code="99950")),
    "refused_weight_of_the_first_package": lambda it: it.create_label(
        replace(ORDER, packages=(replace(PARCEL, weight_kg=Decimal(31)),))
    ),
    "refused_pickup_point_closed": lambda it: it.create_label(replace(ORDER, pickup_point=point("PP-6578-5302"))),
    "refused_unknown_pickup_point": lambda it: it.pickup_point("PP-00000", "US"),
    "refused_unknown_shipment": lambda it: it.track([shipment_ref(tracking_number="PKT-0000000000")]),
    "refused_unknown_pickup": lambda it: it.cancel_pickup(pickup_ref(PICKUP, "PCK-000000"), NO_PARCELS),
    "refused_no_proof_before_delivery": CALL["proof_of_delivery"],
    "refused_cancelling_delivered_shipment": CALL["cancel"],
    "refused_cancelling_completed_pickup": CALL["cancel_pickup"],
    "refused_too_many_requests": CALL["track"],
    "failed_inside_pickit": CALL["create_label"],
}
BY_PREFIX = {"quote_": "quote", "label_": "create_label", "tracking_": "track", "found_": "find_by_reference"}
REQUESTS |= {
    name: CALL[operation]
    for prefix, operation in BY_PREFIX.items()
    for name in RECORDED
    if name.startswith(prefix) and name not in REQUESTS
}
# Fields of the credential of a recorded request, if they are not the usual ones.
CREDENTIALS = {"refused_wrong_client_secret": {"client_secret": "guessed"}}


def open_adapter(*answers, **fields):
    return PickitAdapter(
        fields=FIELDS | fields, environment="sandbox", urls={"main": BASE}, http=Replay(*answers), tokens=Tokens()
    )


def replaying(name):
    """Return an adapter that gets a recorded response."""
    return open_adapter(answer(fixture(name), RECORDED[name]["status"]), **CREDENTIALS.get(name, {}))


def run(name, call=None):
    """Run a call, or the one of a recorded request, with its recorded response; return its result and the request."""
    adapter = replaying(name)
    return (call or REQUESTS[name])(adapter), adapter.http.sent[-1]
