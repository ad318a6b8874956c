"""An index serves every search field of every admin list, on both databases."""

import re

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apikeys.models import User
from carriers.types import ReportedPickup
from config.tests.test_admin_pages import populate
from shipping.common import lookup
from shipping.models import Parcel, Shipment
from shipping.pickups import pickups
from shipping.shipments import lists
from webhooks.inbound import service
from webhooks.models import InboundWebhook, UnmatchedNumber

pytestmark = pytest.mark.django_db
SEARCHED = [model for model, registered in admin.site._registry.items() if registered.search_fields]
TEXTS = ("Some text", "007", "shipment.booked", "192.0.2.7", "0190b8a2-7c3e-7d4f-8a5b-6c7d8e9fa0b1")


@pytest.fixture
def plans_by_index(db):
    """Let PostgreSQL use an index where there is one, although the tables are small."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            # Without statistics the planner assumes ten pages per table, whether autovacuum has seen it empty or not.
            cursor.execute(
                "UPDATE pg_class SET relpages = 0, reltuples = -1 WHERE relnamespace = 'public'::regnamespace"
            )
            cursor.execute("SET LOCAL enable_seqscan = off")


@pytest.fixture
def rows(merchant, tenant):
    for number in range(3):
        populate(merchant, tenant, number)


def explain(sql):
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {sql}")
        return cursor.fetchall()


def without_index(sql):
    """Return the parts of a query's plan that read a whole table."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute(f"EXPLAIN QUERY PLAN {sql}")
            steps = [row[3] for row in cursor.fetchall()]
            return [step for step in steps if step.startswith("SCAN") and "CONSTANT ROW" not in step]
        cursor.execute(f"EXPLAIN {sql}")
        nodes = re.split(r"\n *->", "\n".join(line for (line,) in cursor.fetchall()))
        return [node for node in nodes if "Seq Scan" in node or "Index" in node and "Index Cond" not in node]


def plan_text(sql):
    prefix = "EXPLAIN QUERY PLAN" if connection.vendor == "sqlite" else "EXPLAIN"
    with connection.cursor() as cursor:
        cursor.execute(f"{prefix} {sql}")
        return str(cursor.fetchall())


def test_search_reads_no_whole_table(rf, rows, plans_by_index):
    request = rf.get("/")
    request.user = User(is_superuser=True, is_staff=True)
    for model in SEARCHED:
        registered = admin.site._registry[model]
        everything = model._base_manager.all().order_by()
        with CaptureQueriesContext(connection) as captured:
            for text in TEXTS:
                registered.get_search_results(request, everything, text)
        statements = [query["sql"] for query in captured if query["sql"].startswith(("SELECT", "("))]
        assert len(statements) >= len(registered.search_fields), model
        for statement in statements:
            assert not without_index(statement), statement


def test_numbers_of_webhooks_are_found_by_an_index_in_any_spelling(credential, on_sqlite, plans_by_index):
    number = UnmatchedNumber(inbound=InboundWebhook.objects.create(credential=credential), credential=credential)
    number.tracking_number = "PKT-1"
    number.save()
    report = ReportedPickup(carrier_pickup_id="PCK-1", status="completed", occurred_at=number.inbound.received_at)
    with CaptureQueriesContext(connection) as captured:
        lookup.resolve_numbers(credential.id, ["PKT-1", "pkt-2"])
        pickups.store_report(credential.id, report)
        service.process_pending()
    searched = [query["sql"] for query in captured if query["sql"].startswith("SELECT") and "UPPER(" in query["sql"]]
    assert len(searched) == 4  # of shipments, parcels and pickups, and of waiting webhooks
    for sql in searched:
        assert not [step for step in without_index(sql) if "webhooks_" not in step], sql
        if on_sqlite:
            assert "<expr>=?" in "".join(map(str, explain(sql)))


def test_parcels_are_found_by_the_index_of_their_numbers(tenant, credential, plans_by_index):
    owner = {"merchant_id": tenant.merchant_id, "mode": "test", "carrier": "pickit", "credential": credential}
    shipments = [Shipment(**owner, reference=str(number), booking_state="booked") for number in range(300)]
    Shipment.objects.bulk_create(shipments)
    Parcel.objects.bulk_create(
        Parcel(shipment=shipment, number=1, weight_kg=1, tracking_number=f"PKT-BOX-{number}")
        for number, shipment in enumerate(shipments)
    )
    with connection.cursor() as cursor:
        for table in ("shipping_shipment", "shipping_parcel"):
            cursor.execute(f"ANALYZE {table}")
    with CaptureQueriesContext(connection) as captured:
        lookup.find_shipments(tenant, ["PKT-BOX-1", "pkt-box 2"])
        lists.list_units(tenant, {"q": "pkt-box-1", "limit": 50, "offset": 0})
        lookup.resolve_numbers(credential.id, ["PKT-BOX-1", "PKT-BOX-2"])
        service.process_pending()
    statements = [query["sql"] for query in captured if "shipping_parcel" in query["sql"]]
    searched = [sql for sql in statements if "LEFT OUTER JOIN" not in sql]  # those read the parcels of a shipment
    assert len(searched) == 4
    for sql in searched:
        assert not [step for step in without_index(sql) if "webhooks_" not in step], sql
        assert "parcel_by_number" in plan_text(sql), sql


def test_all_lists_are_tested():
    assert len(SEARCHED) > 30
    assert Group in SEARCHED
