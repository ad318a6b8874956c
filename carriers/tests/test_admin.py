"""Admin pages of credentials and carrier calls. Entered secrets are never shown."""

import pytest
from django.urls import reverse

from apikeys.db.crypto import Ciphertext
from apikeys.db.tenancy import Tenant
from apikeys.http.errors import ValidationFailed
from apikeys.models import Event
from carriers.credentials import selection
from carriers.models import CarrierCall, Credential, CredentialToken

pytestmark = pytest.mark.django_db
LIST = "/admin/carriers/credential/"
SECRETS = {"pickit__client_id": "client-id-1234", "pickit__client_secret": "canary-one", "pickit__webhook_secret": ""}


def add(client, merchant=None, **changes):
    owner = {"merchant": str(merchant.id) if merchant else "", "mode": "test", "carrier": "pickit", "is_open": "on"}
    return client.post(f"{LIST}add/", owner | SECRETS | changes, follow=True)


def change(client, row, **values):
    form = {
        "is_active": "on",
        "is_open": "on",
        "pickit__client_id": "",
        "pickit__client_secret": "",
        "pickit__webhook_secret": "",
    }
    return client.post(page_of(row), form | values, follow=True)


def page_of(row):
    return reverse("admin:carriers_credential_change", args=[row.pk])


def test_credential_is_created_and_its_secrets_are_not_shown(admin_client, merchant):
    page = add(admin_client, merchant)
    assert page.status_code == 200
    row = Credential.objects.get()
    assert row.merchant == merchant
    assert row.fields == {"client_id": "client-id-1234", "client_secret": "canary-one"}
    assert "canary-one" not in page.content.decode()
    event = Event.objects.get(type="credential.saved")
    assert event.data["changed"] == ["client_id", "client_secret"]
    assert event.data["stored"] == {"before": [], "after": ["client_id", "client_secret"]}


@pytest.mark.django_db
def test_staff_test_the_login_and_rotate_the_secret(admin_client, credential, sandbox):
    sandbox.control("PUT", "/_sandbox/accounts/of-the-staff", {"secret": "canary-one"})
    change(admin_client, credential, pickit__client_id="of-the-staff", pickit__client_secret="canary-one")

    def run(action):
        data = {"action": action, "_selected_action": [str(credential.pk)]}
        return admin_client.post(LIST, data, follow=True).content.decode()

    assert "works (" in run("log_in")
    assert "a new secret is stored" in run("rotate")
    assert Credential.objects.get().fields["client_secret"] != "canary-one"
    assert "works (" in run("log_in")
    sandbox.control("PUT", "/_sandbox/accounts/of-the-staff", {"secret": "another", "previous": []})
    assert "INVALID_CLIENT" in run("log_in")
    assert "refused since" in admin_client.get(f"{LIST}?refused_at__isempty=0").content.decode()
    assert "Credentials with a refused login" in admin_client.get("/admin/").content.decode()


def test_platform_credential_is_created(admin_client, merchant):
    add(admin_client)
    add(admin_client, merchant)
    assert {row.merchant for row in Credential.objects.all()} == {None, merchant}


def test_platform_credential_is_opened_to_merchants_and_closed(admin_client, merchant):
    add(admin_client, is_open="")
    row = Credential.objects.get()
    with pytest.raises(ValidationFailed):
        selection.select_credential(Tenant(merchant.id, "test"), "pickit")
    change(admin_client, row)
    assert selection.select_credential(Tenant(merchant.id, "test"), "pickit") == row
    change(admin_client, row, is_open="")
    with pytest.raises(ValidationFailed):
        selection.select_credential(Tenant(merchant.id, "test"), "pickit")


def test_inactive_credential_stays_inactive_with_new_secrets(admin_client, credential):
    Credential.objects.update(is_active=False)
    change(admin_client, credential, is_active="", pickit__webhook_secret="canary-new")
    row = Credential.objects.get()
    assert (row.is_active, row.fields["webhook_secret"]) == (False, "canary-new")


