"""Staff see the parcels and documents of a shipment on its page, and open each file if they may."""

import pytest
from django.core.files.base import ContentFile
from django.urls import reverse

from apikeys.models import User
from shipping.models import BookingState, Document, Parcel, Shipment

pytestmark = pytest.mark.django_db
LIST = "/admin/shipping/document/"


@pytest.fixture
def shipment(credential):
    row = Shipment.objects.create(
        merchant_id=credential.merchant_id,
        mode="test",
        carrier="pickit",
        credential=credential,
        booking_state=BookingState.BOOKED,
        tracking_number="PKT-LEAD",
        reference="WBREF",
    )
    for number in (1, 2):
        Parcel.objects.create(shipment=row, number=number, weight_kg=1, tracking_number=f"PKT-BOX-{number}")
    for name, fields in {"label": {"parcel": 2}, "invoice": {"by_merchant": True, "format": "HTML"}}.items():
        file = ContentFile(b"<script>" if name == "invoice" else b"%PDF-1.4", "file")
        Document.objects.create(shipment=row, kind=name, file=file, **{"format": "PDF"} | fields)
    Document.objects.create(shipment=row, kind="cn23", format="PDF")
    return row


def test_page_shows_parcels_and_documents_and_opens_each(admin_client, client, shipment):
    page = admin_client.get(reverse("admin:shipping_shipment_change", args=[shipment.pk])).content.decode()
    assert "PKT-BOX-1" in page
    assert "PKT-BOX-2" in page
    assert "waiting for the carrier&#x27;s cn23" in page
    client.force_login(User.objects.create(username="staff", is_staff=True))
    for row in Document.objects.exclude(file=""):
        url = reverse("admin:shipping_document_file", args=[row.pk])
        assert url in page
        response = admin_client.get(url)
        assert b"".join(response.streaming_content) == row.file.read()
        assert response["Content-Disposition"].startswith("attachment") == (row.format == "HTML")
        assert response["Content-Security-Policy"] == "sandbox"
        assert client.get(url).status_code == 403
    missing = reverse("admin:shipping_document_file", args=[Document.objects.get(file="").pk])
    assert "has not provided this file" in admin_client.get(missing, follow=True).content.decode()


def test_documents_are_found_by_the_number_of_shipment_or_parcel(admin_client, shipment):
    for number in ("PKT-LEAD", "pkt-box-2", str(shipment.pk)):
        page = admin_client.get(LIST, {"q": number}).content.decode()
        assert page.count("field-kind") == 3, number
    assert admin_client.get(LIST, {"q": "PKT-OTHER"}).content.decode().count("field-kind") == 0
