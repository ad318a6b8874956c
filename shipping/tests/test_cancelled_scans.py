"""A cancelled shipment that its carrier moves raises an alarm and is polled until it ends."""

import itertools
import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from apikeys.models import Event, Outbox
from carriers.types import Scan, Status
from shipping.checkpoints import polling
from shipping.checkpoints.carrier_reports import map_unknown_scans, store_scans
from shipping.models import Shipment
from shipping.tests.velocity import later
from shipping.tests.velocity import order as velocity_order
from shipping.tests.velocity import velocity_credential as velocity_credential
from shipping.tests.velocity import warehouse as warehouse

pytestmark = pytest.mark.django_db
indian_order = velocity_order
START = timezone.now().replace(microsecond=0) - timedelta(hours=6)
ALARM = "shipment.scanned_after_cancellation"


def scan(status, hours, code=""):
    at = START + timedelta(hours=hours)
    return Scan(code=code or status.value, status=status, occurred_at=at, occurred_text=at.isoformat())


def booked(credential, **changes):
    return Shipment.objects.create(
        merchant_id=credential.merchant_id,
        mode="test",
        carrier="pickit",
        credential=credential,
        booking_state="booked",
        tracking_number=f"PKT-{uuid.uuid4().hex[:12].upper()}",
        reference=uuid.uuid4().hex,
        **changes,
    )


def count_alarms(shipment):
    return Event.objects.filter(type=ALARM, subject_id=shipment.id).count()


def test_movement_after_the_cancellation_raises_the_alarm_in_every_order(credential):
    history = [
        scan(Status.CREATED, 0),
        scan(Status.CANCELLED, 1),
        scan(Status.PICKED_UP, 2),
        scan(Status.IN_TRANSIT, 3),
    ]
    for order in itertools.permutations(history):
        shipment = booked(credential)
        for one in order:
            store_scans(shipment.id, [one])
        shipment.refresh_from_db()
        assert shipment.status == "cancelled"
        assert shipment.scanned_after_cancel_at == START + timedelta(hours=3)
        assert shipment.cancel_alarm_at
        assert shipment.poll_at > timezone.now()
        assert count_alarms(shipment)
        assert Outbox.objects.filter(event__type=ALARM, event__subject_id=shipment.id).exists()
        before = count_alarms(shipment)
        store_scans(shipment.id, history)
        assert count_alarms(shipment) == before


@pytest.mark.parametrize(
    "others",
    [
        [scan(Status.PICKED_UP, 0.5), scan(Status.IN_TRANSIT, 0.6)],  # before the cancellation
        [scan(Status.CREATED, 2), scan(Status.UNKNOWN, 3, "x"), scan(Status.CANCELLED, 4, "again")],
        [scan(Status.RETURNED, 5)],
        [scan(Status.IN_TRANSIT, 24 * 365)],  # a clock that is a year ahead
    ],
)
def test_scans_without_a_movement_after_the_cancellation_raise_no_alarm(credential, others):
    shipment = booked(credential)
    store_scans(shipment.id, [scan(Status.CANCELLED, 1), *others])
    shipment.refresh_from_db()
    assert (shipment.scanned_after_cancel_at, shipment.cancel_alarm_at, count_alarms(shipment)) == (None, None, 0)


def test_code_that_operations_map_to_a_movement_raises_the_alarm(credential):
    shipment = booked(credential)
    store_scans(shipment.id, [scan(Status.CANCELLED, 1), scan(Status.UNKNOWN, 2, "collected")])
    assert not count_alarms(shipment)
    map_unknown_scans(shipment.id, "collected", "picked_up")
    assert count_alarms(shipment) == 1


def test_alarm_is_listed_until_it_is_handled_and_again_after_another_scan(credential, admin_client):
    shipment = booked(credential)
    url = "/admin/shipping/shipment/?cancel_alarm_at__isempty=0"

    def is_listed():
        return shipment.tracking_number in admin_client.get(url).content.decode()

    assert not is_listed()
    store_scans(shipment.id, [scan(Status.CANCELLED, 1), scan(Status.PICKED_UP, 2)])
    assert is_listed()
    assert "scanned afterwards" in admin_client.get("/admin/").content.decode()
    action = {"action": "alarm_handled", "_selected_action": [str(shipment.id)]}
    assert admin_client.post("/admin/shipping/shipment/", action).status_code == 302
    assert not is_listed()
    store_scans(shipment.id, [scan(Status.DELIVERED, 3)])
    assert is_listed()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("carrier", ["pickit", "velocity"])
def test_cancelled_shipment_is_polled_for_a_week_and_a_moving_one_until_it_ends(request, api, sandbox, carrier):
    used = {"pickit": ("credential", "order"), "velocity": ("velocity_credential", "indian_order")}[carrier]
    _credential, order = (request.getfixturevalue(name) for name in used)
    moving, idle = (api.post("/api/v1/labels", order | {"order_id": f"O-{number}"}).json() for number in range(2))
    for label in (moving, idle):
        assert api.post(f"/api/v1/shipments/{label['shipment_id']}/cancel", {}).status_code == 200
    start = timezone.now()

    def advance(to, **since_start):
        change = {"to": to, "webhook": False, "at": (start + timedelta(**since_start)).isoformat()}
        sandbox.control("POST", f"/_sandbox/{carrier}/shipments/{moving['tracking_number']}/advance", change)

    def read():
        return api.get(f"/api/v1/shipments/{moving['shipment_id']}").json()

    assert read()["scanned_after_cancellation_at"] is None
    advance("picked_up", hours=1)
    with later(hours=7):
        assert polling.poll() == {"asked": 2, "scans": 1, "failed": 0}
    assert (read()["status"], count_alarms(Shipment.objects.get(id=moving["shipment_id"]))) == ("cancelled", 1)
    assert read()["scanned_after_cancellation_at"]
    with later(days=9):
        assert polling.poll()["asked"] == 1  # only the moving one
    assert Shipment.objects.get(id=idle["shipment_id"]).poll_at is None
    advance("delivered", days=9)
    with later(days=10):
        assert polling.poll()["scans"] == 1
    assert read()["status"] == "delivered"
    with later(days=11):
        assert polling.poll()["asked"] == 0


def test_scan_that_arrives_while_polling_ends_is_followed(credential):
    shipment = booked(credential)
    store_scans(shipment.id, [scan(Status.CANCELLED, 1)])
    with later(days=9):
        row = Shipment.objects.get()
        row.reported_at = START
        store_scans(shipment.id, [scan(Status.PICKED_UP, 2)])
        assert list(polling._select_silent([row])) == []
    assert Shipment.objects.get().poll_at


def test_cancelled_number_that_the_carrier_forgot_is_no_failure(credential, sandbox):
    booked(credential, status="cancelled", poll_at=timezone.now())
    with later(hours=7):
        assert polling.poll() == {"asked": 1, "scans": 0, "failed": 0}
    assert Shipment.objects.get().poll_at > timezone.now() + timedelta(hours=12)
