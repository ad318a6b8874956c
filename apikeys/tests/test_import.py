"""Import of API keys of other systems, and creation on the command line."""

import secrets
import uuid
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from apikeys.keys import lifecycle
from apikeys.keys.format import generate_key
from apikeys.keys.strength import find_weakness
from apikeys.keys.verification import verify_key
from apikeys.models import ApiKey, Event, Store
from apikeys.models.scopes import AUDIT_EXPORT, DEFAULT

pytestmark = pytest.mark.django_db
HEADER = "merchant,name,key,mode,scopes,store\n"


@pytest.fixture
def run(tmp_path):
    def import_lines(text, **options):
        file = tmp_path / "keys.csv"
        file.write_bytes(text if isinstance(text, bytes) else (HEADER + text).encode())
        out = StringIO()
        call_command("import_api_keys", str(file), stdout=out, stderr=StringIO(), **options)
        return out.getvalue()

    return import_lines


def test_weak_keys_are_refused():
    for key in (
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
    ):
        assert find_weakness(key), key


def test_random_keys_are_accepted():
    for _ in range(200):
        for key in (secrets.token_hex(16), secrets.token_urlsafe(24), str(uuid.uuid4()), generate_key("live")):
            assert find_weakness(key) == "", key
    assert find_weakness("372233457287352027505606874685a5") == ""  # random, with one letter that is also a word


def test_imported_keys_work_only_in_the_key_header(run, client, merchant):
    Store.objects.create(merchant=merchant, name="Shop", code="shop")
    first, second = secrets.token_hex(16), secrets.token_hex(16)
    output = run(f"acme,old shop,{first},test,,shop\nacme,reader,{second},test,tracking:read shipments:read,\n")
    assert "2 keys were imported" in output
    assert first not in output
    rows = {row.name: row for row in ApiKey.objects.all()}
    assert rows["old shop"].scopes == sorted(DEFAULT)
    assert rows["old shop"].store.code == "shop"
    assert rows["reader"].scopes == ["shipments:read", "tracking:read"]
    assert client.get("/api/v1/shipments", headers={"X-API-Key": second}).status_code == 200
    assert client.get("/api/v1/shipments", headers={"Authorization": f"Bearer {second}"}).status_code == 401
    assert Event.objects.filter(type="api_key.created").count() == 2


def test_importing_the_same_file_again_changes_nothing(run, merchant):
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
        ("acme,shop,'{},live,,", "key: It starts with the apostrophe"),
        ("acme,shop,9.26129E+21,live,,", "key: .*exponent"),
        ("acme,shop, Inc,{},live,,shop", "row: It has a cell without a column"),
        ('acme,shop,"{}"x,live,,', "row: Its quotes"),
        ("acme,shop,{}", "mode: The row has only 3 of 6 cells"),
    ],
)
def test_invalid_line_prevents_the_whole_import(run, merchant, line, word):
    good, bad = secrets.token_hex(16), secrets.token_hex(16)
    with pytest.raises(CommandError, match=word) as refusal:
        run(f"acme,good,{good},live,,\n{line.format(bad)}\n")
    assert "row 3" in str(refusal.value)
    assert good not in str(refusal.value)
    assert bad not in str(refusal.value)
    assert not ApiKey.objects.exists()


def test_file_of_a_spreadsheet_is_imported(run, merchant):
    Store.objects.create(merchant=merchant, name="Shop", code="007")
    keys = [secrets.token_hex(16) for _ in range(2)]
    text = (
        "sep=;\r\nMerchant;Name;Key;Mode;Scopes;Store;Note\r\n"
        f'acme;Niños;"=""{keys[0]}""";Test;"tracking:read, shipments:read";"=""007""";x\r\n'
        f"acme;b;{keys[1]};LIVE\r\n;;;;;;\r\n"
    )
    assert "2 keys can be imported" in run(text.encode("utf-16"), check=True)
    assert "2 keys were imported" in run(text.encode("cp1252"), encoding="windows-1252")
    first, second = (ApiKey.objects.get(name=name) for name in ("Niños", "b"))
    assert (first.name, first.scopes, first.store.code) == ("Niños", ["shipments:read", "tracking:read"], "007")
    assert (second.name, second.mode, second.store) == ("b", "live", None)


def test_command_creates_a_key(merchant, client):
    out = StringIO()
    call_command("create_api_key", "acme", name="shop", scope=["shipments:read"], stdout=out)
    key = out.getvalue().strip()
    assert client.get("/api/v1/shipments", headers={"X-API-Key": key}).status_code == 200
    with pytest.raises(CommandError, match="acme"):
        call_command("create_api_key", "nobody", name="shop")


def test_slow_hashes_are_computed_before_the_transaction(run, merchant, monkeypatch):
    """Otherwise the import of many keys blocks other writers for minutes."""
    depth, hash_key, depths = len(connection.savepoint_ids), lifecycle.hash_key, []

    def observed(key):
        depths.append(len(connection.savepoint_ids))
        return hash_key(key)

    monkeypatch.setattr(lifecycle, "hash_key", observed)
    keys = [secrets.token_hex(16) for _ in range(2)]
    assert "2 keys were imported" in run("".join(f"acme,Old shop,{key},live,,\n" for key in keys))
    assert depths == [depth] * 2
    assert all(verify_key(key) for key in keys)


def test_scope_of_the_platform_is_not_imported(run, merchant):
    with pytest.raises(CommandError, match=f"scopes: there is no {AUDIT_EXPORT}"):
        run(f"acme,Old shop,{secrets.token_hex(16)},live,{AUDIT_EXPORT} shipments:read,\n")
