"""Each table's admin pages open with a few queries and show no secret; records cannot be changed."""

import json
from datetime import UTC, datetime
from urllib.parse import parse_qsl

import pytest
from django.apps import apps
from django.contrib import admin
from django.core.files.base import ContentFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apikeys.audit import events
from apikeys.audit.events import EventType
from apikeys.keys.format import generate_key
from apikeys.keys.lifecycle import store_key
from apikeys.models import ApiKey, IdempotencyRecord, Invitation, Membership, Store, UsageDay, User
from carriers.credentials import storage
from carriers.models import Breaker, CallBudget, CarrierCall, Credential, CredentialToken, PointAnswer
from shipping.models import (
    BookingState,
    Checkpoint,
    CheckpointReport,
    Document,
    Manifest,
    ManifestFile,
    Orphan,
    Parcel,
    Pickup,
    Quote,
    Shipment,
    StatusCode,
    Warehouse,
    WarehouseRegistration,
)
from tracking.models import IssuedNumber
from webhooks.models import (
    Attempt,
    CarrierSubscription,
    Delivery,
    InboundWebhook,
    UnmatchedNumber,
    WebhookEndpoint,
    Worker,
)

pytestmark = pytest.mark.django_db

OURS = ("apikeys", "tracking", "carriers", "shipping", "webhooks")
MODELS = [model for app in OURS for model in apps.get_app_config(app).get_models()]
READ_ONLY = {
    "Attempt", "Breaker", "CallBudget", "CarrierCall", "CarrierSubscription", "Checkpoint", "CheckpointReport",
    "CredentialToken", "Delivery", "DeliveryTally", "Event", "IdempotencyRecord", "InboundWebhook", "Invitation",
    "IssuedNumber", "Document", "Manifest", "ManifestFile", "Orphan", "Outbox", "Parcel", "Pickup", "PointAnswer",
    "Quote", "ShipmentSearch", "SecurityNotice", "Shipment", "UnitTally", "UnmatchedNumber", "UsageDay", "Worker",
    "Warehouse", "WarehouseRegistration",
}  # fmt: skip
# Staff may change these rows; only the program creates them.
CHANGEABLE = {"StatusCode"}
CANARIES = (
    "canary-client-id",
    "canary-client-secret",
    "canary-webhook-secret",
    "canary-token",
    "canary-digest",
    "Y2FuYXJ5",
)
WHEN = datetime(2024, 1, 15, 10, 30, tzinfo=UTC)
MAX_QUERIES = 12


@pytest.fixture
def admin_user(db):
    """An administrator without a password, because hashing one takes longer than the tests."""
    return User.objects.create(username="admin", is_staff=True, is_superuser=True)


@pytest.fixture(autouse=True)
def _files_in_temporary_directory(settings, tmp_path):
    settings.STORAGES = settings.STORAGES | {
        "default": {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": str(tmp_path)},
        }
    }


