"""The list of units: filters, stable pages, tenancy, and query plans."""

import json
import re
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apikeys.db.tenancy import Tenant
from apikeys.keys.format import generate_key
from apikeys.keys.lifecycle import store_key
from apikeys.models import Merchant, Store
from conftest import ApiClient
from shipping.models import BookingState, Parcel, Shipment
from shipping.shipments import lists

pytestmark = pytest.mark.django_db
WHEN = datetime(2024, 1, 15, 10, tzinfo=UTC)
LIST = "/api/v1/shipments"


@pytest.fixture
def store(merchant):
    return Store.objects.create(merchant=merchant, name="North", code="north")


@pytest.fixture
def unit(tenant):
    """Create a unit: ``unit(number, status=…)``."""

    def make(number, of=tenant, day=0, **values):
        at = WHEN + timedelta(days=day)
        return Shipment.objects.create(
            **{
                "merchant_id": of.merchant_id,
                "mode": of.mode,
                "store_id": of.store_id,
                "tracking_number": number,
                "reference": uuid.uuid4().hex,
                "status": "created",
                "checkpoint_count": 1,
                "first_at": at,
                "last_at": at,
            }
            | values
        )

    return make


@pytest.fixture
def listed(api):
    def ask(**query):
        response = api.get(LIST, **query)
        assert response.status_code == 200, response.content
        return response.json()

    return ask


def numbers(answer):
    return [one["tracking_id"] for one in answer["units"]]


def client_of(tenant, client):
    key = generate_key(tenant.mode)
    store_key(tenant, key, name="another")
    return ApiClient(client, key)


def test_each_filter_selects_units_and_is_shown_in_the_response(listed, unit, store):
    unit("UNIT-A", status="in_transit", order_id="ORDER-1", day=1)
    unit("UNIT-B", carrier="pickit", store_id=store.id, booking_state=BookingState.BOOKED, day=2)
    unit("UNIT-C", last_at=WHEN + timedelta(days=9), customer_reference="Ref-77", recipient="Ana Gómez", day=3)
    unit("UNIT-D", booking_state=BookingState.PENDING, status="", order_id="ORDER-1", sequence=2)
    for query, found in (
        ({}, ["UNIT-C", "UNIT-B", "UNIT-A"]),
        ({"status": "In_Transit"}, ["UNIT-A"]),
        ({"carrier": "PICKIT"}, ["UNIT-B"]),
        ({"store": "north"}, ["UNIT-B"]),
        ({"store": str(store.id)}, ["UNIT-B"]),
        ({"order_id": "ORDER-1"}, ["UNIT-A"]),
        ({"created_from": "2024-01-17T10:00:00Z"}, ["UNIT-C", "UNIT-B"]),
        ({"created_from": "2024-01-17T12:00:00+02:00", "created_to": "2024-01-17T10:00:00Z"}, ["UNIT-B"]),
        ({"created_to": "2024-01-16"}, ["UNIT-A"]),
        ({"created_to": "20240116"}, ["UNIT-A"]),
        ({"created_to": "2024-01-16T00:00:00Z"}, []),
        ({"updated_from": "2024-01-20"}, ["UNIT-C"]),
        ({"updated_to": "2024-01-17"}, ["UNIT-B", "UNIT-A"]),
        ({"q": "unit-a"}, ["UNIT-A"]),
        ({"q": "order-1"}, ["UNIT-A"]),
        ({"q": "ref-7"}, ["UNIT-C"]),
        ({"q": "ANA"}, ["UNIT-C"]),
        ({"q": "%%"}, []),
        ({"status": "created", "carrier": "pickit", "store": "north", "q": "UNIT"}, ["UNIT-B"]),
    ):
        answer = listed(**query)
        assert numbers(answer) == found, query
        assert answer["pagination"]["total"] == len(found), query
        assert answer["pagination"]["total_is_exact"] is True
        assert answer["filters"].keys() == query.keys()
    assert listed(status="in_transit", created_to="2024-01-16")["filters"] == {
        "status": "IN_TRANSIT",
        "created_to": "2024-01-16",
    }


def test_unit_without_checkpoint_is_filtered_by_its_creation_time(listed, unit):
    unit("UNIT-A", first_at=None, last_at=None, created_at=WHEN)
    assert (
        listed(created_from="2024-01-15", created_to="2024-01-15")["units"][0]["created_at"] == "2024-01-15T10:00:00Z"
    )
    assert numbers(listed(updated_from="2024-01-16")) == []


