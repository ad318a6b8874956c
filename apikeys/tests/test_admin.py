"""Keys are made in the admin, shown once, and die there at once."""

from datetime import timedelta

import pytest
from django.db import DatabaseError, transaction
from django.urls import reverse
from django.utils import timezone

from apikeys.audit import events
from apikeys.audit.events import EventType
from apikeys.keys.format import generate_key
from apikeys.keys.lifecycle import store_key
from apikeys.keys.verification import refusal_reason, verify_key
from apikeys.models import ApiKey, Event, Merchant, Store, User

pytestmark = pytest.mark.django_db
LIST = "/admin/apikeys/apikey/"


def opened(key):
    """The row that a key opens now, if any."""
    found = verify_key(key)
    return None if refusal_reason(found, "192.0.2.1") else ApiKey.objects.get(id=found.id)


def add_key(client, merchant, **changes):
    form = {"merchant": str(merchant.id), "mode": "test", "store": "", "name": "shop", "expires_at_0": ""}
    form |= {"scopes": ["shipments:read"], "allowed_ips": "", "per_minute": "", "per_hour": ""}
    return client.post(f"{LIST}add/", form | {"expires_at_1": ""} | changes, follow=True)


def shown_key(page):
    words = page.content.decode().replace("<code>", " ").replace("</code>", " ").split()
    return next((word for word in words if word.startswith(("wb_test_", "wb_live_")) and len(word) == 44), None)


def test_a_new_key_is_shown_once_and_works(admin_client, merchant):
    store = Store.objects.create(merchant=merchant, name="Shop", code="shop")
    page = add_key(admin_client, merchant, store=str(store.id), expires_at_0="2999-01-01", expires_at_1="00:00:00")
    key = shown_key(page)
    row = opened(key)
    assert (row.merchant, row.store, row.mode, row.name, row.expires_at.year) == (merchant, store, "test", "shop", 2999)
    for url in (LIST, reverse("admin:apikeys_apikey_change", args=[row.pk])):
        text = admin_client.get(url).content.decode()
        assert row.prefix in text
        assert key not in text
        assert row.digest not in text
        assert row.hash not in text


def test_a_store_of_another_merchant_is_refused(admin_client, merchant):
    other = Merchant.objects.create(name="Other", slug="other")
    store = Store.objects.create(merchant=other, name="Shop", code="shop")
    page = add_key(admin_client, merchant, store=str(store.id))
    assert "This store belongs to another merchant." in page.content.decode()
    assert not ApiKey.objects.exists()


def test_a_key_is_renamed_and_given_an_end_but_not_moved(admin_client, merchant, api_key):
    other = Merchant.objects.create(name="Other", slug="other")
    row = ApiKey.objects.get()
    form = {"name": "renamed", "expires_at_0": "2999-01-01", "expires_at_1": "00:00:00", "mode": "live"}
    form |= {"scopes": ["shipments:read"], "allowed_ips": "192.0.2.0/24 2001:db8::1", "per_minute": "7"}
    admin_client.post(
        reverse("admin:apikeys_apikey_change", args=[row.pk]), form | {"merchant": str(other.id), "digest": "x"}
    )
    found = opened(api_key)
    assert (found.name, found.expires_at.year, found.merchant, found.mode) == ("renamed", 2999, merchant, "test")
    assert (found.scopes, found.per_minute) == (["shipments:read"], 7)
    assert found.allowed_ips == ["192.0.2.0/24", "2001:db8::1/128"]
    (event,) = Event.objects.filter(type="api_key.changed")
    assert event.data["name"] == {"before": "tests", "after": "renamed"}
    assert event.actor.startswith("staff:")


def test_what_is_no_network_is_refused(admin_client, merchant):
    page = add_key(admin_client, merchant, allowed_ips="192.0.2.0/24, nowhere")
    assert "nowhere is no address or network." in page.content.decode()
    assert not ApiKey.objects.exists()


