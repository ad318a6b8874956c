"""Codes that no adapter knows are listed once, and their scans count as soon as operations have placed them."""

import importlib
import os
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
import time_machine
from django.apps import apps
from django.contrib import admin
from django.db import IntegrityError, connection, transaction
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from apikeys.models import Event, Outbox, User
from carriers.credentials import storage
from carriers.types import Scan, Status
from shipping.checkpoints import carrier_reports, polling, status_codes
from shipping.models import BookingState, Checkpoint, Shipment, StatusCode
from shipping.reports import counters
from shipping.tests.test_admin import grant, make
from shipping.tests.test_lists import plan_of

pytestmark = pytest.mark.django_db
WHEN = datetime(2024, 1, 15, 10, tzinfo=UTC)
LIST = "/admin/shipping/statuscode/"


def scan(code="teleported", hours=0, status=Status.UNKNOWN):
    at = WHEN + timedelta(hours=hours)
    return Scan(code=code, status=status, occurred_at=at, occurred_text=str(at), description=f"Text of {code}")


def known(hours=0, status=Status.PICKED_UP):
    return scan(status.value, hours, status)


def reported(credential, number, *scans):
    """A booked shipment with these scans."""
    shipment = make(credential, f"{number:010}", status="", carrier=credential.carrier)
    carrier_reports.store_scans(shipment.id, scans)
    shipment.refresh_from_db()
    return shipment


def placed(status="in_transit", **which):
    for row in StatusCode.objects.filter(**which):
        assert status_codes.map_code(row.id, status)
    while status_codes.apply_mappings():
        pass


def told(shipment, kind="shipment.status_changed"):
    # Not by id: a process whose tests have travelled in time gives ids of the future.
    rows = Event.objects.filter(subject_id=shipment.pk, type=kind).order_by("created_at", "id")
    return [(row.data["previous_status"], row.data["status"]) for row in rows]


@pytest.fixture
def velocity(tenant):
    fields = {"username": "+910000000000", "password": "test-secret"}
    return storage.save_credential(tenant=tenant, mode="test", carrier="velocity", environment="sandbox", fields=fields)


# Met


def test_a_code_is_listed_the_first_time_that_it_is_met(credential):
    reported(credential, 1, scan(), scan(hours=1), known(hours=2))
    reported(credential, 2, scan(hours=3))
    row = StatusCode.objects.get()
    assert (row.carrier, row.code, row.status, row.placed_at) == ("pickit", "teleported", None, None)
    assert row.example == "Text of teleported"
    assert row.first_seen_at <= timezone.now()


def test_each_carrier_has_codes_of_its_own(credential, velocity):
    for number, account in enumerate((credential, velocity)):
        reported(account, number, scan(), scan("Teleported", hours=1))
    assert StatusCode.objects.count() == 4


def test_a_code_longer_than_its_column_is_one_code(credential):
    reported(credential, 1, scan("x" * 80))
    placed()
    reported(credential, 2, scan("x" * 80, hours=1))
    assert StatusCode.objects.get().code == "x" * 64
    assert set(Checkpoint.objects.values_list("status", flat=True)) == {"in_transit"}


def test_known_scans_ask_for_no_code(credential):
    shipment = make(credential)
    with CaptureQueriesContext(connection) as captured:
        carrier_reports.store_scans(shipment.id, [known(), known(1, Status.IN_TRANSIT)])
    assert captured.captured_queries
    assert not any("statuscode" in one["sql"] for one in captured)


def test_codes_of_before_the_list_are_put_on_it(credential, velocity):
    reported(credential, 1, scan(), scan(hours=1), known(2))
    reported(velocity, 2, scan(), scan("beamed", hours=1))
    listed = set(StatusCode.objects.values_list("carrier", "code", "example"))
    StatusCode.objects.all().delete()
    importlib.import_module("shipping.migrations.0010_status_codes").list_codes_met_before(apps, None)
    assert set(StatusCode.objects.values_list("carrier", "code", "example")) == listed
    assert len(listed) == 3