@pytest.mark.parametrize(
    "query",
    [
        {"status": "GONE"},
        {"carrier": "nobody"},
        {"store": "nowhere"},
        {"store": "00000000-0000-7000-8000-000000000000"},
        {"order_id": "x" * 101},
        {"created_from": "yesterday"},
        {"created_to": "2024-13-01"},
        {"updated_from": "1705312200"},
        {"updated_to": "2024-01-15T25:00:00Z"},
        {"q": "x"},
        {"q": "x" * 101},
        {"limit": "0"},
        {"limit": "101"},
        {"offset": "-1"},
        {"offset": "100001"},
        {"cursor": "first"},
        {"cursor": "7"},
    ],
)
def test_error_names_the_invalid_parameter(api, query):
    response = api.get(LIST, **query)
    assert (response.status_code, response.json()["error"]) == (400, "validation_error")
    assert response.json()["details"].keys() == query.keys()


def test_range_that_ends_before_it_starts_is_refused(api):
    for name in ("created", "updated"):
        response = api.get(LIST, **{f"{name}_from": "2024-01-02", f"{name}_to": "2024-01-01"})
        assert response.status_code == 400
        assert response.json()["details"].keys() == {f"{name}_to"}


def test_cursor_pages_contain_each_unit_once_while_units_are_added(listed, unit):
    there = [unit(f"UNIT-{number:03}").tracking_number for number in range(25)]
    seen, cursor, added = [], None, 0
    while True:
        answer = listed(limit=4, **({"cursor": cursor} if cursor else {}))
        seen += numbers(answer)
        for _ in range(3):
            unit(f"LATER-{added:03}")
            added += 1
        cursor = answer["pagination"]["next_cursor"]
        assert answer["pagination"]["has_more"] is bool(cursor)
        if not cursor:
            break
    assert seen == there[::-1]
    assert listed()["pagination"]["total"] == 25 + added


def test_offset_and_cursor_pages_agree(listed, unit):
    there = [unit(f"UNIT-{number}").tracking_number for number in range(9)][::-1]
    first = listed(limit=2, offset=2)
    assert numbers(first) == there[2:4]
    assert numbers(listed(limit=2, cursor=first["pagination"]["next_cursor"])) == there[4:6]
    assert numbers(listed(limit=2, offset=2, cursor=first["pagination"]["next_cursor"])) == there[6:8]
    last = listed(limit=5, offset=4)
    assert (last["pagination"]["has_more"], last["pagination"]["next_cursor"]) == (False, None)
    assert last["pagination"]["offset"] == 4


def test_totals_by_status_carrier_and_store_are_exact_whatever_their_size(listed, unit, monkeypatch):
    monkeypatch.setattr(lists, "MAX_COUNTED", 3)
    for number in range(5):
        unit(f"UNIT-{number}", carrier="pickit", booking_state=BookingState.BOOKED)
    for query in ({}, {"status": "CREATED"}, {"carrier": "pickit", "status": "created"}):
        pagination = listed(limit=1, **query)["pagination"]
        assert (pagination["total"], pagination["total_is_exact"]) == (5, True)
    pagination = listed(limit=1, q="unit")["pagination"]
    assert (pagination["total"], pagination["total_is_exact"]) == (3, False)


def test_list_excludes_other_merchants_modes_and_stores(api, unit, client, merchant, tenant, store):
    other = Tenant(Merchant.objects.create(name="Other", slug="other", plan_id="enterprise").id, "test")
    south = Store.objects.create(merchant=merchant, name="South", code="south")
    northern = Tenant(merchant.id, "test", store.id)
    foreign = Store.objects.create(merchant_id=other.merchant_id, name="Foreign", code="foreign")
    for number, of in (
        ("MINE-1", tenant),
        ("MINE-2", northern),
        ("LIVE-1", Tenant(merchant.id, "live")),
        ("O-1", other),
    ):
        unit(number, of)
    unit("MINE-3", Tenant(merchant.id, "test", south.id))
    for caller, found in ((tenant, ["MINE-3", "MINE-2", "MINE-1"]), (northern, ["MINE-2"]), (other, ["O-1"])):
        answer = client_of(caller, client).get(LIST).json()
        assert (numbers(answer), answer["pagination"]["total"]) == (found, len(found))
    assert client_of(Tenant(merchant.id, "live"), client).get(LIST).json()["pagination"]["total"] == 1
    for query in ({"q": "o-1"}, {"q": "live"}):
        assert numbers(api.get(LIST, **query).json()) == []
    # Another merchant's store is treated like one that does not exist.
    for name in ("foreign", str(foreign.id)):
        assert api.get(LIST, store=name).status_code == 400
    assert client_of(northern, client).get(LIST, store="south").json()["details"].keys() == {"store"}
    assert client_of(northern, client).get(LIST, store="north").status_code == 200


