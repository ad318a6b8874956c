"""Codes that no adapter knows are listed once, and their scans count after operations mapped them."""

import importlib
import os
import signal
import subprocess
import sys
import threading
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
import time_machine
from django.apps import apps
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apikeys.models import Event, Outbox
from carriers.types import Status
from shipping.checkpoints import carrier_reports, polling, status_codes
from shipping.models import BookingState, Checkpoint, Shipment, StatusCode
from shipping.reports import counters
from shipping.tests.status_codes import WHEN as WHEN
from shipping.tests.status_codes import create_shipment as create_shipment
from shipping.tests.status_codes import known as known
from shipping.tests.status_codes import list_events as list_events
from shipping.tests.status_codes import map_code as map_code
from shipping.tests.status_codes import scan as scan
from shipping.tests.status_codes import velocity as velocity
from shipping.tests.test_admin import make
from shipping.tests.test_lists import plan_of

pytestmark = pytest.mark.django_db


LIST = "/admin/shipping/statuscode/"


def test_new_code_is_listed_once(credential):
    create_shipment(credential, 1, scan(), scan(hours=1), known(hours=2))
    create_shipment(credential, 2, scan(hours=3))
    row = StatusCode.objects.get()
    assert (row.carrier, row.code, row.status, row.placed_at) == ("pickit", "teleported", None, None)
    assert row.example == "Text of teleported"
    assert row.first_seen_at <= timezone.now()


def test_each_carrier_has_its_own_codes(credential, velocity):
    for number, account in enumerate((credential, velocity)):
        create_shipment(account, number, scan(), scan("Teleported", hours=1))
    assert StatusCode.objects.count() == 4


def test_long_code_is_cut_to_one_code(credential):
    create_shipment(credential, 1, scan("x" * 80))
    map_code()
    create_shipment(credential, 2, scan("x" * 80, hours=1))
    assert StatusCode.objects.get().code == "x" * 64
    assert set(Checkpoint.objects.values_list("status", flat=True)) == {"in_transit"}


def test_known_scans_take_no_query_for_codes(credential):
    shipment = make(credential)
    with CaptureQueriesContext(connection) as captured:
        carrier_reports.store_scans(shipment.id, [known(), known(1, Status.IN_TRANSIT)])
    assert captured.captured_queries
    assert not any("statuscode" in one["sql"] for one in captured)


def test_migration_lists_codes_of_stored_scans(credential, velocity):
    create_shipment(credential, 1, scan(), scan(hours=1), known(2))
    create_shipment(velocity, 2, scan(), scan("beamed", hours=1))
    listed = set(StatusCode.objects.values_list("carrier", "code", "example"))
    StatusCode.objects.all().delete()
    importlib.import_module("shipping.migrations.0010_status_codes").list_codes_met_before(apps, None)
    assert set(StatusCode.objects.values_list("carrier", "code", "example")) == listed
    assert len(listed) == 3


@pytest.mark.django_db(transaction=True)
def test_concurrent_writers_list_a_code_once(credential):
    shipments = [make(credential, f"{number:010}") for number in range(6)]
    barrier, problems = threading.Barrier(len(shipments)), []

    def meet(shipment, names):
        try:
            barrier.wait()
            carrier_reports.store_scans(shipment.id, [scan(name) for name in names])
        except Exception as error:  # the test shows it
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


def test_stored_scans_count_after_their_code_is_mapped(credential):
    shipment = create_shipment(credential, 1, known(), scan(hours=1))
    assert shipment.status == "picked_up"
    map_code("delivered")
    shipment.refresh_from_db()
    assert (shipment.status, shipment.delivered_at) == ("delivered", WHEN + timedelta(hours=1))
    assert list_events(shipment)[-1] == ("picked_up", "delivered")
    assert Outbox.objects.filter(event__type="shipment.status_changed").count() == len(list_events(shipment))
    assert Event.objects.filter(subject_id=shipment.pk, type="shipment.checkpoint").count() == 2
    assert not any(counters.differences().values())


def test_older_scan_does_not_change_the_shipments_status(credential):
    shipment = create_shipment(credential, 1, scan(), known(hours=1))
    before = list_events(shipment)
    map_code("created")
    assert list_events(shipment) == before
    assert shipment.checkpoints.get(code="teleported").status == "created"


def test_mapping_changes_only_the_scans_status(credential):
    shipment = create_shipment(credential, 1, scan())
    before = shipment.checkpoints.values().get()
    map_code()
    assert shipment.checkpoints.values().get() == before | {"status": "in_transit"}


def test_other_codes_and_carriers_are_not_mapped(credential, velocity):
    create_shipment(credential, 1, scan(), scan("beamed", 1), known(2))
    other = create_shipment(velocity, 2, scan())
    map_code(carrier="pickit", code="teleported")
    found = Checkpoint.objects.values_list("shipment__carrier", "code", "status")
    assert set(found) == {
        ("pickit", "teleported", "in_transit"),
        ("pickit", "beamed", "unknown"),
        ("pickit", "picked_up", "picked_up"),
        ("velocity", "teleported", "unknown"),
    }
    other.refresh_from_db()
    assert other.status == "unknown"


def test_new_scan_of_a_mapped_code_has_its_status(credential):
    create_shipment(credential, 1, scan())
    map_code("at_pickup_point")
    shipment = create_shipment(credential, 2, known(), scan(hours=1))
    assert shipment.status == "at_pickup_point"
    event = Event.objects.filter(subject_id=shipment.pk, type="shipment.checkpoint").latest("id")
    assert event.data["checkpoint"]["status"] == "at_pickup_point"
    assert status_codes.apply_mappings() == 0