def populate(merchant, tenant, number=1):
    """Create a row in each table."""
    owned = {"merchant": merchant, "mode": "test"}
    store = Store.objects.create(merchant=merchant, name=f"Store {number}", code=f"store-{number}")
    user = User.objects.create(username=f"person-{number}", email=f"person-{number}@example.com")
    Membership.objects.create(merchant=merchant, user=user)
    Invitation.objects.create(
        merchant=merchant,
        email=f"new-{number}@example.com",
        role="viewer",
        digest=f"canary-digest-{number}",
        expires_at=WHEN,
    )
    key = store_key(tenant, generate_key("test"), name=f"key {number}")
    UsageDay.objects.create(**owned, kind="key", subject_id=key.id, day=WHEN.date(), last_used_at=WHEN)
    events.record(EventType("api_key.misused", security=True), tenant=tenant, subject_id=key.id)
    IdempotencyRecord.objects.create(key=f"idem-{number}", fingerprint="f", lease_until=WHEN, **owned)
    credential = Credential.objects.filter(**owned).first() or storage.save_credential(
        tenant=tenant,
        mode="test",
        carrier="pickit",
        environment="sandbox",
        fields={
            "client_id": "canary-client-id",
            "client_secret": "canary-client-secret",
            "webhook_secret": "canary-webhook-secret",
        },
    )
    CredentialToken.objects.get_or_create(credential=credential, defaults={"token": "canary-token", "expires_at": WHEN})
    shipment = Shipment.objects.create(
        **owned,
        carrier="pickit",
        credential=credential,
        store=store,
        booking_state=BookingState.BOOKED,
        status="in_transit",
        tracking_number=f"PKT-{number:010}",
        reference=f"WB-REF-{number}",
        carrier_shipment_id=f"SHP-{number}",
        order_id=f"ORDER-{number}",
        first_at=WHEN,
        delivered_at=WHEN,
        customer_reference=f"CUST-{number}",
        recipient="Jane Smith",
        origin={"company": "My Store", "street": "456 Warehouse Ave", "city": "Brooklyn", "country": "US"},
        destination={"contact_name": "Jane Smith", "street": "789 Customer St", "country": "US"},
    )
    Parcel.objects.create(shipment=shipment, number=1, weight_kg="2.500", length_cm=30, width_cm=20, height_cm=15)
    label = Document(shipment=shipment, kind="label", format="PDF", size="4x6")
    label.file.save("label.pdf", ContentFile(b"%PDF-1.4 label"))
    Orphan.objects.create(**owned, shipment=shipment, tracking_number=f"PKT-LATE-{number}")
    scan = Checkpoint.objects.create(
        **owned, shipment=shipment, source="carrier", status="in_transit", code="transit", occurred_at=WHEN
    )
    CheckpointReport.objects.create(checkpoint=scan, reported_by="poll", location="Brooklyn")
    StatusCode.objects.create(carrier="pickit", code=f"teleported_{number}", example="Teleported", status="in_transit")
    Quote.objects.create(
        **owned, carrier="pickit", credential=credential, service_type="standard", total_price=9, currency="USD"
    )
    pickup = Pickup.objects.create(
        **owned,
        carrier="pickit",
        credential=credential,
        carrier_pickup_id=f"PCK-{number}",
        confirmation_number=f"CONF-{number}",
        scheduled_date=WHEN,
        packages_count=1,
    )
    pickup.shipments.add(shipment)
    manifest = Manifest.objects.create(**owned, carrier="pickit", credential=credential, day=WHEN.date())
    manifest.shipments.add(shipment)
    ManifestFile.objects.create(manifest=manifest, format="PDF", file=ContentFile(b"%PDF-1.4", "manifest.pdf"))
    Breaker.objects.create(
        credential=credential, operation=f"quote_{number}", failures=5, opened_at=WHEN, retry_at=WHEN
    )
    CallBudget.objects.create(credential=credential, endpoint=f"quote_{number}", full_at=1)
    PointAnswer.objects.create(
        credential=credential, key=f"{number}", operation="pickup_point", question={}, answer=[], fetched_at=WHEN
    )
    warehouse = Warehouse.objects.create(**owned, name=f"Warehouse {number}", address={"city": "Brooklyn"})
    known = {"state": "registered", "carrier_warehouse_id": f"WH{number}"}
    WarehouseRegistration.objects.create(warehouse=warehouse, credential=credential, **known)
    CarrierCall.objects.create(
        **owned,
        credential=credential,
        carrier="pickit",
        operation="create_label",
        subject_id=shipment.id,
        method="POST",
        url="http://127.0.0.1/v2/shipments",
        request_body=json.dumps({"client_secret": "***"}),
        outcome="ok",
        status=200,
        duration_ms=12,
    )
    event = events.record(
        EventType("shipment.booked", public=True), tenant=tenant, subject_id=shipment.id, data={"n": number}
    )
    endpoint = WebhookEndpoint.objects.create(
        **owned, url=f"https://shop.example.com/hook/{number}", secret="whsec_Y2FuYXJ5LWNhbmFyeS1jYW5hcnktY2FuYXJ5"
    )
    delivery = Delivery.objects.create(
        **owned, endpoint=endpoint, event=event, subject_id=shipment.id, body=b'{"type": "shipment.booked"}'
    )
    Attempt.objects.create(delivery=delivery, number=1, outcome="http_error", status=500, duration_ms=3)
    inbound = InboundWebhook.objects.create(
        carrier="pickit", credential=credential, digest=f"digest-{number}", body=b"{not json", state="failed"
    )
    UnmatchedNumber.objects.create(inbound=inbound, credential=credential, tracking_number=f"PKT-UNKNOWN-{number}")
    CarrierSubscription.objects.create(credential=credential, shipment=shipment, number=f"SUBSCRIBED-{number}")
    Worker.objects.create(
        name=f"host:{number}",
        started_at=WHEN,
        seen_at=WHEN,
        lanes={"fan-out": {"queue": "notifications", "runs": number}},
    )
    IssuedNumber.objects.create(
        number=f"US{number:014}",
        fingerprint=f"fingerprint-{number}",
        secret_version="1",
        correlation_id="c",
        customer_id=merchant.id,
    )
    return {"shipment": shipment, "pickup": pickup, "key": key, "credential": credential, "delivery": delivery}


