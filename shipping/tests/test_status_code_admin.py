"""Operations map status codes in the admin."""

import pytest
from django.contrib import admin
from django.test import RequestFactory
from django.urls import reverse

from apikeys.models import Event, User
from shipping.checkpoints import status_codes
from shipping.models import StatusCode
from shipping.tests.status_codes import create_shipment as create_shipment
from shipping.tests.status_codes import known as known
from shipping.tests.status_codes import map_code as map_code
from shipping.tests.status_codes import scan as scan
from shipping.tests.status_codes import velocity as velocity
from shipping.tests.test_admin import grant

pytestmark = pytest.mark.django_db
LIST = "/admin/shipping/statuscode/"


def change_url(row):
    return reverse("admin:shipping_statuscode_change", args=[row.pk])


def read_monitored(client):
    (one,) = [one for one in client.get("/admin/").context["monitored"] if one["text"].startswith("Status codes")]
    return one


def test_front_page_counts_and_links_unmapped_codes(admin_client, credential):
    create_shipment(credential, 1, scan(), scan("beamed", 1))
    map_code(code="beamed")
    found = read_monitored(admin_client)
    assert found["count"] == 1
    rows = admin_client.get(found["url"]).context["cl"].result_list
    assert [row.code for row in rows] == ["teleported"]
    map_code("lost", code="teleported")
    assert read_monitored(admin_client)["count"] == 0


def test_list_shows_the_number_of_unknown_scans(admin_client, credential, velocity, monkeypatch):
    for number in range(3):
        create_shipment(credential, number, scan(), scan(hours=1))
    create_shipment(velocity, 9, scan())
    shown = {row.carrier: row.unknown for row in admin_client.get(LIST).context["cl"].result_list}
    assert shown == {"pickit": 6, "velocity": 1}
    monkeypatch.setattr("shipping.admin.checkpoints._COUNTED", 4)
    assert "4+" in admin_client.get(LIST).content.decode()


def test_page_shows_scans_and_links_to_all(admin_client, credential, velocity):
    create_shipment(credential, 1, scan(), known(1))
    create_shipment(velocity, 2, scan())
    page = admin_client.get(change_url(StatusCode.objects.get(carrier="pickit")))
    (section,) = page.context["sections"]
    assert len(section.rows) == len(admin_client.get(section.more_url).context["cl"].result_list) == 1


def test_mapping_in_the_admin_is_applied_by_the_worker(admin_client, credential):
    shipment = create_shipment(credential, 1, known(), scan(hours=1))
    row = StatusCode.objects.get()
    page = admin_client.post(change_url(row), {"status": "out_for_delivery"}, follow=True)
    assert "get it from the worker" in page.content.decode()
    shipment.refresh_from_db()
    assert shipment.status == "picked_up"
    assert status_codes.apply_mappings() == 1
    shipment.refresh_from_db()
    assert shipment.status == "out_for_delivery"
    event = Event.objects.get(type="status_code.placed")
    assert (event.subject_id, event.merchant_id, event.visibility) == (row.pk, None, "internal")
    facts = {"carrier": "pickit", "code": "teleported", "status": "out_for_delivery", "previous_status": None}
    assert event.data == facts
    assert event.actor == Event.objects.get(type="admin.changed").actor != ""


def test_saving_without_a_change_maps_nothing(admin_client, credential):
    create_shipment(credential, 1, scan())
    map_code("lost")
    before = StatusCode.objects.get()
    page = admin_client.post(change_url(before), {"status": "lost"}, follow=True)
    assert "from the worker" not in page.content.decode()
    assert StatusCode.objects.get().placed_at == before.placed_at
    assert Event.objects.filter(type="status_code.placed").count() == 1


@pytest.mark.parametrize("status", ["unknown", "", "gone"])
def test_only_a_known_status_can_be_chosen(admin_client, credential, status):
    create_shipment(credential, 1, scan())
    page = admin_client.post(change_url(StatusCode.objects.get()), {"status": status})
    assert page.context["adminform"].form.errors["status"]
    assert StatusCode.objects.get().status is None


def test_only_the_status_can_be_changed(admin_client, credential):
    create_shipment(credential, 1, scan())
    row = StatusCode.objects.get()
    form = admin.site._registry[StatusCode].get_form(RequestFactory().get("/"), row)
    assert list(form.base_fields) == ["status"]
    admin_client.post(change_url(row), {"status": "lost", "code": "other", "carrier": "velocity", "example": "x"})
    after = StatusCode.objects.get()
    assert (after.carrier, after.code, after.example) == (row.carrier, row.code, row.example)


def test_view_permission_does_not_allow_mapping(client, credential):
    create_shipment(credential, 1, scan())
    user = User.objects.create(username="viewer", is_staff=True)
    grant(user, "view_statuscode")
    client.force_login(user)
    row = StatusCode.objects.get()
    assert client.get(change_url(row)).status_code == 200
    assert client.post(change_url(row), {"status": "lost"}).status_code == 403
    assert read_monitored(client)["count"] == 1


def test_change_permission_allows_mapping(client, credential):
    create_shipment(credential, 1, scan())
    user = User.objects.create(username="changer", is_staff=True)
    grant(user, "change_statuscode")
    client.force_login(user)
    assert client.post(change_url(StatusCode.objects.get()), {"status": "lost"}).status_code == 302
    assert StatusCode.objects.get().status == "lost"
