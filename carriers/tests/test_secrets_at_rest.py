"""Stored secrets are decrypted only in their own row and column, with a configured key, and unchanged."""

import base64

import pytest
from django.core.exceptions import ImproperlyConfigured

from apikeys.db import crypto
from carriers.models import Credential, CredentialToken

pytestmark = pytest.mark.django_db
SECRET = {"client_secret": "canary-secret"}


@pytest.fixture
def credential(merchant):
    return Credential.objects.create(merchant=merchant, mode="test", carrier="pickit", fields=SECRET)


def raw(row, column="fields"):
    return str(Credential.objects.filter(pk=row.pk).values_list(column, flat=True)[0])


def test_stored_text_does_not_contain_the_secret(credential):
    assert "canary" not in raw(credential)
    assert Credential.objects.get(pk=credential.pk).fields == SECRET


def test_ciphertext_of_another_row_is_not_decrypted(credential, merchant):
    other = Credential.objects.create(merchant=merchant, mode="live", carrier="pickit", fields={"client_secret": "x"})
    Credential.objects.filter(pk=other.pk).update(fields=crypto.Ciphertext(raw(credential)))
    with pytest.raises(crypto.Undecryptable, match=str(other.pk)):
        _ = Credential.objects.get(pk=other.pk).fields


def test_ciphertext_of_another_column_is_not_decrypted(credential):
    token = CredentialToken.objects.create(pk=credential.pk, credential=credential)
    CredentialToken.objects.update(token=crypto.Ciphertext(raw(credential)))
    with pytest.raises(crypto.Undecryptable):
        _ = CredentialToken.objects.get(pk=token.pk).token


def test_ciphertext_with_a_changed_character_is_refused(credential):
    sealed, place = raw(credential), Credential._meta.get_field("fields").associated_data(credential.pk)
    for position, letter in enumerate(sealed):
        changed = sealed[:position] + ("A" if letter != "A" else "B") + sealed[position + 1 :]
        if decodes_equally(sealed, changed):
            continue
        with pytest.raises(crypto.Undecryptable):
            crypto.decrypt(changed, bound_to=place)


def decodes_equally(one, other):
    """Return whether two texts decode to the same bytes: the last base64 character may have unused bits."""
    return [crypto._decode(part) for part in one.split(".")[2:]] == [
        crypto._decode(part) for part in other.split(".")[2:]
    ] and one.split(".")[:2] == other.split(".")[:2]


def test_update_needs_an_encrypted_value(credential):
    with pytest.raises(TypeError, match="encrypt_for"):
        Credential.objects.filter(pk=credential.pk).update(fields=SECRET)


def test_first_key_encrypts_and_all_keys_decrypt(settings):
    old = "old:b2xkLWtleS1vbGQta2V5LW9sZC1rZXktb2xkLWtleSE="
    settings.ENCRYPTION_KEYS = old
    sealed = crypto.encrypt("secret", bound_to="t:c:1")
    settings.ENCRYPTION_KEYS = "new:bmV3LWtleS1uZXcta2V5LW5ldy1rZXktbmV3LWtleSE=," + old
    assert crypto.decrypt(sealed, bound_to="t:c:1") == "secret"
    assert crypto.encrypt("secret", bound_to="t:c:1").startswith("v1.new.")
    settings.ENCRYPTION_KEYS = settings.ENCRYPTION_KEYS.split(",")[0]
    with pytest.raises(crypto.Undecryptable):
        crypto.decrypt(sealed, bound_to="t:c:1")


@pytest.mark.parametrize("bad", ["k:short", "k:####", "", ",", "ab" * 31, "k:" + "x" * 64, "k k:" + "ab" * 32])
def test_invalid_key_names_the_setting(settings, bad):
    settings.ENCRYPTION_KEYS = bad
    with pytest.raises(ImproperlyConfigured, match="ENCRYPTION_KEYS"):
        crypto.encrypt("secret", bound_to="t:c:1")


def test_documented_forms_of_a_key_are_accepted_alone_and_in_a_list(settings):
    key = bytes(range(220, 252))  # its base64 has "+" or "/"
    standard, fernet = base64.b64encode(key).decode(), base64.urlsafe_b64encode(key).decode()
    assert "-" in fernet or "_" in fernet
    characters = "your own, 32 characters: a-b_c/d"
    settings.ENCRYPTION_KEYS = characters
    sealed_by_characters = crypto.encrypt("secret", bound_to="t:c:1")
    assert crypto.decrypt(sealed_by_characters, bound_to="t:c:1") == "secret"
    settings.ENCRYPTION_KEYS = standard
    sealed = crypto.encrypt("secret", bound_to="t:c:1")
    for form in (standard, fernet, fernet.rstrip("="), key.hex(), key.hex().upper(), f" {key.hex()} ,"):
        settings.ENCRYPTION_KEYS = form
        assert crypto.decrypt(sealed, bound_to="t:c:1") == "secret", form
        settings.ENCRYPTION_KEYS = f"new:{'ab' * 32},{form}"
        assert crypto.decrypt(sealed, bound_to="t:c:1") == "secret", form
        settings.ENCRYPTION_KEYS = f"old:{form}, characters:{characters.replace(',', ';')}"
        assert crypto.encrypt("secret", bound_to="t:c:1").startswith("v1.old.")


def test_unchanged_secret_is_not_encrypted_again(credential):
    before = raw(credential)
    row = Credential.objects.get(pk=credential.pk)
    row.is_active = False
    row.save()
    assert raw(credential) == before
