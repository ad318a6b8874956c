"""Access to the admin: only staff, and outside demo mode only with a second factor."""

import pytest
from axes.models import AccessAttempt
from django.urls import reverse
from django_otp.oath import totp
from django_otp.plugins.otp_totp.models import TOTPDevice
from rest_framework_simplejwt.tokens import RefreshToken

from apikeys.models import Event, User

pytestmark = pytest.mark.django_db
PASSWORD = "a good long passphrase"


@pytest.fixture
def staff(db):
    return User.objects.create_superuser("staff", "staff@example.com", PASSWORD)


@pytest.fixture
def device(staff):
    return TOTPDevice.objects.create(user=staff, name="authenticator", confirmed=True)


def sign_in(client, path="/admin/"):
    form = {"email": "staff", "password": PASSWORD, "next": path}
    return client.post("/portal/sign-in", form)


def enter_code(client, device, path="/admin/"):
    return client.post("/portal/sign-in", {"code": f"{totp(device.bin_key):06}", "next": path})


def test_anonymous_user_is_redirected_to_sign_in_and_back(client, staff):
    page = client.get("/admin/apikeys/event/", follow=True)
    assert page.redirect_chain[-1][0] == "/portal/sign-in?next=%2Fadmin%2Fapikeys%2Fevent%2F"
    assert sign_in(client, "/admin/apikeys/event/")["Location"] == "/admin/apikeys/event/"
    assert client.get("/admin/apikeys/event/").status_code == 200


def test_person_who_is_not_staff_is_refused_without_redirects(client):
    client.force_login(User.objects.create(username="member"))
    for path in ("/admin/", "/admin/login/", "/admin/apikeys/event/"):
        assert client.get(path, follow=True).status_code == 403


def test_second_factor_is_required_outside_demo_mode(client, staff, settings):
    settings.STAFF_TWO_FACTOR = True
    sign_in(client)
    page = client.get("/admin/apikeys/event/", follow=True)
    assert page.redirect_chain[-1][0] == "/portal/two-factor?next=%2Fadmin%2Fapikeys%2Fevent%2F"
    assert page.status_code == 200


def test_second_factor_must_be_used_if_set_up(client, staff, device, settings):
    for settings.STAFF_TWO_FACTOR in (True, False):
        client.logout()
        client.force_login(staff)  # a session without a code
        assert client.get("/admin/").status_code == 302
    client.logout()
    sign_in(client)
    assert client.get("/admin/").status_code == 302
    assert enter_code(client, device)["Location"] == "/admin/"
    assert client.get("/admin/").status_code == 200


def test_sign_in_continues_only_to_admin_paths(client, staff):
    client.force_login(staff)
    for path in ("https://other.example.com/", "//other.example.com/", "/portal/", "/admin/login/", ""):
        assert client.get("/admin/login/", {"next": path})["Location"] == "/admin/", path


def test_pages_of_library_models_show_no_secrets_and_are_read_only(admin_client, staff, device):
    token = str(RefreshToken.for_user(staff))
    AccessAttempt.objects.create(username="shop@example.com", ip_address="192.0.2.1", failures_since_start=5)
    for model, row in (("otp_totp_totpdevice", device), ("axes_accessattempt", AccessAttempt.objects.get())):
        change = reverse(f"admin:{model}_change", args=[row.pk])
        for url in (reverse(f"admin:{model}_changelist"), change):
            page = admin_client.get(url)
            assert page.status_code == 200
            assert device.key not in page.content.decode()
        assert admin_client.get(reverse(f"admin:{model}_add")).status_code == 403
        assert admin_client.post(change, {"confirmed": ""}).status_code == 403
    page = admin_client.get("/admin/")
    assert "token_blacklist" not in page.content.decode()
    assert token not in page.content.decode()


def test_second_factor_and_lock_can_be_deleted(admin_client, device):
    attempt = AccessAttempt.objects.create(username="shop@example.com", ip_address="192.0.2.1", failures_since_start=5)
    for model, row in (("otp_totp_totpdevice", device), ("axes_accessattempt", attempt)):
        assert admin_client.post(reverse(f"admin:{model}_delete", args=[row.pk]), {"post": "yes"}).status_code == 302
    assert not TOTPDevice.objects.exists()
    assert not AccessAttempt.objects.exists()
    deleted = Event.objects.filter(type="admin.changed", data__action="deleted")
    assert sorted(event.data["model"] for event in deleted) == ["axes.AccessAttempt", "otp_totp.TOTPDevice"]