def test_page_shows_which_fields_are_set_without_their_values(admin_client, credential):
    text = admin_client.get(page_of(credential)).content.decode()
    assert "client_id: •••t-id" in text
    assert "client_secret: set" in text
    assert "test-secret" not in text
    assert "test-client-id" not in text


def test_new_value_keeps_the_others_and_discards_the_token(admin_client, credential):
    row = Credential.objects.get()
    token = CredentialToken.objects.create(credential=row, token="old-token")
    change(admin_client, row, pickit__webhook_secret="canary-new")
    row = Credential.objects.get()
    assert row.fields == {
        "client_id": "test-client-id",
        "client_secret": "test-secret",
        "webhook_secret": "canary-new",
    }
    token.refresh_from_db()
    assert token.token is None


def test_deactivated_credential_keeps_its_secrets(admin_client, credential):
    change(admin_client, credential, is_active="")
    row = Credential.objects.get()
    assert (row.is_active, row.fields) == (False, credential.fields)


def test_new_secrets_with_deactivation_are_saved(admin_client, credential):
    change(admin_client, credential, is_active="", pickit__webhook_secret="canary-new")
    row = Credential.objects.get()
    assert (row.is_active, row.fields["webhook_secret"]) == (False, "canary-new")


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"pickit__client_secret": ""}, "This field is required."),
        ({"pickit__client_id": "x" * 501}, "at most 500 characters"),
        (
            {"carrier": "velocity", "velocity__username": "a", "velocity__password": "canary-3"}
            | {"velocity__authorization_scheme": "canary-4"},
            "One of these is expected: raw, bearer",
        ),
        ({"carrier": "nobody"}, "Select a valid choice"),
        ({"mode": ""}, "This field is required."),
    ],
)
def test_errors_are_shown_without_the_entered_values(admin_client, merchant, changes, error):
    page = add(admin_client, merchant, **({"pickit__webhook_secret": "canary-two"} | changes))
    text = page.content.decode()
    assert error in text
    assert "canary" not in text
    assert not Credential.objects.exists()


def test_second_credential_for_a_carrier_is_refused(admin_client, merchant, credential):
    assert "There is already such a credential" in add(admin_client, merchant).content.decode()
    add(admin_client)
    assert "There is already such a credential" in add(admin_client).content.decode()
    assert Credential.objects.count() == 2


def test_undecryptable_credential_is_shown_and_can_be_repaired(admin_client, credential):
    broken = Ciphertext("v1.gone.AAAA.AAAA")
    Credential.objects.filter(pk=credential.pk).update(fields=broken)
    token = CredentialToken.objects.create(credential=credential, token=broken)
    assert admin_client.get(LIST).status_code == 200
    assert "cannot be decrypted" in admin_client.get(page_of(credential)).content.decode()
    page = change(admin_client, credential, pickit__webhook_secret="new-secret")
    assert page.content.decode().count("This field is required.") == 2
    change(admin_client, credential, pickit__client_id="client-id-1234", pickit__client_secret="new-secret")
    row = Credential.objects.get()
    token.refresh_from_db()
    assert (row.fields, token.token) == ({"client_id": "client-id-1234", "client_secret": "new-secret"}, None)


def test_call_is_found_by_its_shipment(admin_client, merchant):
    owner = {"merchant": merchant, "mode": "test", "carrier": "pickit", "outcome": "timeout", "duration_ms": 1}
    wanted = CarrierCall.objects.create(**owner, operation="track", subject_id=merchant.id)
    CarrierCall.objects.create(**owner, operation="create_label")
    for query in ({"q": str(merchant.id)}, {"q": "track"}, {"subject_id": str(merchant.id)}):
        page = admin_client.get("/admin/carriers/carriercall/", query)
        assert [row.pk for row in page.context["cl"].result_list] == [wanted.pk]
        assert "no answer in time" in page.content.decode()
