"""Rotation of the encryption key while requests are running."""

import threading
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from apikeys.db import crypto, rotation
from carriers.models import Credential

pytestmark = pytest.mark.django_db

OLD = "old:b2xkLWtleS1vbGQta2V5LW9sZC1rZXktb2xkLWtleSE="
NEW = "new:bmV3LWtleS1uZXcta2V5LW5ldy1rZXktbmV3LWtleSE="


@pytest.fixture
def stored(settings, merchant):
    """A function that creates credentials encrypted with the old key, then configures both keys."""

    def make(number):
        settings.ENCRYPTION_KEYS = OLD
        row = Credential(merchant=merchant, mode="live", carrier="pickit", fields={"client_secret": "first"})
        row.save()
        sealed = Credential._meta.get_field("fields")
        carriers = [f"carrier-{n}" for n in range(number)]
        more = [Credential(merchant=merchant, mode="test", carrier=name) for name in carriers]
        for one in more:
            one.fields = sealed.encrypt_for(one.pk, {"client_secret": one.carrier})
        Credential.objects.bulk_create(more)
        settings.ENCRYPTION_KEYS = f"{NEW},{OLD}"
        return more

    return make


def rotate():
    out = StringIO()
    call_command("rotate_encryption_key", stdout=out, stderr=StringIO())
    return out.getvalue()


def test_all_secrets_are_encrypted_again_and_the_old_key_can_be_removed(stored, settings):
    stored(5)
    assert "Every stored secret" in rotate()
    settings.ENCRYPTION_KEYS = NEW
    rows = Credential.objects.filter(mode="test")
    assert {row.fields["client_secret"] for row in rows} == {f"carrier-{n}" for n in range(5)}
    assert not any(rotation.outdated_rows(field).exists() for field in rotation.encrypted_columns())


@pytest.mark.django_db(transaction=True)
def test_no_read_fails_during_the_rotation_of_many_rows(stored, full_size, on_sqlite):
    number = 10_000 if full_size or on_sqlite else 3_000
    ids = [row.pk for row in stored(number)]
    done, failures, reads = threading.Event(), [], []

    def read():
        try:
            # Readers without a pause take most of the processor time; with it they still read each batch several times.
            while not done.wait(0.02):
                for row in Credential.objects.filter(pk__in=ids[:: number // 50]):
                    reads.append(row.fields["client_secret"] == row.carrier)
        except Exception as error:
            failures.append(error)
        finally:
            connection.close()

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    rotate()
    done.set()
    for reader in readers:
        reader.join()
    assert not failures
    assert reads
    assert all(reads)


def test_secret_changed_during_the_rotation_keeps_the_change(stored, monkeypatch):
    (row,) = stored(1)
    plain = crypto.decrypt

    def decrypt_and_change(sealed, *, bound_to):
        value = plain(sealed, bound_to=bound_to)
        if str(row.pk) in bound_to:
            new = Credential._meta.get_field("fields").encrypt_for(row.pk, {"client_secret": "changed"})
            Credential.objects.filter(pk=row.pk).update(fields=new)
        return value

    with monkeypatch.context() as patch:
        patch.setattr(crypto, "decrypt", decrypt_and_change)
        rotate()
    assert Credential.objects.get(pk=row.pk).fields == {"client_secret": "changed"}


def test_undecryptable_secret_is_named_and_the_others_are_rotated(stored):
    broken, good = stored(2)
    raw = str(Credential.objects.values_list("fields", flat=True).get(pk=broken.pk))
    flipped = raw[:-5] + ("A" if raw[-5] != "A" else "B") + raw[-4:]
    Credential.objects.filter(pk=broken.pk).update(fields=crypto.Ciphertext(flipped))
    with pytest.raises(CommandError, match=str(broken.pk)):
        rotate()
    assert str(Credential.objects.values_list("fields", flat=True).get(pk=good.pk)).startswith("v1.new.")


def test_unnamed_key_still_decrypts_after_a_new_one(settings):
    bare = OLD.split(":")[1]
    settings.ENCRYPTION_KEYS = bare
    sealed = crypto.encrypt("secret", bound_to="t:c:1")
    settings.ENCRYPTION_KEYS = f"{NEW.split(':')[1]},{bare}"
    assert crypto.decrypt(sealed, bound_to="t:c:1") == "secret"