@pytest.fixture
def rows(merchant, tenant):
    return populate(merchant, tenant)


def list_page(model, *rest):
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{rest[0] if rest else 'changelist'}")


def row_page(row, action="change"):
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_{action}", args=[row.pk])


def refuse_secrets(response):
    text = response.content.decode()
    shown = [canary for canary in CANARIES if canary in text]
    shown += [row.pk for row in ApiKey.objects.all() if row.digest in text or row.hash in text]
    assert not shown


@pytest.mark.once
def test_list_and_row_page_open_and_show_no_secret(admin_client, rows):
    for model in MODELS:
        page = admin_client.get(list_page(model))
        assert page.status_code == 200, model
        row = model.objects.first()
        assert row_page(row) in page.content.decode()
        refuse_secrets(page)
        page = admin_client.get(row_page(row))
        assert page.status_code == 200, model
        refuse_secrets(page)
        refuse_secrets(admin_client.get(row_page(row, "history")))


@pytest.mark.once
def test_list_takes_no_query_per_row(admin_client, rows, merchant, tenant):
    def queries(model):
        with CaptureQueriesContext(connection) as captured:
            assert admin_client.get(list_page(model)).status_code == 200, model
        return len(captured)

    with_few = {}
    for model in MODELS:
        queries(model)
        with_few[model] = queries(model)
    for number in range(2, 6):
        populate(merchant, tenant, number)
    for model in MODELS:
        assert queries(model) <= with_few[model] <= MAX_QUERIES, model


@pytest.fixture
def change_list(rf, admin_user):
    """Return a function that runs the queries of a list without rendering its page."""

    def query(model, **parameters):
        request = rf.get("/", parameters)
        request.user = admin_user
        found = admin.site._registry[model].get_changelist_instance(request)
        return found, list(found.result_list)

    return query


@pytest.mark.parametrize("app", OURS)
def test_list_can_be_searched(change_list, rows, merchant, app):
    for model in apps.get_app_config(app).get_models():
        registered = admin.site._registry[model]
        assert registered.search_fields, model
        assert registered.show_full_result_count is False, model
        for text in ("nothing here", "007", 'a "quoted text', str(merchant.id)):
            change_list(model, q=text)
        _, found = change_list(model, q=str(model.objects.first().pk))
        assert [row.pk for row in found] == [model.objects.first().pk], model


@pytest.mark.parametrize("app", OURS)
def test_list_can_be_filtered(change_list, rows, app):
    for model in apps.get_app_config(app).get_models():
        assert admin.site._registry[model].list_filter or app == "tracking", model
        every_list, _ = change_list(model)
        for chosen in every_list.filter_specs:
            for choice in chosen.choices(every_list):
                change_list(model, **dict(parse_qsl(choice["query_string"].lstrip("?"))))


