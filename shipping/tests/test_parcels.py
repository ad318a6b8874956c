"""Scans of single parcels: stored, shown and found by any parcel's number."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apikeys.db.tenancy import Tenant
from apikeys.models import Event, Merchant
from carriers.adapters.pickit import PickitAdapter
from carriers.credentials import storage
from carriers.types import Scan, Status, Track
from shipping.checkpoints import carrier_reports
from shipping.common import lookup
from shipping.models import Checkpoint, CheckpointReport, Parcel, Shipment
from shipping.reports import counters
from shipping.tests.status_codes import map_code
from shipping.tests.test_admin import found, make

pytestmark = pytest.mark.django_db
BOOKED = datetime(2024, 1, 15, 9, tzinfo=UTC)
NUMBERS = ["PKT-BOX-1", "PKT-BOX-2"]


@pytest.fixture
def other_credential(db):
    """A credential of another merchant."""
    tenant = Tenant(Merchant.objects.create(name="Other", slug="other").id, "test")
    fields = {"client_id": "other", "client_secret": "other-secret"}
    return storage.save_credential(tenant=tenant, mode="test", carrier="pickit", environment="sandbox", fields=fields)


def book(credential, number="0000000001", numbers=NUMBERS, **changes):
    """Create a booked shipment with a parcel of each of these numbers."""
    request = {name: {"country": "NO"} for name in ("origin", "destination")}
    request["packages"] = [{"weight_kg": "1"} for _ in numbers]
    shipment = make(credential, number, status="", created_at=BOOKED, request=request, **changes)
    Parcel.objects.bulk_create(
        Parcel(shipment=shipment, number=place, weight_kg=1, tracking_number=name)
        for place, name in enumerate(numbers, start=1)
    )
    return shipment


def scan(status, hours=0, parcel="", **more):
    at = BOOKED + timedelta(hours=hours)
    code = more.pop("code", status.value)
    return Scan(code=code, status=status, occurred_at=at, occurred_text=at.isoformat(), parcel=parcel, **more)


def report(shipment, source, *scans, **more):
    """Let a source report scans."""
    if source == "webhook":
        carrier_reports.store_scans(shipment.id, scans, received_at=BOOKED + timedelta(days=9), **more)
    else:
        track = Track(tracking_number=shipment.tracking_number, scans=scans, **more)
        carrier_reports.store_track(shipment, track, asked_at=BOOKED + timedelta(days=9))
    shipment.refresh_from_db()
    return shipment


def show(api, shipment):
    """Return what the API shows of a shipment, without ids and numbers."""
    shown = api.get(f"/api/v1/tracking/{shipment.tracking_number}").json()
    points = [{key: value for key, value in one.items() if key != "id"} for one in shown["checkpoints"]]
    details = api.get(f"/api/v1/shipments/{shipment.id}").json()
    return shown | {"checkpoints": points, "tracking_id": ""}, details["checkpoints"], details["delivered_at"]


SCANS = [
    scan(Status.PICKED_UP, 1),
    *(scan(Status.IN_TRANSIT, 2, name) for name in NUMBERS),
    *(scan(Status.DELIVERED, 3 + place, name) for place, name in enumerate(NUMBERS)),
    scan(Status.RTO, 5, NUMBERS[0]),
    scan(Status.DELIVERED, 6, NUMBERS[0]),
    scan(Status.INFO, 7, NUMBERS[1]),
    scan(Status.EXCEPTION, 8, "PKT-BOX-9"),
]
reports = st.tuples(st.sampled_from(SCANS), st.sampled_from(["Oslo", "Bergen"]), st.sampled_from(["webhook", "poll"]))


@settings(max_examples=25, suppress_health_check=list(HealthCheck), derandomize=True)
@given(
    st.lists(reports, min_size=2, max_size=9).flatmap(
        lambda items: st.tuples(st.just(items), st.permutations([*items, *items[:3]]))
    )
)
def test_every_order_of_two_sources_over_two_parcels_shows_the_same(api, credential, pair):
    seen = []
    for order in pair:
        shipment = book(credential, f"{Shipment.objects.count():08}")
        for one, place, source in order:
            # Polling spells the number as the carrier's site does.
            parcel = one.parcel.lower() if source == "poll" else one.parcel
            details = {"vehicle": f"{source} {place}"}
            values = vars(one) | {"parcel": parcel, "location": place, "details": details}
            report(shipment, source, Scan(**values))
        seen.append(show(api, shipment))
    assert seen[0] == seen[1]
    reported = {(one.parcel, one.code, one.occurred_at, place, source) for one, place, source in pair[0]}
    by_source = [{one[:3]: 0 for one in reported} for _ in range(2)]
    for number, source in enumerate(("webhook", "poll")):
        for one in reported:
            by_source[number][one[:3]] += one[4] == source
    assert seen[0][0]["total_checkpoints"] == sum(max(each[one] for each in by_source) for one in by_source[0])
    assert not any(counters.differences().values())


def test_shipment_is_delivered_with_its_last_parcel(api, credential):
    shipment = report(book(credential), "poll", scan(Status.CREATED), scan(Status.IN_TRANSIT, 1, NUMBERS[1]))
    report(shipment, "webhook", scan(Status.DELIVERED, 2, NUMBERS[0]))
    assert (shipment.status, shipment.delivered_at) == ("in_transit", None)
    report(shipment, "poll", scan(Status.DELIVERED, 3, NUMBERS[1]))
    assert (shipment.status, shipment.delivered_at) == ("delivered", BOOKED + timedelta(hours=3))
    days = {"from": "2024-01-01", "to": "2024-01-31"}
    assert api.get("/api/v1/analytics/performance", **days).json()["total"]["deliveries"] == 1
    assert not any(counters.differences().values())


def test_only_a_shipment_of_several_numbered_parcels_has_scans_of_parcels(credential):
    for number, (numbers, parcel) in enumerate([(NUMBERS[:1], None), (["", ""], None), (NUMBERS, NUMBERS[1])]):
        shipment = report(book(credential, str(number), numbers), "poll", scan(Status.DELIVERED, 1, NUMBERS[1]))
        assert shipment.checkpoints.get().parcel == parcel
        assert shipment.status == ("unknown" if parcel else "delivered")


def test_scan_of_a_number_that_no_parcel_has_is_shown_and_ends_nothing(api, credential):
    shipment = book(credential)
    report(shipment, "webhook", scan(Status.DELIVERED, 1, "pkt-other 7"), scan(Status.CREATED))
    report(shipment, "poll", scan(Status.DELIVERED, 1, "PKT-OTHER7"))
    assert (shipment.status, shipment.checkpoint_count, CheckpointReport.objects.count()) == ("created", 2, 1)
    assert [one["parcel"] for one in show(api, shipment)[1]] == [None, "PKT-OTHER7"]


def test_webhook_that_names_a_parcel_reports_its_scans(credential):
    shipment = report(book(credential), "webhook", scan(Status.IN_TRANSIT, 1), number=NUMBERS[1].lower())
    report(shipment, "webhook", scan(Status.IN_TRANSIT, 2), number=shipment.tracking_number)
    report(shipment, "webhook", scan(Status.IN_TRANSIT, 3, NUMBERS[0]), number=NUMBERS[1])
    points = shipment.checkpoints.order_by("occurred_at").values_list("parcel", flat=True)
    assert list(points) == [NUMBERS[1], None, NUMBERS[0]]


def test_alarm_is_raised_by_the_cancelled_parcel_only(credential):
    shipment = report(book(credential), "poll", scan(Status.CREATED), scan(Status.CANCELLED, 1, NUMBERS[0]))
    report(shipment, "poll", scan(Status.PICKED_UP, 2, NUMBERS[1]), scan(Status.IN_TRANSIT, 3))
    assert (shipment.status, shipment.cancel_alarm_at) == ("in_transit", None)
    report(shipment, "poll", scan(Status.PICKED_UP, 4, NUMBERS[0]))
    assert shipment.scanned_after_cancel_at == BOOKED + timedelta(hours=4)
    report(shipment, "poll", scan(Status.CANCELLED, 5, NUMBERS[1]), scan(Status.OUT_FOR_DELIVERY, 6))
    assert (shipment.status, shipment.scanned_after_cancel_at) == ("cancelled", BOOKED + timedelta(hours=6))


def test_parcel_reason_and_actor_are_shown_for_exceptions_only(api, credential):
    why = {"reason": "address_issue", "action_required_by": "sender"}
    shipment = report(
        book(credential),
        "webhook",
        scan(Status.IN_TRANSIT, 1, NUMBERS[0], **why),
        scan(Status.EXCEPTION, 2, NUMBERS[0], details={"attempts": 1}, **why),
        scan(Status.NDR, 3, reason="refused", action_required_by="none"),
        scan(Status.INFO, 4, details={"_exception": "from the carrier"}),
    )
    report(shipment, "poll", scan(Status.EXCEPTION, 2, NUMBERS[0], details={"hub": "Oslo"}))
    expected = [
        (NUMBERS[0], None, None, {}),
        (NUMBERS[0], "address_issue", "sender", {"attempts": 1, "hub": "Oslo"}),
        (None, "refused", None, {}),
        (None, None, None, {}),
    ]
    names = ("parcel", "reason", "action_required_by")
    history, details, _delivered = show(api, shipment)
    for shown in (history["checkpoints"], details):
        assert [(*(one[name] for name in names), one["details"]) for one in shown] == expected
    events = Event.objects.filter(type="shipment.checkpoint", subject_id=shipment.id).order_by("id")
    sent = [tuple(one.data["checkpoint"][name] for name in names) for one in events]
    assert sent == [one[:3] for one in expected]
    assert (history["current_status"], history["checkpoints"][-1]["status"]) == ("NDR", "INFO")


def test_information_is_no_status_of_a_shipment_and_cannot_be_posted(api, credential):
    report(book(credential), "poll", scan(Status.INFO, 1))
    assert [one["status"] for one in api.get("/api/v1/shipments").json()["units"]] == ["UNKNOWN"]
    assert api.get("/api/v1/shipments", status="INFO").json()["units"] == []
    assert "INFO" not in api.get("/metrics/business").json()["units_by_status"]
    point = {"tracking_id": "UNIT-0001", "location": "Oslo", "description": "x", "timestamp": BOOKED.isoformat()}
    refused = api.post("/api/v1/checkpoints", point | {"status": "INFO"})
    assert (refused.status_code, list(refused.json()["details"])) == (400, ["status"])


def test_code_mapped_by_staff_counts_for_its_parcel(credential):
    boxes = [scan(Status.UNKNOWN, 1 + place, name, code="handed over") for place, name in enumerate(NUMBERS)]
    shipment = report(book(credential), "poll", scan(Status.CREATED), boxes[0])
    map_code("delivered", code="handed over")
    shipment.refresh_from_db()
    assert shipment.status == "created"
    report(shipment, "poll", boxes[1], scan(Status.UNKNOWN, 3, NUMBERS[1], code="message sent"))
    assert shipment.status == "delivered"
    map_code("info", code="message sent")
    shipment.refresh_from_db()
    assert shipment.status == "delivered"
    assert set(shipment.checkpoints.values_list("status", flat=True)) == {"created", "delivered", "info"}


@pytest.mark.parametrize("ended", ["delivered", "returned"])
def test_delivered_return_has_ended_as_its_carriers_returns_do(credential, monkeypatch, ended):
    monkeypatch.setattr(PickitAdapter, "returns_end_as", Status(ended))
    original = book(credential)
    returned = book(credential, "0000000002", return_of=original)
    for shipment in (original, returned):
        report(shipment, "poll", *(scan(Status.DELIVERED, 1, name) for name in NUMBERS))
    assert (original.status, returned.status) == ("delivered", ended)
    late = report(book(credential, "0000000003", [""], return_of=original), "poll", scan(Status.UNKNOWN, 1, code="x"))
    map_code("delivered", code="x")
    late.refresh_from_db()
    assert (late.status, late.delivered_at is None) == (ended, ended == "returned")


def test_state_of_the_adapter_is_merged(credential):
    shipment = report(book(credential), "poll", carrier_state={"uid": "1", "label": {"at": BOOKED}})
    report(shipment, "poll", carrier_state={"uid": "2"})
    assert shipment.carrier_state == {"uid": "2", "label": {"at": "2024-01-15T09:00:00Z"}}


def test_shipment_is_found_by_any_number_of_its_parcels(api, tenant, admin_client, credential, other_credential):
    shipment = report(book(credential), "poll", scan(Status.IN_TRANSIT, 1))
    book(other_credential, "0000000002", ["PKT-BOX-8", "PKT-BOX-9"])
    for name in (*NUMBERS, "pkt- box-2"):
        assert lookup.get_shipment(tenant, name) == shipment
        assert lookup.find_shipments(tenant, [name, "PKT-NO"]) == {name: shipment}
        assert api.get(f"/api/v1/tracking/{name}").json()["tracking_id"] == shipment.tracking_number
        assert [one["id"] for one in api.get("/api/v1/shipments", q=name).json()["units"]] == [str(shipment.id)]
        assert found(admin_client, name) == [shipment.id]
        assert lookup.resolve_numbers(credential.id, [name]) == {name: shipment.id}
    assert api.get("/api/v1/tracking/PKT-BOX-9").status_code == 404
    assert api.get("/api/v1/shipments", q="PKT-BOX-9").json()["units"] == []
    assert lookup.resolve_numbers(credential.id, ["PKT-BOX-9"]) == {}


def test_number_of_a_parcel_belongs_to_its_newest_booking(credential):
    old = book(credential)
    new = book(credential, "0000000002", ["PKT-BOX-3", old.tracking_number])
    Shipment.objects.filter(id=new.id).update(created_at=BOOKED + timedelta(days=40))
    numbers = [old.tracking_number, *NUMBERS, "PKT-BOX-3"]
    at = BOOKED + timedelta(days=41)
    assert lookup.resolve_numbers(credential.id, numbers, at=at) == dict(
        zip(numbers, [new.id, old.id, old.id, new.id], strict=True)
    )
    assert not lookup.owns_number(old)


def test_reused_number_names_the_newest_booking_in_every_spelling(tenant, credential):
    old = book(credential)
    new = book(credential, "0000000002", ["PKT-BOX-3", old.tracking_number])
    for shipment, days in ((old, 40), (new, 10)):
        Shipment.objects.filter(id=shipment.id).update(created_at=timezone.now() - timedelta(days=days))
    for name in (old.tracking_number, "pkt-0000000001", " PKT- 0000000001"):
        assert lookup.get_shipment(tenant, name) == new
        assert lookup.find_shipments(tenant, [name, "PKT-BOX-1"]) == {name: new, "PKT-BOX-1": old}
    assert lookup.get_shipment(tenant, str(old.id)) == old


def test_parcels_take_one_query_more_and_a_single_one_none(credential):
    def count(shipment, *scans):
        with CaptureQueriesContext(connection) as captured:
            carrier_reports.store_scans(shipment.id, scans)
        return len([one for one in captured if one["sql"].startswith("SELECT")])

    single, several = book(credential, "1", NUMBERS[:1]), book(credential, "2")
    assert [count(one, scan(Status.IN_TRANSIT, 1)) for one in (single, several)] == [2, 3]
    assert Checkpoint.objects.count() == 2
