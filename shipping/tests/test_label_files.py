"""Label and manifest files are stored, served and fetched later if necessary."""

import uuid

import pytest
from django.core.files.storage import default_storage
from django.utils import timezone

from apikeys.db.tenancy import Tenant
from apikeys.keys.format import generate_key
from apikeys.keys.lifecycle import store_key
from apikeys.models import Merchant
from carriers import types
from shipping.labels import documents
from shipping.models import Document
from shipping.tests.velocity import advance as advance
from shipping.tests.velocity import buy
from shipping.tests.velocity import later as later
from shipping.tests.velocity import order as order
from shipping.tests.velocity import patch as patch
from shipping.tests.velocity import platform_credential as platform_credential
from shipping.tests.velocity import put as put
from shipping.tests.velocity import sent_bodies as sent_bodies
from shipping.tests.velocity import velocity_credential as velocity_credential
from shipping.tests.velocity import warehouse as warehouse

pytestmark = [pytest.mark.django_db, pytest.mark.once, pytest.mark.usefixtures("velocity_credential", "sandbox")]


@pytest.mark.parametrize("mount", ["/api/v1", "/api/week3-integrations"])
def test_manifest_is_served_at_the_url_in_responses(api, order, mount):
    label = buy(api, order)
    assert label["manifest_url"].endswith(f"/api/v1/shipments/{label['shipment_id']}/manifest")
    assert api.get(f"/api/v1/shipments/{label['shipment_id']}").json()["manifest_url"] == label["manifest_url"]
    for name in (label["shipment_id"], label["tracking_number"]):
        file = api.get(f"{mount}/shipments/{name}/manifest")
        assert (file.status_code, file["Content-Type"]) == (200, "application/pdf")
        assert file["Cache-Control"] == "private, no-store"
        assert f"{label['tracking_number']}-manifest.pdf" in file["Content-Disposition"]
        stored = Document.objects.get(shipment_id=label["shipment_id"], kind="manifest")
        assert b"".join(file.streaming_content) == default_storage.open(stored.file.name).read()


def test_another_merchants_manifest_is_not_found(api, client, order):
    label = buy(api, order)
    key = generate_key("test")
    store_key(Tenant(Merchant.objects.create(name="Other", slug="other").id, "test"), key, name="other")
    path = f"/api/v1/shipments/{label['shipment_id']}/manifest"
    refused = client.get(path, headers={"X-API-Key": key})
    assert (refused.status_code, refused.json()["error"]) == (404, "shipment_not_found")
    assert client.get(path).status_code == 401


def test_manifest_is_not_found_until_it_is_fetched(api, order, sandbox, settings):
    settings.CARRIER_MAX_RETRIES = 0
    fault = {"kind": "status", "status": 503, "carrier": "velocity", "operation": "documents", "count": 2}
    sandbox.control("POST", "/_sandbox/faults", fault)
    label = buy(api, order)
    path = f"/api/v1/shipments/{label['shipment_id']}/manifest"
    assert label["manifest_url"].endswith(path)
    missing = api.get(path)
    assert (missing.status_code, missing.json()["error"]) == (404, "not_found")
    assert missing.json()["message"] == "This shipment has no manifest."
    assert documents.fetch_missing() == 1
    assert api.get(path).status_code == 200


@pytest.mark.parametrize(("length", "kept"), [(2000, True), (2001, False)])
def test_file_url_that_is_too_long_is_dropped(length, kept):
    url = "https://labels.example/".ljust(length, "x")
    label = types.Document(kind="label", format="PDF", url=url)
    booked = types.BookedShipment(
        reference="WB1", tracking_number="SHPHYB1", created_at=timezone.now(), documents=(label,)
    )
    (made,) = documents.build_documents(uuid.uuid4(), booked)
    assert (made.carrier_url, made.fetch_at is not None) == (url if kept else "", kept)


def test_label_without_a_file_is_booked_and_completed_later(api, order, sandbox, settings):
    settings.CARRIER_MAX_RETRIES = 0
    fault = {"kind": "status", "status": 503, "carrier": "velocity", "operation": "documents", "count": 2}
    sandbox.control("POST", "/_sandbox/faults", fault)
    label = buy(api, order)
    assert label["label_data"] is None
    assert label["status"] == "created"
    assert documents.fetch_missing() == 1
    file = api.get(f"/api/v1/shipments/{label['shipment_id']}/label")
    assert b"".join(file.streaming_content).startswith(b"%PDF")
