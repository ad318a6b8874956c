"""The platform's credentials from environment variables."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from apikeys.db.tenancy import Tenant
from carriers.credentials import rotation, selection
from carriers.models import Credential

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sandbox", "relaxed_rates")]


def test_platform_credentials_are_stored_from_documented_variables(monkeypatch, merchant):
    output = StringIO()
    monkeypatch.setenv("PICKIT_CLIENT_ID", "platform-id")
    monkeypatch.setenv("PICKIT_CLIENT_SECRET", "platform-secret")
    call_command("save_platform_credentials", stdout=output)
    call_command("save_platform_credentials", stdout=output)
    assert output.getvalue().splitlines() == ["stored: Pickit production, platform", "nothing new"]
    row = Credential.objects.get()
    assert (row.merchant_id, row.mode, row.fields["client_secret"]) == (None, "live", "platform-secret")
    assert selection.select_credential(Tenant(merchant.id, "live"), "pickit").id == row.id
    Credential.objects.update(is_open=False)
    with pytest.raises(Exception, match="not valid"):
        selection.select_credential(Tenant(merchant.id, "live"), "pickit")
    monkeypatch.setenv("VELOCITY_USERNAME", "username-without-password")
    with pytest.raises(CommandError, match=r"not stored\nVELOCITY_PASSWORD: This field is required\."):
        call_command("save_platform_credentials", stdout=output)


def test_variable_does_not_overwrite_a_rotated_secret(monkeypatch, settings, sandbox):
    settings.CARRIER_BASE_URLS |= {("pickit", "production", "main"): f"{sandbox.url}/pickit/v2"}

    def store(**variables):
        for name, value in variables.items():
            monkeypatch.setenv(f"PICKIT_{name}", value)
        call_command("save_platform_credentials", stdout=StringIO())
        return Credential.objects.get().fields

    store(CLIENT_ID="pickit-platform", CLIENT_SECRET="test-secret")
    try:
        latest = [rotation.rotate_secret(Credential.objects.get()).fields["client_secret"] for _ in range(2)][-1]
        assert store()["client_secret"] == latest
        assert store(WEBHOOK_SECRET="new-webhook-secret") == {
            "client_id": "pickit-platform",
            "client_secret": latest,
            "webhook_secret": "new-webhook-secret",
        }
        assert store(CLIENT_SECRET="set-by-staff")["client_secret"] == "set-by-staff"
        assert store(CLIENT_ID="another", CLIENT_SECRET="test-secret")["client_secret"] == "test-secret"
    finally:
        sandbox.control("PUT", "/_sandbox/accounts/pickit-platform", {"secret": "test-secret"})


def test_variables_do_not_reactivate_a_credential(monkeypatch):
    monkeypatch.setenv("PICKIT_CLIENT_ID", "platform-id")
    monkeypatch.setenv("PICKIT_CLIENT_SECRET", "first-secret")
    call_command("save_platform_credentials", stdout=StringIO())
    Credential.objects.update(is_active=False)
    monkeypatch.setenv("PICKIT_CLIENT_SECRET", "second-secret")
    call_command("save_platform_credentials", stdout=StringIO())
    assert not Credential.objects.get().is_active


def test_placeholders_of_the_documents_are_not_stored(monkeypatch):
    monkeypatch.setenv("PICKIT_CLIENT_ID", "your-client-id")
    monkeypatch.setenv("PICKIT_CLIENT_SECRET", "an own secret")
    with pytest.raises(CommandError, match=r"not stored\nPICKIT_CLIENT_ID: This is the placeholder"):
        call_command("save_platform_credentials", stdout=StringIO())
    assert not Credential.objects.exists()
