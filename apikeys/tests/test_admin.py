"""Admin of API keys, merchants, people and events."""

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


def usable_row(key):
    """Return the row of a key that is valid now, or None."""
    found = verify_key(key)
    return None if refusal_reason(found, "192.0.2.1") else ApiKey.objects.get(id=found.id)


def add_key(client, merchant, **changes):
    form = {"merchant": str(merchant.id), "mode": "test", "store": "", "name": "shop", "expires_at_0": ""}
    form |= {"scopes": ["shipments:read"], "allowed_ips": "", "per_minute": "", "per_hour": ""}
    return client.post(f"{LIST}add/", form | {"expires_at_1": ""} | changes, follow=True)


def key_on(page):
    words = page.content.decode().replace("<code>", " ").replace("</code>", " ").split()
    return next((word for word in words if word.startswith(("wb_test_", "wb_live_")) and len(word) == 44), None)


def test_new_key_is_shown_once_and_is_valid(admin_client, merchant):
    store = Store.objects.create(merchant=merchant, name="Shop", code="shop")
    page = add_key(admin_client, merchant, store=str(store.id), expires_at_0="2999-01-01", expires_at_1="00:00:00")
    key = key_on(page)
    row = usable_row(key)
    assert (row.merchant, row.store, row.mode, row.name, row.expires_at.year) == (merchant, store, "test", "shop", 2999)
    for url in (LIST, reverse("admin:apikeys_apikey_change", args=[row.pk])):
        text = admin_client.get(url).content.decode()
        assert row.prefix in text
        assert key not in text
        assert row.digest not in text
        assert row.hash not in text


def test_store_of_another_merchant_is_refused(admin_client, merchant):
    other = Merchant.objects.create(name="Other", slug="other")
    store = Store.objects.create(merchant=other, name="Shop", code="shop")
    page = add_key(admin_client, merchant, store=str(store.id))
    assert "This store belongs to another merchant." in page.content.decode()
    assert not ApiKey.objects.exists()


def test_key_settings_can_be_changed_but_not_its_merchant_and_mode(admin_client, merchant, api_key):
    other = Merchant.objects.create(name="Other", slug="other")
    row = ApiKey.objects.get()
    form = {"name": "renamed", "expires_at_0": "2999-01-01", "expires_at_1": "00:00:00", "mode": "live"}
    form |= {"scopes": ["shipments:read"], "allowed_ips": "192.0.2.0/24 2001:db8::1", "per_minute": "7"}
    admin_client.post(
        reverse("admin:apikeys_apikey_change", args=[row.pk]), form | {"merchant": str(other.id), "digest": "x"}
    )
    found = usable_row(api_key)
    assert (found.name, found.expires_at.year, found.merchant, found.mode) == ("renamed", 2999, merchant, "test")
    assert (found.scopes, found.per_minute) == (["shipments:read"], 7)
    assert found.allowed_ips == ["192.0.2.0/24", "2001:db8::1/128"]
    (event,) = Event.objects.filter(type="api_key.changed")
    assert event.data["name"] == {"before": "tests", "after": "renamed"}
    assert event.actor.startswith("staff:")


def test_invalid_network_is_refused(admin_client, merchant):
    page = add_key(admin_client, merchant, allowed_ips="192.0.2.0/24, nowhere")
    assert "nowhere is not an address or network." in page.content.decode()
    assert not ApiKey.objects.exists()


def test_revoked_key_can_be_marked_as_leaked(admin_client, api_key):
    row = ApiKey.objects.get()
    for action in ("revoke", "revoke_as_leaked", "revoke"):
        admin_client.post(LIST, {"action": action, "_selected_action": [str(row.pk)]})
    assert ApiKey.objects.get().revoked_for == "leaked"
    assert [event.data["reason"] for event in Event.objects.filter(type="api_key.revoked").order_by("id")] == [
        "revoked",
        "leaked",
    ]


def test_changes_by_staff_are_recorded_without_values(admin_client, merchant):
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


def test_revocation_applies_immediately(admin_client, api_key):
    row = ApiKey.objects.get()
    page = admin_client.post(LIST, {"action": "revoke", "_selected_action": [str(row.pk)]}, follow=True)
    assert "1 keys revoked" in page.content.decode()
    assert "revoked" in page.content.decode()
    assert usable_row(api_key) is None
    before = ApiKey.objects.get().revoked_at
    admin_client.post(LIST, {"action": "revoke", "_selected_action": [str(row.pk)]})
    assert ApiKey.objects.get().revoked_at == before


def test_list_shows_whether_a_key_has_expired(admin_client, tenant):
    row = store_key(tenant, generate_key("test"), name="old")
    assert "usable" in admin_client.get(LIST).content.decode()
    ApiKey.objects.filter(pk=row.pk).update(expires_at=timezone.now() - timedelta(days=1))
    assert "expired" in admin_client.get(LIST).content.decode()


def test_merchant_is_created_with_members(admin_client):
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


def test_people_can_have_no_email(admin_client):
    for name in ("one", "two"):
        form = {"username": name, "email": "", "usable_password": "true"}
        form |= {"password1": "a-long-enough-pass", "password2": "a-long-enough-pass"}
        assert admin_client.post("/admin/apikeys/user/add/", form).status_code == 302
    assert User.objects.filter(email=None, username__in=("one", "two")).count() == 2


def test_event_is_found_by_subject_and_type_and_cannot_change(admin_client, tenant, merchant):
    event = events.record(EventType("shipment.booked"), tenant=tenant, subject_id=merchant.id)
    events.record(EventType("pickup.booked"), tenant=tenant)
    for query in ({"q": str(merchant.id)}, {"q": "shipment."}, {"subject_id": str(merchant.id)}):
        page = admin_client.get("/admin/apikeys/event/", query)
        assert [row.pk for row in page.context["cl"].result_list] == [event.pk]
    with pytest.raises(DatabaseError), transaction.atomic():
        Event(pk=event.pk, type="other", visibility="public").save()
