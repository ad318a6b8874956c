"""Staff find shipments by any identifier and see the whole history on one page."""

from datetime import timedelta

import pytest
from django.core.files.base import ContentFile
from django.urls import reverse
from django.utils import timezone

from apikeys.audit import events
from apikeys.models import Merchant, User
from carriers.models import CarrierCall
from shipping.models import BookingState, Checkpoint, Document, Parcel, Pickup, Shipment
from shipping.models.event_types import SHIPMENT_BOOKED

pytestmark = pytest.mark.django_db
LIST = "/admin/shipping/shipment/"


@pytest.fixture(autouse=True)
def _files_in_temporary_directory(settings, tmp_path):
    storage = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": str(tmp_path)}}
    settings.STORAGES = settings.STORAGES | {"default": storage}


@pytest.fixture
def shipment(credential):
    return make(credential)


def make(credential, number="0000000001", **changes):
    values = {
        "booking_state": BookingState.BOOKED,
        "status": "in_transit",
        "tracking_number": f"PKT-{number}",
        "reference": f"WBREF{number}",
        "carrier_shipment_id": f"SHP-{number}",
        "order_id": f"ORDER-{number}",
        "customer_reference": f"CUST-{number}",
        "recipient": "Jane Smith",
        "destination": {"contact_name": "Jane Smith", "street": "789 Customer St", "city": "Manhattan"},
    }
    owner = {"merchant_id": credential.merchant_id, "mode": "test", "carrier": "pickit", "credential": credential}
    return Shipment.objects.create(**owner | values | changes)


def page_of(shipment, action="change"):
    return reverse(f"admin:shipping_shipment_{action}", args=[shipment.pk])


def found(client, text):
    return [row.pk for row in client.get(LIST, {"q": text}).context["cl"].result_list]


@pytest.mark.parametrize(
    "name", ["order_id", "reference", "tracking_number", "carrier_shipment_id", "customer_reference", "recipient", "id"]
)
def test_search_finds_a_shipment_by_each_identifier(admin_client, credential, shipment, name):
    make(credential, "0000000002", recipient="John Doe")
    assert found(admin_client, str(getattr(shipment, name))) == [shipment.pk]
    assert found(admin_client, str(getattr(shipment, name)).lower()) == [shipment.pk]


def test_beginning_of_words_finds_a_shipment(admin_client, shipment):
    assert found(admin_client, "smith jane") == [shipment.pk]
    assert found(admin_client, "ORDER-00") == [shipment.pk]
    assert found(admin_client, "nobody") == []


def test_page_shows_history_calls_and_events(admin_client, shipment, tenant):
    Parcel.objects.create(shipment=shipment, number=1, weight_kg="2.500", length_cm=30, width_cm=20, height_cm=15)
    owner = {"merchant_id": shipment.merchant_id, "mode": "test"}
    Checkpoint.objects.create(
        **owner,
        shipment=shipment,
        source="carrier",
        status="in_transit",
        code="transit",
        location="New York <Hub>",
        occurred_at=timezone.now(),
    )
    CarrierCall.objects.create(
        **owner,
        carrier="pickit",
        operation="create_label",
        subject_id=shipment.pk,
        outcome="timeout",
        duration_ms=30000,
    )
    events.record(SHIPMENT_BOOKED, tenant=tenant, subject_id=shipment.pk, data={"carrier": "Pickit"})
    pickup = Pickup.objects.create(
        **owner,
        carrier="pickit",
        credential=shipment.credential,
        confirmation_number="CONF-1",
        scheduled_date=timezone.now(),
        packages_count=1,
    )
    pickup.shipments.add(shipment)
    text = admin_client.get(page_of(shipment)).content.decode()
    for text_part in ("booked", "In transit", "789 Customer St", "2.5 kg", "30 × 20 × 15 cm", "New York &lt;Hub&gt;"):
        assert text_part in text
    for text_part in ("create_label", "no answer in time", "shipment.booked", "CONF-1", "Deliveries"):
        assert text_part in text


def test_each_section_links_to_its_filtered_list(admin_client, credential, shipment, tenant):
    other = make(credential, "0000000002")
    for row in (shipment, other):
        events.record(SHIPMENT_BOOKED, tenant=tenant, subject_id=row.pk)
        Parcel.objects.create(shipment=row, number=1, weight_kg=1)
    sections = admin_client.get(page_of(shipment)).context["sections"]
    assert [section.title for section in sections] == [
        "Checkpoints",
        "Parcels",
        "Documents",
        "Pickups",
        "Carrier calls",
        "Events",
        "Deliveries",
    ]
    for section in sections:
        listed = admin_client.get(section.more_url)
        assert listed.status_code == 200, section.title
        assert len(listed.context["cl"].result_list) == len(section.rows)


