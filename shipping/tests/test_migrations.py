"""Rows of the last release survive the migrations, and the code reads them.

``fixtures/release_0029.json`` has the rows of a database at the last migration of that release.
"""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from apikeys.db.triggers import TRIGGER_SETS, stored_triggers
from shipping.common import refs
from shipping.labels import documents
from shipping.models import Checkpoint, Document, Parcel, Pickup, Shipment
from shipping.reports import counters

LAST_RELEASE = ("shipping", "0029_promise_by_its_time")
ROWS = json.loads((Path(__file__).parent / "fixtures" / "release_0029.json").read_text())
BOOKED, UNFETCHED, PENDING, RETURN, OWN = (row["id"] for row in ROWS["Shipment"])
LABEL_URL = "https://shazam.velocity.in/api/label/2.pdf"


@pytest.fixture
def migrated(db, transactional_db, tenant, credential):
    """The database of the last release, migrated to this one."""
    executor = MigrationExecutor(connection)
    executor.migrate([LAST_RELEASE])
    apps = MigrationExecutor(connection).loader.project_state([LAST_RELEASE]).apps
    owner = {"merchant_id": tenant.merchant_id}
    for name, rows in ROWS.items():
        model = apps.get_model("shipping", name)
        names = {field.name for field in model._meta.get_fields()}
        for row in rows:
            owned = owner if "merchant" in names else {}
            booked = {"credential_id": credential.id} if "credential" in names and row["carrier"] else {}
            model(**row, **owned, **booked).save(force_insert=True)
    for label in ROWS["Label"]:
        for name in (label.get("file"), label.get("manifest")):
            if name:
                default_storage.save(name, ContentFile(b"%PDF-1.4 " + name.encode()))
    call_command("migrate", verbosity=0)
    Pickup.objects.get().shipments.set(Shipment.objects.filter(id=BOOKED))
    yield
    for name in ("labels/a/label.pdf", "labels/a/manifest.pdf", "labels/c/label.png"):
        default_storage.delete(name)


@pytest.mark.usefixtures("migrated")
def test_rows_of_the_last_release_are_kept_and_read(api):
    kept = {"Shipment": Shipment, "Parcel": Parcel, "Checkpoint": Checkpoint, "Pickup": Pickup}
    for name, model in kept.items():
        assert {str(row.pk) for row in model.objects.all()} == {row["id"] for row in ROWS[name]}, name
    stored = Document.objects.values_list("shipment_id", "kind", "format", "size", "file", "carrier_url")
    url = "https://shazam.velocity.in/api/{}/{}.pdf".format
    assert {(str(one[0]), *one[1:]) for one in stored} == {
        (BOOKED, "label", "PDF", "4x6", "labels/a/label.pdf", url("label", 1)),
        (BOOKED, "manifest", "PDF", "", "labels/a/manifest.pdf", url("manifest", 1)),
        (UNFETCHED, "label", "PDF", "4x6", "", LABEL_URL),
        (UNFETCHED, "manifest", "PDF", "", "", url("manifest", 2)),
        (RETURN, "label", "PNG", "A6", "labels/c/label.png", ""),
    }
    due = Document.objects.filter(fetch_at__isnull=False).values_list("shipment_id", flat=True)
    assert {str(shipment_id) for shipment_id in due} == {UNFETCHED}
    for kind in ("label", "manifest"):
        file = api.get(f"/api/v1/shipments/{BOOKED}/{kind}")
        assert file.getvalue() == f"%PDF-1.4 labels/a/{kind}.pdf".encode()
    shown = api.get(f"/api/v1/shipments/{BOOKED}").json()
    assert [one["status"] for one in shown["checkpoints"]] == ["created", "picked_up"]
    assert set(stored_triggers(connection)) == {
        trigger.name for one in TRIGGER_SETS.values() for trigger in one.triggers(connection.vendor)
    }
    assert not any(counters.differences().values())

    ref = refs.shipment_ref(Shipment.objects.get(id=BOOKED))
    assert (ref.tracking_number, ref.order.order_id, len(ref.order.packages)) == ("SHPHYB700100201", "SHOP-1", 2)
    assert [parcel.number for parcel in ref.parcels] == [1, 2]
    assert documents.documents_ref(Shipment.objects.get(id=UNFETCHED)).carrier_state["label_url"] == LABEL_URL
    pending = refs.shipment_ref(Shipment.objects.get(id=PENDING))
    assert (pending.order.pickup_point.id, pending.order.pickup_point.address.country) == ("PP-70421", "IN")
    back = refs.shipment_ref(Shipment.objects.get(id=RETURN))
    assert (back.order.return_of.tracking_number, back.order.reason) == ("SHPHYB700100201", "Does not fit")
    pickup = refs.pickup_ref(Pickup.objects.get())
    assert pickup.request.pickup_date == datetime(2026, 10, 6, 4, 30, tzinfo=UTC)
    assert pickup.request.pickup_date.utcoffset() == timedelta(hours=5, minutes=30)
    assert pickup.request.address.contact_name == "Meera Shah"
    assert [one.tracking_number for one in pickup.request.shipments] == ["SHPHYB700100201"]
