"""Tokens that were stored on credentials keep their values in their own rows, so that nobody logs in again."""

from importlib import import_module
from types import SimpleNamespace

import pytest
from django.utils import timezone

from apikeys.db import crypto
from carriers.models import CredentialToken

pytestmark = pytest.mark.django_db
copy_tokens = import_module("carriers.migrations.0014_credential_tokens").copy_tokens


class Former:
    """A row of the credentials as they were: the token is bound to the table, column and row."""

    def __init__(self, row, ciphertext, refusal=None):
        self.id, self.ciphertext, self.refusal = row.id, ciphertext, refusal
        self.token_expires_at = self.token_fetched_at = self.token_used_at = self.login_after = timezone.now()

    @property
    def token(self):
        return self.ciphertext and crypto.decrypt(self.ciphertext, bound_to=f"carriers_credential:token:{self.id}")


def migrate(*rows):
    former = SimpleNamespace(
        filter=lambda _condition: SimpleNamespace(
            defer=lambda _name: SimpleNamespace(iterator=lambda chunk_size: iter(rows))
        )
    )
    models = {"Credential": SimpleNamespace(objects=former), "CredentialToken": CredentialToken}
    copy_tokens(SimpleNamespace(get_model=lambda _app, name: models[name]), None)


def test_stored_token_is_encrypted_for_its_new_row(credential):
    sealed = crypto.encrypt("canary-token", bound_to=f"carriers_credential:token:{credential.id}")
    former = Former(credential, sealed, refusal="E1: no")
    migrate(former)
    row = CredentialToken.objects.get(credential=credential, kind="main")
    assert (row.token, row.expires_at, row.used_at) == ("canary-token", former.token_expires_at, former.token_used_at)
    assert (row.fetched_at, row.refusal, row.login_after) == (former.token_fetched_at, "E1: no", former.login_after)


def test_token_that_cannot_be_decrypted_is_left_out(credential):
    migrate(Former(credential, "v1.gone.AAAA.AAAA"))
    row = CredentialToken.objects.get(credential=credential)
    assert (row.token, row.expires_at) == (None, None)