def test_a_leaked_key_is_told_from_a_revoked_one(admin_client, api_key):
    row = ApiKey.objects.get()
    for action in ("revoke", "revoke_as_leaked", "revoke"):
        admin_client.post(LIST, {"action": action, "_selected_action": [str(row.pk)]})
    assert ApiKey.objects.get().revoked_for == "leaked"
    assert [event.data["reason"] for event in Event.objects.filter(type="api_key.revoked").order_by("id")] == [
        "revoked",
        "leaked",
    ]


def test_what_staff_do_is_on_record_by_name_and_without_values(admin_client, merchant):
    admin_client.post("/admin/apikeys/store/add/", {"merchant": str(merchant.id), "name": "Shop", "code": "shop"})
    store = Store.objects.get()
    form = {"name": "canary-name", "code": "shop", "is_active": "on"}
    admin_client.post(reverse("admin:apikeys_store_change", args=[store.pk]), form)
    added, changed = Event.objects.filter(type="admin.changed").order_by("id")
    assert (added.data["action"], added.data["model"], added.data["ids"]) == ("added", "apikeys.Store", [str(store.pk)])
    assert (changed.data["action"], changed.subject_id) == ("changed", store.pk)
    assert "canary-name" not in str(changed.data)
    assert changed.actor == f"staff:{User.objects.get(username='admin').pk}"
    assert changed.address


def test_a_revoked_key_is_dead_at_once(admin_client, api_key):
    row = ApiKey.objects.get()
    page = admin_client.post(LIST, {"action": "revoke", "_selected_action": [str(row.pk)]}, follow=True)
    assert "1 keys revoked" in page.content.decode()
    assert "revoked" in page.content.decode()
    assert opened(api_key) is None
    before = ApiKey.objects.get().revoked_at
    admin_client.post(LIST, {"action": "revoke", "_selected_action": [str(row.pk)]})
    assert ApiKey.objects.get().revoked_at == before


def test_an_expired_key_is_told_from_a_usable_one(admin_client, tenant):
    row = store_key(tenant, generate_key("test"), name="old")
    assert "usable" in admin_client.get(LIST).content.decode()
    ApiKey.objects.filter(pk=row.pk).update(expires_at=timezone.now() - timedelta(days=1))
    assert "expired" in admin_client.get(LIST).content.decode()


def test_a_merchant_is_made_with_its_people(admin_client):
    user = User.objects.create(username="maria")
    form = {
        "name": "Acme",
        "slug": "acme",
        "plan": "free",
        "language": "es",
        "default_country": "CO",
        "is_active": "on",
        "membership_set-TOTAL_FORMS": "1",
        "membership_set-INITIAL_FORMS": "0",
        "membership_set-0-user": str(user.pk),
        "membership_set-0-role": "owner",
    }
    assert admin_client.post("/admin/apikeys/merchant/add/", form).status_code == 302
    assert list(Merchant.objects.get(slug="acme").members.all()) == [user]


def test_people_are_made_without_an_address(admin_client):
    for name in ("one", "two"):
        form = {"username": name, "email": "", "usable_password": "true"}
        form |= {"password1": "a-long-enough-pass", "password2": "a-long-enough-pass"}
        assert admin_client.post("/admin/apikeys/user/add/", form).status_code == 302
    assert User.objects.filter(email=None, username__in=("one", "two")).count() == 2


def test_an_event_is_found_by_what_it_is_about_and_never_changed(admin_client, tenant, merchant):
    event = events.record(EventType("shipment.booked"), tenant=tenant, subject_id=merchant.id)
    events.record(EventType("pickup.booked"), tenant=tenant)
    for query in ({"q": str(merchant.id)}, {"q": "shipment."}, {"subject_id": str(merchant.id)}):
        page = admin_client.get("/admin/apikeys/event/", query)
        assert [row.pk for row in page.context["cl"].result_list] == [event.pk]
    with pytest.raises(DatabaseError), transaction.atomic():
        Event(pk=event.pk, type="other", visibility="public").save()