@pytest.mark.django_db(transaction=True)
def test_two_that_meet_a_code_at_once_list_it_once(credential):
    shipments = [make(credential, f"{number:010}") for number in range(6)]
    barrier, problems = threading.Barrier(len(shipments)), []

    def meet(shipment, names):
        try:
            barrier.wait()
            carrier_reports.store_scans(shipment.id, [scan(name) for name in names])
        except Exception as error:  # shown by the test, not by the thread
            problems.append(error)
        finally:
            connection.close()

    names = [f"code-{number}" for number in range(20)]
    orders = [names[number:] + names[:number] for number in range(len(shipments))]
    threads = [threading.Thread(target=meet, args=pair) for pair in zip(shipments, orders, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert problems == []
    assert sorted(StatusCode.objects.values_list("code", flat=True)) == sorted(names)
    assert Checkpoint.objects.count() == len(shipments) * len(names)


# Placed


def test_old_scans_count_once_their_code_is_placed(credential):
    shipment = reported(credential, 1, known(), scan(hours=1))
    assert shipment.status == "picked_up"
    placed("delivered")
    shipment.refresh_from_db()
    assert (shipment.status, shipment.delivered_at) == ("delivered", WHEN + timedelta(hours=1))
    assert told(shipment)[-1] == ("picked_up", "delivered")
    assert Outbox.objects.filter(event__type="shipment.status_changed").count() == len(told(shipment))
    assert Event.objects.filter(subject_id=shipment.pk, type="shipment.checkpoint").count() == 2
    assert not any(counters.differences().values())


def test_an_old_scan_that_decides_nothing_changes_no_status(credential):
    shipment = reported(credential, 1, scan(), known(hours=1))
    before = told(shipment)
    placed("created")
    assert told(shipment) == before
    assert shipment.checkpoints.get(code="teleported").status == "created"


def test_only_the_status_of_the_scan_is_changed(credential):
    shipment = reported(credential, 1, scan())
    before = shipment.checkpoints.values().get()
    placed()
    assert shipment.checkpoints.values().get() == before | {"status": "in_transit"}


def test_other_codes_and_other_carriers_stay_as_they_are(credential, velocity):
    reported(credential, 1, scan(), scan("beamed", 1), known(2))
    other = reported(velocity, 2, scan())
    placed(carrier="pickit", code="teleported")
    found = Checkpoint.objects.values_list("shipment__carrier", "code", "status")
    assert set(found) == {
        ("pickit", "teleported", "in_transit"),
        ("pickit", "beamed", "unknown"),
        ("pickit", "picked_up", "picked_up"),
        ("velocity", "teleported", "unknown"),
    }
    other.refresh_from_db()
    assert other.status == "unknown"


def test_a_new_scan_of_a_placed_code_has_its_status_at_once(credential):
    reported(credential, 1, scan())
    placed("at_pickup_point")
    shipment = reported(credential, 2, known(), scan(hours=1))
    assert shipment.status == "at_pickup_point"
    event = Event.objects.filter(subject_id=shipment.pk, type="shipment.checkpoint").latest("id")
    assert event.data["checkpoint"]["status"] == "at_pickup_point"
    assert status_codes.apply_mappings() == 0


def test_a_status_that_the_adapter_knows_by_now_is_taken_before_the_placed_one(credential):
    reported(credential, 1, scan())
    placed("lost")
    assert reported(credential, 2, scan(status=Status.IN_TRANSIT)).status == "in_transit"


def test_a_scan_that_was_being_written_while_its_code_was_placed_is_found(credential):
    shipment = reported(credential, 1, scan())
    placed()
    shipment.checkpoints.create(
        merchant_id=shipment.merchant_id,
        mode="test",
        source="carrier",
        status="unknown",
        code="teleported",
        occurred_at=WHEN + timedelta(hours=5),
    )
    assert status_codes.apply_mappings() == 1
    assert not Checkpoint.objects.filter(status="unknown").exists()


def test_placing_anew_is_for_the_scans_to_come(credential):
    old = reported(credential, 1, scan())
    placed("delivered")
    placed("in_transit")
    old.refresh_from_db()
    assert old.status == "delivered"
    assert reported(credential, 2, scan()).status == "in_transit"


def test_a_code_is_never_placed_as_unknown(credential):
    reported(credential, 1, scan())
    with pytest.raises(IntegrityError), transaction.atomic():
        status_codes.map_code(StatusCode.objects.get().id, "unknown")


def parcel_of_an_unknown_code(api, order):
    """Bought, and the carrier's track tells of a code that no table has."""
    bought = api.post("/api/v1/labels", order | {"order_id": "SANDBOX-UNKNOWN"}).json()
    return Shipment.objects.get(id=bought["shipment_id"])


def by_tracking(api, shipment):
    api.post("/api/v1/tracking", {"carrier": "pickit", "tracking_number": shipment.tracking_number})


def by_polling(api, shipment):
    with time_machine.travel(timezone.now() + timedelta(hours=7), tick=True):
        assert polling.poll()["scans"]


@pytest.mark.django_db
@pytest.mark.parametrize("read", [by_tracking, by_polling])
def test_whichever_way_it_comes(api, order, credential, sandbox, read):
    shipment = parcel_of_an_unknown_code(api, order)
    StatusCode.objects.create(carrier="pickit", code="held_at_customs", status="exception")
    read(api, shipment)
    shipment.refresh_from_db()
    assert shipment.status == "exception"
    assert StatusCode.objects.count() == 1


# The worker


def test_a_round_takes_no_more_than_its_share(credential):
    for number in range(5):
        reported(credential, number, scan(), scan(hours=1), scan("beamed", hours=2))
    for row in StatusCode.objects.all():
        status_codes.map_code(row.id, "in_transit")
    assert [status_codes.apply_mappings(limit=4) for _ in range(4)] == [4, 4, 2, 0]


def test_one_that_cannot_be_stored_keeps_the_others_from_nothing(credential, monkeypatch):
    shipments = [reported(credential, number, scan()) for number in range(3)]
    placing = carrier_reports.map_unknown_scans

    def place(shipment_id, *rest):
        if shipment_id == shipments[0].id:
            raise RuntimeError("a bug")
        return placing(shipment_id, *rest)

    monkeypatch.setattr(carrier_reports, "map_unknown_scans", place)
    status_codes.map_code(StatusCode.objects.get().id, "in_transit")
    assert [status_codes.apply_mappings(), status_codes.apply_mappings()] == [2, 0]
    monkeypatch.undo()
    assert status_codes.apply_mappings() == 1


SETTLE = """
import os, signal, sys, django
django.setup()
from shipping.checkpoints import carrier_reports, status_codes
whole, left = carrier_reports._update_shipment, int(sys.argv[1])

def settle(*args):
    global left
    whole(*args)
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

carrier_reports._update_shipment = settle
while status_codes.apply_mappings(limit=7):
    pass
"""


def process(*, killed_at=0):
    """A process that settles; SIGKILL ends it while its n-th shipment is written and not committed."""
    name = connection.settings_dict["NAME"]
    server = urlsplit(os.environ.get("DATABASE_URL", ""))
    url = f"sqlite:///{name}" if connection.vendor == "sqlite" else server._replace(path=f"/{name}").geturl()
    environment = os.environ | {"DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "config.settings"}
    return subprocess.Popen([sys.executable, "-c", SETTLE, str(killed_at)], env=environment)


@pytest.mark.django_db(transaction=True)
def test_a_killed_worker_loses_nothing_and_two_at_once_do_nothing_twice(credential):
    shipments = [reported(credential, number, known(), scan(hours=1)) for number in range(30)]
    status_codes.map_code(StatusCode.objects.get().id, "in_transit")
    assert process(killed_at=5).wait(60) == -signal.SIGKILL
    assert Shipment.objects.filter(status="in_transit").count() == 4
    assert [one.wait(60) for one in [process(), process()]] == [0, 0]
    assert not Checkpoint.objects.filter(status="unknown").exists()
    for shipment in shipments:
        assert told(shipment) == [(None, "picked_up"), ("picked_up", "in_transit")]
    assert not any(counters.differences().values())


# The indexes


@pytest.fixture
def many(credential):
    owner = {"merchant_id": credential.merchant_id, "mode": "test"}
    booked = {"carrier": "pickit", "credential": credential, "booking_state": BookingState.BOOKED}
    shipments = Shipment.objects.bulk_create(
        Shipment(**owner, **booked, reference=f"R-{number}", tracking_number=f"N-{number}") for number in range(300)
    )
    Checkpoint.objects.bulk_create(
        Checkpoint(
            **owner,
            shipment=shipment,
            source="carrier",
            status="unknown" if number % 50 == 0 and hours == 0 else "in_transit",
            code=f"code-{hours}",
            occurred_at=WHEN + timedelta(hours=hours),
        )
        for number, shipment in enumerate(shipments)
        for hours in range(5)
    )
    StatusCode.objects.create(carrier="pickit", code="code-0", status="in_transit")
    StatusCode.objects.bulk_create(StatusCode(carrier="pickit", code=f"other-{number}") for number in range(20))
    StatusCode.objects.bulk_create(
        StatusCode(carrier="pickit", code=f"placed-{number}", status="lost") for number in range(500)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def plans(captured, table):
    found = [plan_of(one["sql"], is_bounded=True)[0] for one in captured if f'FROM "{table}"' in one["sql"]]
    assert found
    return found


def test_an_index_lies_under_what_the_worker_looks_for(many):
    with CaptureQueriesContext(connection) as captured:
        assert status_codes.apply_mappings() == 6
    looked_up = [one for one in captured if '"shipping_statuscode"' in one["sql"] or "DISTINCT" in one["sql"]]
    assert len(looked_up) == 2
    for one in looked_up:
        plan, _scans = plan_of(one["sql"], is_bounded=True)
        assert "checkpoint_unknown" in plan, plan


def test_an_index_lies_under_the_writers_look_up(many):
    with CaptureQueriesContext(connection) as captured:
        carrier_reports._mapped_statuses("pickit", [scan("code-0")])
    (plan,) = plans(captured, "shipping_statuscode")
    assert "status_code_once_per_carrier" in plan or "sqlite_autoindex_shipping_statuscode" in plan, plan


def test_an_index_lies_under_the_list_of_what_is_not_placed(many, admin_client):
    with CaptureQueriesContext(connection) as captured:
        page = admin_client.get(LIST, {"status__isnull": "True"})
    assert len(page.context["cl"].result_list) == 20
    for plan in plans(captured, "shipping_statuscode"):
        assert "status_code_to_place" in plan, plan


# The admin


def page_of(row):
    return reverse("admin:shipping_statuscode_change", args=[row.pk])


def watch(client):
    (one,) = [one for one in client.get("/admin/").context["monitored"] if one["text"].startswith("Status codes")]
    return one


def test_the_first_page_counts_the_codes_and_links_to_those_that_are_not_placed(admin_client, credential):
    reported(credential, 1, scan(), scan("beamed", 1))
    placed(code="beamed")
    found = watch(admin_client)
    assert found["count"] == 1
    rows = admin_client.get(found["url"]).context["cl"].result_list
    assert [row.code for row in rows] == ["teleported"]
    placed("lost", code="teleported")
    assert watch(admin_client)["count"] == 0


def test_the_list_tells_how_many_scans_wait(admin_client, credential, velocity, monkeypatch):
    for number in range(3):
        reported(credential, number, scan(), scan(hours=1))
    reported(velocity, 9, scan())
    shown = {row.carrier: row.unknown for row in admin_client.get(LIST).context["cl"].result_list}
    assert shown == {"pickit": 6, "velocity": 1}
    monkeypatch.setattr("shipping.admin.checkpoints._COUNTED", 4)
    assert "4+" in admin_client.get(LIST).content.decode()


def test_its_page_shows_scans_and_links_to_all_of_them(admin_client, credential, velocity):
    reported(credential, 1, scan(), known(1))
    reported(velocity, 2, scan())
    page = admin_client.get(page_of(StatusCode.objects.get(carrier="pickit")))
    (section,) = page.context["sections"]
    assert len(section.rows) == len(admin_client.get(section.more_url).context["cl"].result_list) == 1


def test_a_person_places_a_code_and_the_worker_does_the_rest(admin_client, credential):
    shipment = reported(credential, 1, known(), scan(hours=1))
    row = StatusCode.objects.get()
    page = admin_client.post(page_of(row), {"status": "out_for_delivery"}, follow=True)
    assert "get it from the worker" in page.content.decode()
    shipment.refresh_from_db()
    assert shipment.status == "picked_up"
    assert status_codes.apply_mappings() == 1
    shipment.refresh_from_db()
    assert shipment.status == "out_for_delivery"
    event = Event.objects.get(type="status_code.placed")
    assert (event.subject_id, event.merchant_id, event.visibility) == (row.pk, None, "internal")
    facts = {"carrier": "pickit", "code": "teleported", "status": "out_for_delivery", "previous_status": None}
    assert event.data == facts
    assert event.actor == Event.objects.get(type="admin.changed").actor != ""


def test_saving_without_a_change_places_nothing(admin_client, credential):
    reported(credential, 1, scan())
    placed("lost")
    before = StatusCode.objects.get()
    page = admin_client.post(page_of(before), {"status": "lost"}, follow=True)
    assert "from the worker" not in page.content.decode()
    assert StatusCode.objects.get().placed_at == before.placed_at
    assert Event.objects.filter(type="status_code.placed").count() == 1


@pytest.mark.parametrize("status", ["unknown", "", "gone"])
def test_only_a_known_status_can_be_chosen(admin_client, credential, status):
    reported(credential, 1, scan())
    page = admin_client.post(page_of(StatusCode.objects.get()), {"status": status})
    assert page.context["adminform"].form.errors["status"]
    assert StatusCode.objects.get().status is None


def test_nothing_but_the_status_can_be_changed(admin_client, credential):
    reported(credential, 1, scan())
    row = StatusCode.objects.get()
    form = admin.site._registry[StatusCode].get_form(RequestFactory().get("/"), row)
    assert list(form.base_fields) == ["status"]
    admin_client.post(page_of(row), {"status": "lost", "code": "other", "carrier": "velocity", "example": "x"})
    after = StatusCode.objects.get()
    assert (after.carrier, after.code, after.example) == (row.carrier, row.code, row.example)


def test_who_may_only_look_places_nothing(client, credential):
    reported(credential, 1, scan())
    user = User.objects.create(username="viewer", is_staff=True)
    grant(user, "view_statuscode")
    client.force_login(user)
    row = StatusCode.objects.get()
    assert client.get(page_of(row)).status_code == 200
    assert client.post(page_of(row), {"status": "lost"}).status_code == 403
    assert watch(client)["count"] == 1


def test_who_may_change_codes_and_nothing_else_places_them(client, credential):
    reported(credential, 1, scan())
    user = User.objects.create(username="changer", is_staff=True)
    grant(user, "change_statuscode")
    client.force_login(user)
    assert client.post(page_of(StatusCode.objects.get()), {"status": "lost"}).status_code == 302
    assert StatusCode.objects.get().status == "lost"
