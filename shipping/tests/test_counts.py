"""The counts of units and deliveries are exact after every change and with parallel writers, and can be repaired."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.db.models import Count, F, Sum
from django.test import Client

from apikeys.db.tenancy import Tenant
from apikeys.models import Merchant, Store
from conftest import ApiClient
from shipping.models import BookingState, DeliveryTally, Shipment, UnitTally
from shipping.reports import counters
from shipping.tests.test_checkpoints_api import checkpoint

pytestmark = pytest.mark.django_db
WHEN = datetime(2024, 1, 15, 10, tzinfo=UTC)
UNIT = {"status": "created", "checkpoint_count": 1, "first_at": WHEN, "last_at": WHEN}


def create_unit(tenant, number, **values):
    return Shipment.objects.create(
        **{"merchant_id": tenant.merchant_id, "mode": tenant.mode, "store_id": tenant.store_id}
        | {"tracking_number": f"UNIT-{number}", "reference": f"WB-{tenant.mode}-{number}"}
        | UNIT
        | values
    )


def exact():
    return not any(counters.differences().values())


def sum_up_all():
    while counters.fold():
        pass


def units(tenant):
    rows = UnitTally.objects.of(tenant).order_by().values("status").annotate(total=Sum("units"))
    return {row["status"]: row["total"] for row in rows if row["total"]}


def test_each_change_of_a_shipment_is_counted(tenant, merchant):
    first, _second = create_unit(tenant, 1), create_unit(tenant, 2)
    assert units(tenant) == {"created": 2}
    Shipment.objects.filter(id=first.id).update(status="in_transit", checkpoint_count=F("checkpoint_count") + 2)
    assert units(tenant) == {"created": 1, "in_transit": 1}
    assert UnitTally.objects.aggregate(total=Sum("checkpoints"))["total"] == 4
    Shipment.objects.filter(id=first.id).update(
        carrier="pickit", store=Store.objects.create(merchant=merchant, code="n")
    )
    assert counters.units(tenant, carrier="pickit") == counters.units(tenant, carrier="") == 1
    Shipment.objects.filter(id=first.id).delete()
    assert units(tenant) == {"created": 1}
    assert exact()


def test_pending_shipment_is_counted_when_it_is_booked(tenant):
    row = create_unit(tenant, 1, booking_state=BookingState.PENDING, status="")
    assert units(tenant) == {}
    Shipment.objects.filter(id=row.id).update(booking_state=BookingState.BOOKED, status="created")
    assert units(tenant) == {"created": 1}
    Shipment.objects.filter(id=row.id).update(booking_state=BookingState.FAILED)
    assert units(tenant) == {}
    assert exact()


def test_change_of_uncounted_column_appends_no_row(tenant):
    row = create_unit(tenant, 1)
    before = UnitTally.objects.count()
    row.recipient = "Somebody"
    row.save()
    Shipment.objects.update(location="Elsewhere")
    assert UnitTally.objects.count() == before


def test_many_rows_in_one_statement_are_counted(tenant):
    rows = [
        Shipment(merchant_id=tenant.merchant_id, mode="test", tracking_number=f"N-{n}", reference=f"R-{n}", **UNIT)
        for n in range(100)
    ]
    Shipment.objects.bulk_create(rows)
    Shipment.objects.filter(reference__lt="R-5").update(status="picked_up")
    assert sum(units(tenant).values()) == 100
    if connection.vendor == "postgresql":  # one row per statement
        assert UnitTally.objects.count() == 3
    assert exact()


def test_rolled_back_change_is_not_counted(tenant):
    with pytest.raises(RuntimeError), transaction.atomic():
        create_unit(tenant, 1)
        raise RuntimeError
    assert units(tenant) == {}


def test_deliveries_are_counted_by_route_day_and_transit_time(tenant):
    lane = {"origin": {"country": "se"}, "destination": {"country": "NO"}, "carrier": "pickit"}
    row = create_unit(
        tenant, 1, **lane, picked_up_at=WHEN + timedelta(hours=4), promised_delivery=WHEN + timedelta(days=2)
    )
    assert not DeliveryTally.objects.exists()
    Shipment.objects.filter(id=row.id).update(delivered_at=WHEN + timedelta(hours=30), status="delivered")
    (one,) = DeliveryTally.objects.all()
    assert (one.origin_country, one.destination_country, one.carrier) == ("SE", "NO", "pickit")
    assert (str(one.day), one.transit_days, one.transit_seconds) == ("2024-01-16", 2, 26 * 3600)
    assert (one.deliveries, one.promised, one.on_time) == (1, 1, 1)
    assert UnitTally.objects.aggregate(total=Sum("delivery_seconds"))["total"] == 30 * 3600
    # The carrier corrects the delivery to another day.
    Shipment.objects.filter(id=row.id).update(delivered_at=WHEN + timedelta(days=3))
    days = DeliveryTally.objects.order_by("day").values("day").annotate(Sum("deliveries"), Sum("on_time"))
    assert [(str(day["day"]), day["deliveries__sum"], day["on_time__sum"]) for day in days] == [
        ("2024-01-16", 0, 0),
        ("2024-01-18", 1, 0),
    ]
    assert exact()


@pytest.mark.parametrize(
    "values",
    [
        {"origin": {"country": None}, "destination": {"country": "Sweden"}},
        {"origin": {"country": 7}, "destination": {"country": ["NO"]}},
        {"delivered_at": WHEN - timedelta(days=1)},
        {"delivered_at": WHEN + timedelta(days=4000)},
        {"delivered_at": WHEN.replace(microsecond=999_999), "first_at": WHEN.replace(microsecond=1)},
    ],
)
def test_unusual_values_do_not_prevent_counting(tenant, values):
    create_unit(tenant, 1, **{"delivered_at": WHEN, "status": "delivered"} | values)
    (one,) = DeliveryTally.objects.all()
    assert one.transit_seconds >= 0
    assert one.transit_days <= 365
    assert exact()


def test_summing_up_keeps_totals_and_leaves_one_row_per_key(tenant, merchant):
    other = Tenant(Merchant.objects.create(name="Other", slug="other").id, "live")
    for number in range(6):
        create_unit(tenant, number, status="delivered", delivered_at=WHEN + timedelta(days=number % 2))
        create_unit(other, number)
    Shipment.objects.filter(tracking_number="UNIT-0", mode="test").update(status="returned", delivered_at=None)
    before = units(tenant), units(other)
    for _ in range(2):
        sum_up_all()
        create_unit(tenant, f"more-{_}", status="rto")
        before[0]["rto"] = before[0].get("rto", 0) + 1
        sum_up_all()
        assert (units(tenant), units(other)) == before
        for model in counters.MODELS:
            doubles = model.objects.order_by().values(*model.KEYS).annotate(rows=Count("id")).filter(rows__gt=1)
            assert not doubles
            assert not model.objects.filter(is_folded=False).exists()
    assert exact()


def test_zero_sums_leave_no_row(tenant):
    create_unit(tenant, 1)
    Shipment.objects.all().delete()
    sum_up_all()
    assert not UnitTally.objects.exists()


def test_summing_up_is_done_in_batches(tenant, monkeypatch):
    monkeypatch.setattr(counters, "FOLDED_AT_ONCE", 3)
    for number in range(8):
        create_unit(tenant, number)
    assert [counters.fold() for _ in range(3)] == [True, True, False]
    assert units(tenant) == {"created": 8}
    assert UnitTally.objects.count() == 1


def test_recount_finds_and_repairs_wrong_counts(tenant, capsys):
    create_unit(tenant, 1)
    create_unit(tenant, 2, status="delivered", delivered_at=WHEN)
    call_command("recount", "--check")
    assert "shipping_unittally: exact" in capsys.readouterr().out
    UnitTally.objects.filter(status="created").update(units=7)
    DeliveryTally.objects.all().delete()
    with pytest.raises(CommandError):
        call_command("recount", "--check")
    assert "keys differ" in capsys.readouterr().out
    assert units(tenant)["created"] == 7
    call_command("recount")
    assert "repaired" in capsys.readouterr().out
    assert units(tenant) == {"created": 1, "delivered": 1}
    call_command("recount", "--check")


@pytest.mark.django_db(transaction=True)
def test_counts_stay_exact_during_parallel_writes_and_repairs(api, tenant):
    done = threading.Event()
    wrong = []

    def write(worker):
        client = ApiClient(Client(), api.key)
        try:
            for number in range(6):
                for hour, status in enumerate(("CREATED", "PICKED_UP", "IN_TRANSIT", "EXCEPTION")):
                    body = checkpoint(status, hour, tracking_id=f"UNIT-{worker}-{number}")
                    assert client.post("/api/v1/checkpoints", body).status_code == 201
        finally:
            connection.close()

    def disturb(what):
        try:
            while not done.is_set():
                what()
        finally:
            connection.close()

    def look():
        if not exact():
            wrong.append(counters.differences())

    with ThreadPoolExecutor(7) as pool:
        others = [pool.submit(disturb, what) for what in (counters.fold, counters.repair, look)]
        writers = [pool.submit(write, worker) for worker in range(4)]
        for writer in writers:
            writer.exception()
        done.set()
        for one in (*others, *writers):
            one.result()
    assert not wrong
    assert units(tenant) == {"exception": 24}
    assert UnitTally.objects.aggregate(total=Sum("checkpoints"))["total"] == 96
    sum_up_all()
    assert exact()
    assert api.get("/api/v1/shipments").json()["pagination"]["total"] == 24
