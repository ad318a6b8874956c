"""Shipments are found by the start of what a caller knows, whatever its case and accents."""

import importlib

import pytest
from django.apps import apps
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apikeys.db.search import fold, fold_number, reversed_digits
from shipping.models import Shipment, ShipmentSearch
from shipping.models.search import matching_shipments
from shipping.tests.test_checkpoints_api import checkpoint

pytestmark = pytest.mark.django_db


@pytest.fixture
def shipment(tenant):
    return create(tenant, "1", "José Ángel Muñoz", contact_email="Jose.Munoz@Example.com", postal_code="SW1A 1AA")


def create(tenant, number, recipient="Jane Smith", **destination):
    destination = {"contact_phone": "+57 (601) 555-01-0" + number} | destination
    return Shipment.objects.create(
        merchant_id=tenant.merchant_id,
        mode="test",
        booking_state="booked",
        tracking_number=f"PKT 00{number}",
        waybill_number=f"WBL00{number}",
        carrier_shipment_id=f"SHP-{number}",
        order_id=f"Ördér-{number}",
        reference=f"WBREF{number}",
        customer_reference=f"CUST-{number}",
        recipient=recipient,
        destination=destination,
    )


@pytest.mark.parametrize(
    "text",
    [
        "PKT 001",
        "pkt001",
        "wbl001",
        "shp-1",
        "order-1",
        "ORDÉR-1",
        "wbref1",
        "cust-1",
        "josé ángel",
        "JOSE",
        "munoz",
        "muñoz jose",
        "jose.munoz@",
        "+57 601 5550101",
        "601-555-01-01",
        "0101",
        "sw1a1",
    ],
)
def test_shipment_is_found_by_each_text(shipment, tenant, text):
    create(tenant, "2", postal_code="90210", contact_email="jane@example.com")
    assert matching_shipments(text, 10) == [shipment.pk]


@pytest.mark.parametrize("text", ["", "  ", "angel", "kt001", "munoz jane", "nothing", "%", "_", "101", "X-0101"])
def test_other_texts_find_nothing(shipment, text):
    assert matching_shipments(text, 10) == []


def test_search_row_follows_the_shipment(shipment):
    shipment.recipient, shipment.destination = "Zoë Doe", {"postal_code": "1000"}
    shipment.save(update_fields=["recipient", "destination", "updated_at"])
    assert matching_shipments("munoz", 10) == []
    assert matching_shipments("zoe", 10) == [shipment.pk]
    with CaptureQueriesContext(connection) as captured:
        shipment.save(update_fields=["status", "updated_at"])
    assert len(captured) == 1


def test_posted_checkpoint_makes_its_unit_searchable(api):
    for number in ("Unit-77", "ÜNIT-88"):
        assert api.post("/api/v1/checkpoints", checkpoint(tracking_id=number)).status_code == 201
    units = dict(Shipment.objects.values_list("tracking_number", "id"))
    assert matching_shipments("UNIT-77", 10) == [units["Unit-77"]]
    assert matching_shipments("unit-88", 10) == [units["ÜNIT-88"]]
    assert set(matching_shipments("unit", 10)) == set(units.values())


def test_matches_are_limited(tenant):
    for number in range(5):
        create(tenant, str(number))
    assert len(matching_shipments("jane", 3)) == 3


def test_migration_stores_the_rows_of_existing_shipments(shipment, tenant, monkeypatch):
    migration = importlib.import_module("shipping.migrations.0018_fill_shipment_search")
    monkeypatch.setattr(migration, "BATCH", 2)
    for number in range(2, 7):
        create(tenant, str(number))
    before = list(ShipmentSearch.objects.order_by("pk").values())
    ShipmentSearch.objects.all().delete()
    for _ in range(2):
        migration.fill(apps, connection.schema_editor())
    assert list(ShipmentSearch.objects.order_by("pk").values()) == before
    assert len(before) == 6


def test_texts_are_folded():
    assert fold("  Straße\tÉmile ") == "strasse emile"
    assert fold_number("Ab 12-3") == "ab12-3"
    assert reversed_digits("+1 (20) 3x") == "3021"
    assert fold(None) == fold_number(None) == reversed_digits(None) == ""