def test_number_of_queries_is_the_same_for_each_page(api, unit, store, django_assert_num_queries):
    for number in range(30):
        unit(f"UNIT-{number}", store=store, carrier="pickit", booking_state=BookingState.BOOKED)
    api.get(LIST)
    for query in ({}, {"limit": 2}, {"status": "created", "carrier": "pickit"}, {"q": "unit"}, {"offset": 20}):
        with django_assert_num_queries(3):  # the key, the page, the total
            api.get(LIST, **query)
    with django_assert_num_queries(4):  # and the store
        api.get(LIST, store="north")


PLANS = {
    # The second one if much of the table belongs to this merchant.
    "": {"shipment_by_tenant", "shipping_shipment_pkey"},
    "status": {"shipment_by_status"},
    "carrier": {"shipment_by_carrier"},
    "store": {"shipment_by_store"},
    "order_id": {"shipment_by_order"},
    "created_from": {"shipment_by_first_time"},
    "updated_to": {"shipment_by_last_time"},
    "q": {f"shipment_text_{name}" for name in ("tracking_number", "order_id", "customer_reference", "recipient")},
}
COUNTED_ROWS = ("order_id", "created_from", "updated_to", "q")
VALUES = {
    "status": "damaged",
    "carrier": "pickit",
    "store": "north",
    "order_id": "ORDER-7",
    "created_from": "2024-03-15T12:00:00Z",
    "updated_to": "2024-01-15T12:00:00Z",
    "q": "unit-0007",
}


@pytest.fixture
def many(tenant, store):
    """Create enough units of enough merchants for the planner to choose an index."""
    others = [Merchant.objects.create(name=f"m{n}", slug=f"m{n}") for n in range(30)]
    owners = [tenant.merchant_id, *(other.id for other in others)]
    rows = [
        Shipment(
            merchant_id=owner,
            mode="test",
            reference=f"R-{place}-{number}",
            tracking_number=f"UNIT-{number:04}",
            order_id=f"ORDER-{number}",
            customer_reference=f"REF-{number}",
            recipient=f"Person {number}",
            carrier="pickit" if number % 5 == 0 else "",
            store=store if place == 0 and number % 3 == 0 else None,
            status="damaged" if number % 5 == 1 else "in_transit",
            first_at=WHEN + timedelta(hours=number),
            last_at=WHEN + timedelta(hours=number),
        )
        for place, owner in enumerate(owners)
        for number in range(100 if place else 1500)
    ]
    Shipment.objects.bulk_create(rows, batch_size=500)
    Parcel.objects.create(shipment=rows[20], number=1, weight_kg=1, tracking_number=VALUES["q"])
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def plan_of(query, is_bounded):
    """Return the names of the used indexes, and whether all shipments are read."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute(f"EXPLAIN QUERY PLAN {query}")
            text = "\n".join(row[3] for row in cursor.fetchall())
            return text, "SCAN shipping_shipment" in text
        # PostgreSQL may also read and sort so few rows.
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"SET LOCAL enable_sort = {'on' if is_bounded else 'off'}")
        cursor.execute(f"EXPLAIN (FORMAT JSON) {query}")
        plan = cursor.fetchone()[0]
        text = plan if isinstance(plan, str) else json.dumps(plan)
        return text, re.search(r'"Seq Scan"[^{}]*"Relation Name": "shipping_shipment"', text) is not None


def test_an_index_serves_the_list_and_each_filter(api, many):
    for name, indexes in PLANS.items():
        with CaptureQueriesContext(connection) as captured:
            assert api.get(LIST, **({name: VALUES[name]} if name else {})).json()["units"], name
        statements = [one["sql"] for one in captured if 'FROM "shipping_shipment"' in one["sql"]]
        assert len(statements) == 1 + (name in COUNTED_ROWS), name
        for sql in statements:
            text, scans = plan_of(sql, name in COUNTED_ROWS)
            assert not scans, (name, text)
            assert any(index in text for index in indexes), (name, text)


def test_total_reads_counts_by_index(api, many):
    with CaptureQueriesContext(connection) as captured:
        api.get(LIST, limit=1)
    (total,) = [one["sql"] for one in captured if "unittally" in one["sql"]]
    assert total.upper().startswith("SELECT SUM(")
    assert not any("COUNT(" in one["sql"].upper() for one in captured)
