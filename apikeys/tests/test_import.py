"""Keys of another system are taken over whole or not at all, and none that anybody could guess."""

import secrets
import uuid
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from apikeys.keys.format import generate_key
from apikeys.keys.strength import find_weakness
from apikeys.models import ApiKey, Event, Store
from apikeys.models.scopes import DEFAULT

pytestmark = pytest.mark.django_db
HEADER = "merchant,name,key,mode,scopes,store\n"


@pytest.fixture
def run(tmp_path):
    def one(text, **options):
        file = tmp_path / "keys.csv"
        file.write_text(HEADER + text)
        out = StringIO()
        call_command("import_api_keys", str(file), stdout=out, stderr=StringIO(), **options)
        return out.getvalue()

    return one


@pytest.mark.parametrize(
    "key",
    [
        "test-api-key",
        "your-api-key-here",
        "your-32-byte-encryption-key-here",
        "test-secret",
        "changeme123",
        "password123456789",
        "aaaaaaaaaaaaaaaaaaaaaaaa",
        "abcdefghijklmnopqrstuvwxyz",
        "1234567890123456789012",
        "abcabcabcabcabcabcabc",
        "Sh0rtButRandom",
        "sk_live_4eC39HqLyjWDarjtT1zdp7dc",
        "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
        "AKIAIOSFODNN7EXAMPLE",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.x",
        "https://shop.example.com/?k=8f3a9c",
        "has a blank in 8f3a9c7e",
        "wb_live_" + "x" * 36,
        "",
        "é" * 20,
    ],
)
def test_what_is_no_secret_is_refused(key):
    assert find_weakness(key)


def test_what_is_random_is_taken():
    for _ in range(200):
        for key in (secrets.token_hex(16), secrets.token_urlsafe(24), str(uuid.uuid4()), generate_key("live")):
            assert find_weakness(key) == "", key


def test_imported_keys_open_in_their_own_header_only(run, client, merchant):
    Store.objects.create(merchant=merchant, name="Shop", code="shop")
    first, second = secrets.token_hex(16), secrets.token_hex(16)
    told = run(f"acme,old shop,{first},test,,shop\nacme,reader,{second},test,tracking:read shipments:read,\n")
    assert "2 keys were imported" in told
    assert first not in told
    rows = {row.name: row for row in ApiKey.objects.all()}
    assert rows["old shop"].scopes == sorted(DEFAULT)
    assert rows["old shop"].store.code == "shop"
    assert rows["reader"].scopes == ["shipments:read", "tracking:read"]
    assert client.get("/api/v1/shipments", headers={"X-API-Key": second}).status_code == 200
    assert client.get("/api/v1/shipments", headers={"Authorization": f"Bearer {second}"}).status_code == 401
    assert Event.objects.filter(type="api_key.created").count() == 2


def test_the_same_file_again_changes_nothing(run, merchant):
    line = f"acme,shop,{secrets.token_hex(16)},live,,\n"
    run(line)
    assert "0 keys were imported, 1 existed already" in run(line)
    assert ApiKey.objects.count() == 1


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("acme,shop,test-api-key,live,,", "key: It is a placeholder or a common password"),
        ("nobody,shop,{},live,,", "merchant: there is no 'nobody'"),
        ("acme,shop,{},prod,,", "mode"),
        ("acme,,{},live,,", "name"),
        ("acme,shop,{},live,shipments:buy,", "shipments:buy"),
        ("acme,shop,{},live,,nowhere", "store"),
    ],
)
def test_one_bad_line_and_nothing_is_imported(run, merchant, line, word):
    good, bad = secrets.token_hex(16), secrets.token_hex(16)
    with pytest.raises(CommandError, match=word) as refusal:
        run(f"acme,good,{good},live,,\n{line.format(bad)}\n")
    assert "line 3" in str(refusal.value)
    assert good not in str(refusal.value)
    assert bad not in str(refusal.value)
    assert not ApiKey.objects.exists()


def test_a_key_is_made_on_the_command_line(merchant, client):
    out = StringIO()
    call_command("create_api_key", "acme", name="shop", scope=["shipments:read"], stdout=out)
    key = out.getvalue().strip()
    assert client.get("/api/v1/shipments", headers={"X-API-Key": key}).status_code == 200
    with pytest.raises(CommandError, match="acme"):
        call_command("create_api_key", "nobody", name="shop")