@pytest.mark.once
def test_record_cannot_be_changed(admin_client, rows):
    for model in [model for model in MODELS if model.__name__ in READ_ONLY]:
        row = model.objects.first()
        before = model.objects.filter(pk=row.pk).values().get()
        assert admin_client.get(list_page(model, "add")).status_code == 403, model
        assert admin_client.post(list_page(model, "add"), {}).status_code == 403, model
        assert admin_client.post(row_page(row), {"mode": "live", "state": "done"}).status_code == 403, model
        assert admin_client.post(row_page(row, "delete"), {"post": "yes"}).status_code == 403, model
        action = {"action": "delete_selected", "_selected_action": [str(row.pk)], "post": "yes"}
        admin_client.post(list_page(model), action)
        assert model.objects.filter(pk=row.pk).values().get() == before, model


@pytest.mark.once
def test_rows_with_history_are_not_deleted(admin_client, rows):
    for model in [model for model in MODELS if model.__name__ not in ("User", "Membership")]:
        path = row_page(model.objects.first(), "delete")
        assert admin_client.post(path, {"post": "yes"}).status_code == 403, model


@pytest.mark.once
def test_rows_created_by_the_program_cannot_be_added(admin_client):
    for model in [model for model in MODELS if model.__name__ in CHANGEABLE]:
        assert admin_client.get(list_page(model, "add")).status_code == 403, model
        assert admin_client.post(list_page(model, "add"), {}).status_code == 403, model


@pytest.mark.once
def test_other_rows_have_a_form_to_add_them(admin_client):
    for model in [model for model in MODELS if model.__name__ not in READ_ONLY | CHANGEABLE]:
        page = admin_client.get(list_page(model, "add"))
        assert page.status_code == 200, model
        assert "secret_state" not in page.content.decode(), model


@pytest.mark.once
def test_pages_require_permissions(client, rows):
    client.force_login(User.objects.create(username="staff", is_staff=True))
    for model in MODELS:
        assert client.get(list_page(model)).status_code == 403, model
    page = client.get(reverse("admin:index"))
    assert page.status_code == 200
    assert "Needs attention" not in page.content.decode()


@pytest.mark.once
def test_first_page_lists_what_needs_review(admin_client, rows, tenant):
    Shipment.objects.filter(pk=rows["shipment"].pk).update(booking_state=BookingState.NEEDS_REVIEW)
    Delivery.objects.update(state="dead")
    page = admin_client.get(reverse("admin:index"))
    monitored = {watch["text"].split()[0]: watch for watch in page.context["monitored"]}
    listed = {(watch["text"], watch["count"], watch["url"]) for watch in page.context["monitored"]}
    assert sum(count for _text, count, _url in listed) == 4  # the shipment, the orphan, the webhook, the delivery
    assert monitored["Carriers'"]["count"] == monitored["Webhooks"]["count"] == 1
    for _text, count, url in listed:
        assert len(admin_client.get(url).context["cl"].result_list) == count


@pytest.mark.once
def test_operator_with_view_permissions_cannot_change_rows(client, rows):
    from_apps = [f"{model._meta.app_label}.view_{model._meta.model_name}" for model in MODELS]
    client.force_login(viewer(from_apps))
    for model in MODELS:
        row = model.objects.first()
        page = client.get(row_page(row))
        assert page.status_code == 200, model
        refuse_secrets(page)
        assert client.post(row_page(row), {}).status_code == 403, model


def viewer(names):
    """Create a staff member with these permissions."""
    from_names = [name.split(".") for name in names]
    user = User.objects.create(username="viewer", is_staff=True)
    found = apps.get_model("auth", "Permission").objects.filter(codename__in=[name for _app, name in from_names])
    user.user_permissions.set(found)
    return user