def test_adapters_status_wins_over_the_mapping(credential):
    create_shipment(credential, 1, scan())
    map_code("lost")
    assert create_shipment(credential, 2, scan(status=Status.IN_TRANSIT)).status == "in_transit"


def test_scan_stored_during_the_mapping_is_found(credential):
    shipment = create_shipment(credential, 1, scan())
    map_code()
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


def test_second_mapping_concerns_later_scans_only(credential):
    old = create_shipment(credential, 1, scan())
    map_code("delivered")
    map_code("in_transit")
    old.refresh_from_db()
    assert old.status == "delivered"
    assert create_shipment(credential, 2, scan()).status == "in_transit"


def test_code_cannot_be_mapped_to_unknown(credential):
    create_shipment(credential, 1, scan())
    with pytest.raises(IntegrityError), transaction.atomic():
        status_codes.map_code(StatusCode.objects.get().id, "unknown")


def buy_with_unknown_code(api, order):
    """Buy a label whose track has an unknown code."""
    bought = api.post("/api/v1/labels", order | {"order_id": "SANDBOX-UNKNOWN"}).json()
    return Shipment.objects.get(id=bought["shipment_id"])


def read_by_tracking(api, shipment):
    api.post("/api/v1/tracking", {"carrier": "pickit", "tracking_number": shipment.tracking_number})


def read_by_polling(api, shipment):
    with time_machine.travel(timezone.now() + timedelta(hours=7), tick=True):
        assert polling.poll()["scans"]


@pytest.mark.django_db
@pytest.mark.parametrize("read", [read_by_tracking, read_by_polling])
def test_unknown_code_is_listed_by_tracking_and_polling(api, order, credential, sandbox, read):
    shipment = buy_with_unknown_code(api, order)
    StatusCode.objects.create(carrier="pickit", code="held_at_customs", status="exception")
    read(api, shipment)
    shipment.refresh_from_db()
    assert shipment.status == "exception"
    assert StatusCode.objects.count() == 1


def test_limit_bounds_the_shipments_of_one_run(credential):
    for number in range(5):
        create_shipment(credential, number, scan(), scan(hours=1), scan("beamed", hours=2))
    for row in StatusCode.objects.all():
        status_codes.map_code(row.id, "in_transit")
    assert [status_codes.apply_mappings(limit=4) for _ in range(4)] == [4, 4, 2, 0]


def test_shipment_that_cannot_be_stored_does_not_stop_the_others(credential, monkeypatch):
    shipments = [create_shipment(credential, number, scan()) for number in range(3)]
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


APPLY_MAPPINGS = """
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


def start_process(*, killed_at=0):
    """A start_process that settles; SIGKILL ends it while its n-th shipment is written and not committed."""
    name = connection.settings_dict["NAME"]
    server = urlsplit(os.environ.get("DATABASE_URL", ""))
    url = f"sqlite:///{name}" if connection.vendor == "sqlite" else server._replace(path=f"/{name}").geturl()
    environment = os.environ | {"DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "config.settings"}
    return subprocess.Popen([sys.executable, "-c", APPLY_MAPPINGS, str(killed_at)], env=environment)


@pytest.mark.django_db(transaction=True)
def test_killed_worker_loses_nothing_and_two_workers_repeat_nothing(credential):
    shipments = [create_shipment(credential, number, known(), scan(hours=1)) for number in range(30)]
    status_codes.map_code(StatusCode.objects.get().id, "in_transit")
    assert start_process(killed_at=5).wait(60) == -signal.SIGKILL
    assert Shipment.objects.filter(status="in_transit").count() == 4
    assert [one.wait(60) for one in [start_process(), start_process()]] == [0, 0]
    assert not Checkpoint.objects.filter(status="unknown").exists()
    for shipment in shipments:
        assert list_events(shipment) == [(None, "picked_up"), ("picked_up", "in_transit")]
    assert not any(counters.differences().values())


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
        StatusCode(carrier="pickit", code=f"map_code-{number}", status="lost") for number in range(500)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def plans(captured, table):
    found = [plan_of(one["sql"], is_bounded=True)[0] for one in captured if f'FROM "{table}"' in one["sql"]]
    assert found
    return found


def test_index_serves_the_workers_query(many):
    with CaptureQueriesContext(connection) as captured:
        assert status_codes.apply_mappings() == 6
    looked_up = [one for one in captured if '"shipping_statuscode"' in one["sql"] or "DISTINCT" in one["sql"]]
    assert len(looked_up) == 2
    for one in looked_up:
        plan, _scans = plan_of(one["sql"], is_bounded=True)
        assert "checkpoint_unknown" in plan, plan


def test_index_serves_the_writers_lookup(many):
    with CaptureQueriesContext(connection) as captured:
        carrier_reports._mapped_statuses("pickit", [scan("code-0")])
    (plan,) = plans(captured, "shipping_statuscode")
    assert "status_code_once_per_carrier" in plan or "sqlite_autoindex_shipping_statuscode" in plan, plan


def test_index_serves_the_list_of_unmapped_codes(many, admin_client):
    with CaptureQueriesContext(connection) as captured:
        page = admin_client.get(LIST, {"status__isnull": "True"})
    assert len(page.context["cl"].result_list) == 20
    for plan in plans(captured, "shipping_statuscode"):
        assert "status_code_to_place" in plan, plan