def test_section_shows_the_latest_fifty_rows(admin_client, shipment, tenant):
    for number in range(60):
        events.record(SHIPMENT_BOOKED, tenant=tenant, subject_id=shipment.pk, data={"number": number})
    page = admin_client.get(page_of(shipment))
    section = next(one for one in page.context["sections"] if one.title == "Events")
    assert len(section.rows) == 50
    assert "Only the latest 50 are shown" in page.content.decode()
    assert "number: 59" in page.content.decode()
    assert "number: 9<" not in page.content.decode()


def test_page_takes_no_query_per_row(admin_client, shipment, credential, tenant, django_assert_max_num_queries):
    for number in range(30):
        events.record(SHIPMENT_BOOKED, tenant=tenant, subject_id=shipment.pk, data={"number": number})
        Parcel.objects.create(shipment=shipment, number=number, weight_kg=1)
    with django_assert_max_num_queries(20):
        admin_client.get(page_of(shipment))


def test_page_shows_why_a_booking_failed(admin_client, credential):
    failure = {"error": "carrier_rejected", "message": "Pickit refused.", "carrier_message": "No such <point>"}
    row = make(credential, booking_state=BookingState.FAILED, status="", tracking_number="", failure=failure)
    text = admin_client.get(page_of(row)).content.decode()
    assert "Pickit refused." in text
    assert "No such &lt;point&gt;" in text


def document_of(shipment, kind="label"):
    document = Document(shipment=shipment, kind=kind, format="PDF", size="4x6")
    document.file.save(f"{kind}.pdf", ContentFile(b"%PDF-1.4 " + kind.encode()))
    return document


def test_staff_can_open_the_label(admin_client, shipment):
    document_of(shipment)
    url = page_of(shipment, "label")
    assert url in admin_client.get(page_of(shipment)).content.decode()
    response = admin_client.get(url)
    assert response.status_code == 200
    assert response["Content-Type"] == "application/pdf"
    assert {"private", "no-store"} <= set(response["Cache-Control"].split(", "))
    assert b"".join(response.streaming_content) == b"%PDF-1.4 label"


def test_label_requires_permission(client, shipment):
    document_of(shipment)
    assert client.get(page_of(shipment, "label")).status_code == 302  # to the sign-in page
    client.force_login(User.objects.create(username="staff", is_staff=True))
    assert client.get(page_of(shipment, "label")).status_code == 403


def test_missing_label_file_is_reported(admin_client, shipment):
    label = document_of(shipment)
    label.file.storage.delete(label.file.name)
    page = admin_client.get(page_of(shipment, "label"), follow=True)
    assert page.redirect_chain == [(page_of(shipment), 302)]
    assert "no label file" in page.content.decode()


def test_only_staff_can_open_the_manifest(admin_client, client, shipment):
    document_of(shipment)
    url = page_of(shipment, "manifest")
    assert url not in admin_client.get(page_of(shipment)).content.decode()
    missing = admin_client.get(url, follow=True)
    assert missing.redirect_chain == [(page_of(shipment), 302)]
    assert "This shipment has no manifest." in missing.content.decode()
    document_of(shipment, "manifest")
    assert url in admin_client.get(page_of(shipment)).content.decode()
    own = reverse("admin:shipping_document_file", args=[Document.objects.get(kind="manifest").pk])
    assert own in admin_client.get(reverse("admin:shipping_document_changelist")).content.decode()
    response = admin_client.get(url)
    assert response["Content-Type"] == "application/pdf"
    assert {"private", "no-store"} <= set(response["Cache-Control"].split(", "))
    assert b"".join(response.streaming_content) == b"%PDF-1.4 manifest"
    assert client.get(url).status_code == 302  # to the sign-in page
    client.force_login(User.objects.create(username="staff", is_staff=True))
    assert client.get(url).status_code == 403


def test_manifest_not_yet_fetched_is_shown_as_waiting(admin_client, shipment):
    document_of(shipment)
    Document.objects.create(shipment=shipment, kind="manifest", format="PDF", carrier_url="https://x.example/m.pdf")
    page = admin_client.get(page_of(shipment)).content.decode()
    assert "waiting for the carrier&#x27;s manifest" in page
    assert "Open the PDF label" in page


