"""Requests for UPS through the public API, against the sandbox over HTTP."""

import base64
import time
import uuid
from io import BytesIO

import pytest
from pypdf import PdfReader

from carriers.credentials import opening, storage
from shipping.models import Shipment
from shipping.tests.labels import fault, reconcile_now
from shipping.tests.labels import short_timeout as short_timeout

pytestmark = [pytest.mark.django_db, pytest.mark.once, pytest.mark.usefixtures("ups_credential", "sandbox")]
TOKEN = "token-of-the-tests"
BERLIN = {
    "contact_name": "Jörg Weiß",
    "street": "Torstraße 1",
    "city": "Berlin",
    "postal_code": "10119",
    "country": "DE",
    "contact_phone": "+4930123456",
    "contact_email": "joerg@example.com",
}
BOX = {"weight_kg": 1.4, "length_cm": 25, "width_cm": 20, "height_cm": 10, "declared_value": 25, "currency": "USD"}
BOOKS = {"name": "Paper book", "quantity": 2, "unit_price": 12.5, "sku": "B-1", "hs_code": "490199"}
SHIRT = {"name": "Cotton shirt", "quantity": 1, "unit_price": 25, "sku": "S-1", "hs_code": "610510"}


@pytest.fixture
def ups_credential(tenant):
    fields = {"client_id": "ups-client", "client_secret": "test-secret", "account_number": "A1B2C3"}
    return storage.save_credential(
        tenant=tenant, mode="test", carrier="ups", environment="sandbox", fields=fields | {"webhook_token": TOKEN}
    )


@pytest.fixture
def abroad(order):
    """An order of two parcels from the shop in Brooklyn to Berlin."""
    return {
        "carrier": "UPS",
        "order_id": f"ORDER-{uuid.uuid4().hex[:12]}",
        "origin": order["origin"],
        "destination": BERLIN,
        "packages": [BOX | {"description": "Paper books"}, BOX],
        "items": [BOOKS | {"origin_country": "US"}, SHIRT | {"origin_country": "PT"}],
        "currency": "USD",
        "service_type": "65",
        "label_format": "GIF",
        "customs": {"incoterm": "DAP", "invoice_number": "INV-1"},
        "options": {"carrier": {"eu_de_minimis": True}},
    }


def buy(api, order):
    answer = api.post("/api/v1/labels", order)
    assert answer.status_code == 200, answer.content
    return answer.json()


def advance(sandbox, number, to):
    path = f"/_sandbox/ups/shipments/{number}/advance"
    return sandbox.control("POST", path, {"to": to, "whole_shipment": True})


def purchases(sandbox):
    return sandbox.calls(carrier="ups", operation="create_label")


def test_two_parcels_abroad_are_bought_with_labels_and_an_invoice(api, abroad, sandbox):
    label = buy(api, abroad)
    shipment = Shipment.objects.get(id=label["shipment_id"])
    kinds = set(shipment.documents.values_list("kind", "parcel"))
    assert {("label", 1), ("label", 2), ("invoice", 0)} <= kinds
    parcels = dict(shipment.parcels.values_list("number", "tracking_number"))
    assert parcels[1] == label["tracking_number"] != parcels[2]
    (call,) = purchases(sandbox)
    asked = call["body"]["ShipmentRequest"]["Shipment"]
    units = {parcel["PackageWeight"]["UnitOfMeasurement"]["Code"] for parcel in asked["Package"]}
    units |= {parcel["Dimensions"]["UnitOfMeasurement"]["Code"] for parcel in asked["Package"]}
    assert units == {"LBS", "IN"}
    assert asked["ShipmentServiceOptions"]["InternationalForms"]["InvoiceNumber"] == "INV-1"


@pytest.mark.parametrize(
    ("changes", "status", "field", "sent"),
    [
        ({"items": [BOOKS]}, 400, "items[0].origin_country", 0),
        ({"label_format": "PNG"}, 400, "label_format", 0),
        ({"service_type": "03"}, 422, "service_type", 1),
        ({"packages": [BOX | {"length_cm": 300}]}, 400, "packages", 1),
    ],
)
def test_refusals_name_the_field_and_leave_the_order_free(api, abroad, sandbox, changes, status, field, sent):
    refused = api.post("/api/v1/labels", abroad | changes)
    assert (refused.status_code, list(refused.json()["details"])) == (status, [field])
    assert len(purchases(sandbox)) == sent
    assert buy(api, abroad)


@pytest.mark.parametrize("kind", ["hang_after", "truncated"])
def test_lost_label_is_found_by_its_reference_and_bought_once(api, abroad, sandbox, short_timeout, kind):
    fault(sandbox, kind, carrier="ups")
    pending = api.post("/api/v1/labels", abroad)
    assert pending.status_code == 202
    assert reconcile_now() == {"booked": 1}
    shipment = Shipment.objects.get()
    assert len(purchases(sandbox)) == 1
    assert set(shipment.documents.filter(kind="label").values_list("parcel", flat=True)) == {1, 2}
    file = api.get(f"/api/v1/shipments/{shipment.id}/label")
    assert len(PdfReader(BytesIO(b"".join(file))).pages) == 2
    again = api.post("/api/v1/labels", abroad)
    assert (again.status_code, len(purchases(sandbox))) == (409, 1)


@pytest.mark.parametrize(("label_format", "start"), [("PDF", b"%PDF"), ("GIF", b"GIF8"), ("ZPL", b"^XA")])
def test_label_has_the_format_that_was_ordered(api, admin_client, abroad, label_format, start):
    label = buy(api, abroad | {"packages": [BOX], "label_format": label_format})
    assert label["label_format"] == label_format
    assert base64.b64decode(label["label_data"]).startswith(start)
    page = admin_client.get(f"/admin/shipping/shipment/{label['shipment_id']}/change/")
    assert f"Open the {label_format} label" in page.content.decode()


def test_carrier_voids_a_shipment_until_it_picks_it_up(api, abroad, sandbox):
    label = buy(api, abroad)
    cancelled = api.post(f"/api/v1/shipments/{label['shipment_id']}/cancel", {"reason": "Changed mind"})
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "success")
    assert Shipment.objects.get().status == "cancelled"
    moving = buy(api, abroad | {"order_id": "ANOTHER"})
    advance(sandbox, moving["tracking_number"], "picked_up")
    refused = api.post(f"/api/v1/shipments/{moving['shipment_id']}/cancel", {"reason": "late"})
    assert (refused.status_code, refused.json()["error"]) == (409, "cannot_cancel")


def test_pushed_events_and_tracking_store_the_same_scans(api, abroad, sandbox, ups_credential, live_server, settings):
    settings.CARRIER_CALLBACK_URL = live_server.url
    portal = {"webhook_url": ups_credential.webhook_url, "webhook_secret": TOKEN}
    sandbox.control("PUT", "/_sandbox/accounts/ups-client", portal)
    opening.open_adapter(ups_credential).subscribe((), ups_credential.webhook_url, TOKEN)
    label = buy(api, abroad)
    advance(sandbox, label["tracking_number"], "delivered")
    shipment = Shipment.objects.get()
    give_up = time.monotonic() + 20
    while time.monotonic() < give_up and shipment.checkpoints.filter(status="delivered").count() < 2:
        pass
    shipment.refresh_from_db()
    assert shipment.status == "delivered"
    api.post("/api/v1/tracking", {"carrier": "ups", "tracking_number": label["tracking_number"]})
    delivered = shipment.checkpoints.filter(status="delivered").values_list("parcel", flat=True)
    assert sorted(delivered) == sorted(parcel["tracking_number"] for parcel in label["parcels"])