def look_up(client, *rows):
    return client.post(LIST, {"action": "look_up", "_selected_action": [str(row.pk) for row in rows]}, follow=True)


def test_action_schedules_the_lookup_of_a_pending_booking(admin_client, credential, shipment):
    later = timezone.now() + timedelta(hours=1)
    pending = make(credential, "0000000002", booking_state=BookingState.PENDING, tracking_number="", reconcile_at=later)
    page = look_up(admin_client, pending, shipment)
    assert "The worker looks up 1 bookings now" in page.content.decode()
    pending.refresh_from_db()
    assert pending.reconcile_at <= timezone.now()
    shipment.refresh_from_db()
    assert shipment.reconcile_at is None
    assert not CarrierCall.objects.exists()  # the worker calls the carrier, not the page
    assert "nothing to look up" in look_up(admin_client, shipment).content.decode()


def test_action_fails_a_booking_in_review_and_frees_its_order(admin_client, credential):
    lost = make(credential, booking_state=BookingState.NEEDS_REVIEW, tracking_number="", order_id="ORDER-R")
    data = {"action": "nothing_bought", "_selected_action": [str(lost.pk)]}
    page = admin_client.post(LIST, data, follow=True)
    assert "1 bookings failed" in page.content.decode()
    lost.refresh_from_db()
    assert lost.booking_state == BookingState.FAILED
    make(credential, "0000000003", booking_state=BookingState.PENDING, tracking_number="", order_id="ORDER-R")


def test_action_fails_only_pickups_in_review(admin_client, credential):
    facts = {"merchant": credential.merchant, "mode": "test", "carrier": "pickit", "credential": credential}
    facts |= {"scheduled_date": timezone.now(), "window_start": "10:00", "window_end": "12:00", "packages_count": 1}
    lost = Pickup.objects.create(state=Pickup.State.NEEDS_REVIEW, **facts)
    booked = Pickup.objects.create(state=Pickup.State.SCHEDULED, **facts)
    data = {"action": "nothing_booked", "_selected_action": [str(lost.pk), str(booked.pk)]}
    page = admin_client.post("/admin/shipping/pickup/", data, follow=True)
    assert "1 pickups failed" in page.content.decode()
    assert [Pickup.objects.get(pk=one.pk).state for one in (lost, booked)] == ["failed", "scheduled"]


def test_actions_require_the_change_permission(client, credential):
    pending = make(credential, booking_state=BookingState.PENDING, tracking_number="")
    user = User.objects.create(username="viewer", is_staff=True)
    grant(user, "view_shipment")
    client.force_login(user)
    look_up(client, pending)
    pending.refresh_from_db()
    assert pending.reconcile_at is None


def grant(user, codename):
    field = User._meta.get_field("user_permissions")
    user.user_permissions.set(field.related_model.objects.filter(codename=codename))


def test_list_filters(admin_client, credential, shipment):
    other = Merchant.objects.create(name="Other", slug="other")
    review = make(
        credential, "0000000002", booking_state=BookingState.NEEDS_REVIEW, status="", merchant_id=other.id, mode="live"
    )
    page = admin_client.get(LIST)
    assert "needs review" in page.content.decode()
    for query in (
        {"booking_state__exact": "needs_review"},
        {"merchant": str(other.id)},
        {"mode__exact": "live"},
        {"carrier": "pickit", "merchant": str(other.id)},
    ):
        assert [row.pk for row in admin_client.get(LIST, query).context["cl"].result_list] == [review.pk], query
    assert [row.pk for row in admin_client.get(LIST, {"status__exact": "in_transit"}).context["cl"].result_list] == [
        shipment.pk
    ]
    assert admin_client.get(LIST, {"merchant": "not an id"}).context["cl"].result_count == 0


def test_count_stops_at_the_paginator_limit(admin_client, credential, monkeypatch):
    monkeypatch.setattr("apikeys.admin.base.BoundedPaginator.limit", 2)
    for number in range(4):
        make(credential, f"000000000{number}")
    assert admin_client.get(LIST).context["cl"].result_count == 2


def test_label_not_yet_fetched_is_shown_as_waiting(admin_client, shipment):
    Document.objects.create(shipment=shipment, kind="label", format="PDF", carrier_url="https://x.example/1.pdf")
    assert "waiting for the carrier" in admin_client.get(page_of(shipment)).content.decode()
    page = admin_client.get(page_of(shipment, "label"), follow=True)
    assert "no label file" in page.content.decode()
