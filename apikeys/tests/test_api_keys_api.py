"""The keys' endpoints: shown once, narrowed by scope, store, address and time, and never more than the maker has."""

from datetime import timedelta

import pytest
from django.utils import timezone

from apikeys.access import usage
from apikeys.db.tenancy import Tenant
from apikeys.keys.format import generate_key
from apikeys.keys.lifecycle import store_key
from apikeys.keys.verification import verify_key
from apikeys.models import ApiKey, Event, IdempotencyRecord, Merchant, Store
from apikeys.models.scopes import DEFAULT, OF_KEYS

pytestmark = pytest.mark.django_db

URL = "/api/v1/api-keys"


@pytest.fixture
def send(client, api_key):
    """``send(method, path, body, key=…, ip=…)``"""

    def one(method, path="", body=None, key=api_key, ip="192.0.2.1", **headers):
        call = getattr(client, method)
        given = {"X-API-Key": key} | headers
        if method == "get":
            return call(URL + path, body or {}, headers=given, REMOTE_ADDR=ip)
        return call(URL + path, body or {}, content_type="application/json", headers=given, REMOTE_ADDR=ip)

    return one


@pytest.fixture
def made(send):
    """A key made through the API: its JSON."""

    def one(**body):
        response = send("post", "", {"name": "shop"} | body)
        assert response.status_code == 201, response.content
        return response.json()

    return one


def audit(kind):
    return list(Event.objects.filter(type=kind).order_by("id"))


@pytest.mark.parametrize("mount", ["/api/v1", "/api/week3-integrations"])
def test_the_five_documented_endpoints_answer_on_both_mounts(client, api_key, mount):
    def send(method, path, body=None):
        return getattr(client, method)(
            f"{mount}/api-keys{path}", body, content_type="application/json", headers={"X-API-Key": api_key}
        )

    new = send("post", "", {"name": "shop"}).json()
    assert send("put", f"/{new['id']}", {"name": "till"}).json()["name"] == "till"
    again = send("post", f"/{new['id']}/regenerate", {}).json()
    assert again["replaces"] == new["id"]
    assert send("delete", f"/{again['id']}").json()["state"] == "revoked"
    assert {
        row["id"] for row in client.get(f"{mount}/api-keys", headers={"X-API-Key": api_key}).json()["api_keys"]
    } >= {
        new["id"],
        again["id"],
    }


def test_a_new_key_is_shown_once_and_works(send, made):
    new = made(expires_at="2099-01-01T00:00:00Z", allowed_ips=["192.0.2.0/24"])
    assert verify_key(new["key"]).id.hex == new["id"].replace("-", "")
    shown = send("get", f"/{new['id']}").json()
    assert "key" not in shown
    assert (shown["prefix"], shown["mode"], shown["state"]) == (new["key"][:12], "test", "active")
    assert shown["scopes"] == sorted(DEFAULT)
    assert new["key"] not in str(send("get").json())


def test_a_repeated_creation_makes_one_key_and_does_not_show_it_again(send):
    first = send("post", "", {"name": "shop"}, **{"Idempotency-Key": "k"}).json()
    again = send("post", "", {"name": "shop"}, **{"Idempotency-Key": "k"})
    assert again.json() == first | {"key": None}
    assert again["Idempotent-Replayed"] == "true"
    assert ApiKey.objects.filter(name="shop").count() == 1
    assert first["key"].encode() not in bytes(IdempotencyRecord.objects.get().response_body or b"")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": 5}, "name"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["shipments:buy"]}, "scopes[0]"),
        ({"scopes": ["members:manage"]}, "scopes[0]"),
        ({"allowed_ips": ["nowhere"]}, "allowed_ips[0]"),
        ({"expires_at": "2001-01-01T00:00:00Z"}, "expires_at"),
        ({"expires_at": "soon"}, "expires_at"),
        ({"store_id": "01890000-0000-7000-8000-00000000ffff"}, "store_id"),
        ({"per_minute": 0}, "per_minute"),
        ({"per_minute": 5001}, "per_minute"),
        ({"per_hour": 250001}, "per_hour"),
    ],
)
def test_bad_input_is_named_and_makes_no_key(send, body, field):
    before = ApiKey.objects.count()
    response = send("post", "", {"name": "shop"} | body)
    assert response.status_code == 400
    assert [name for name in response.json()["details"] if name.startswith(field.split("[")[0])], response.content
    assert ApiKey.objects.count() == before


def test_a_store_of_another_merchant_is_no_store(send):
    other = Merchant.objects.create(name="Other", slug="other")
    foreign = Store.objects.create(merchant=other, name="Theirs", code="theirs")
    assert "store_id" in send("post", "", {"name": "shop", "store_id": str(foreign.id)}).json()["details"]


def test_nobody_gives_more_than_it_has(send, made, tenant):
    manager = made(scopes=["keys:manage", "tracking:read"])["key"]
    refused = send("post", "", {"name": "more", "scopes": ["tracking:read", "shipments:write"]}, key=manager)
    assert refused.status_code == 403
    assert refused.json()["details"] == {"scopes": ["shipments:write"]}
    strong = made(scopes=list(OF_KEYS))
    # Neither by widening a key, nor by having a stronger one regenerated and reading its text.
    assert send("put", f"/{strong['id']}", {"name": "mine"}, key=manager).status_code == 403
    assert send("post", f"/{strong['id']}/regenerate", {}, key=manager).status_code == 403
    assert send("post", "", {"name": "equal", "scopes": ["tracking:read"]}, key=manager).status_code == 201
    # Ending a key is always possible.
    assert send("delete", f"/{strong['id']}", key=manager).status_code == 200


def test_a_key_of_a_store_manages_its_stores_keys_only(send, made, merchant):
    store = Store.objects.create(merchant=merchant, name="Shop", code="shop")
    wide = made()
    bound = made(store_id=str(store.id), scopes=list(OF_KEYS))["key"]
    assert send("get", f"/{wide['id']}", key=bound).status_code == 404
    child = send("post", "", {"name": "child"}, key=bound).json()
    assert child["store_id"] == str(store.id)
    assert send("put", f"/{child['id']}", {"store_id": None}, key=bound).status_code == 400
    assert {row["store_id"] for row in send("get", key=bound).json()["api_keys"]} == {str(store.id)}


def test_another_merchants_and_another_modes_keys_are_not_found(send, made, merchant):
    mine = made()
    other = Merchant.objects.create(name="Other", slug="other")
    for tenant in (Tenant(other.id, "test"), Tenant(merchant.id, "live")):
        stranger = generate_key(tenant.mode)
        store_key(tenant, stranger, name="stranger")
        for method, path in (("get", ""), ("put", ""), ("delete", ""), ("post", "/regenerate")):
            assert send(method, f"/{mine['id']}{path}", {}, key=stranger).status_code == 404
        assert mine["id"] not in str(send("get", key=stranger).json())


# At once


def works(client, key, ip="192.0.2.1"):
    return client.get("/api/v1/shipments", headers={"X-API-Key": key}, REMOTE_ADDR=ip).status_code


def test_revoking_takes_effect_on_the_very_next_request(client, send, made):
    new = made()
    assert works(client, new["key"]) == 200
    send("delete", f"/{new['id']}")
    assert works(client, new["key"]) == 401


def test_leaving_the_allow_list_takes_effect_on_the_very_next_request(client, send, made):
    new = made(allowed_ips=["192.0.2.0/24", "2001:db8::/32"])
    assert works(client, new["key"]) == works(client, new["key"], "2001:db8::1") == 200
    assert works(client, new["key"], "198.51.100.7") == 403
    send("put", f"/{new['id']}", {"allowed_ips": ["198.51.100.7"]})
    assert works(client, new["key"]) == 403
    assert works(client, new["key"], "198.51.100.7") == 200


def test_a_shortened_expiry_takes_effect_at_its_moment(client, send, made, clock):
    new = made()
    send("put", f"/{new['id']}", {"expires_at": (timezone.now() + timedelta(minutes=1)).isoformat()})
    assert works(client, new["key"]) == 200
    clock.shift(timedelta(minutes=2))
    assert works(client, new["key"]) == 401


def test_an_inactive_merchant_or_store_takes_its_keys_along(client, made, merchant):
    store = Store.objects.create(merchant=merchant, name="Shop", code="shop")
    bound, wide = made(store_id=str(store.id))["key"], made()["key"]
    Store.objects.update(is_active=False)
    assert (works(client, bound), works(client, wide)) == (401, 200)
    Merchant.objects.filter(id=merchant.id).update(is_active=False)
    assert works(client, wide) == 401


def test_scopes_are_asked_on_each_request(client, made):
    reader = made(scopes=["tracking:read"])["key"]
    refused = client.get("/api/v1/shipments", headers={"X-API-Key": reader})
    assert refused.status_code == 403
    assert refused.json()["details"] == {"scope": ["shipments:read"]}
    assert client.get("/api/v1/tracking/NOBODY", headers={"X-API-Key": reader}).status_code == 404


# Regeneration


def test_without_overlap_the_old_key_dies_with_the_answer(client, send, made):
    old = made(scopes=["shipments:read"], allowed_ips=["192.0.2.1"])
    new = send("post", f"/{old['id']}/regenerate", {}).json()
    assert works(client, old["key"]) == 401
    assert works(client, new["key"]) == 200
    assert (new["scopes"], new["allowed_ips"], new["name"]) == (old["scopes"], old["allowed_ips"], old["name"])


def test_during_the_overlap_both_keys_work(client, send, made, clock):
    old = made()
    new = send("post", f"/{old['id']}/regenerate", {"overlap_seconds": 600}).json()
    assert works(client, old["key"]) == works(client, new["key"]) == 200
    clock.shift(timedelta(seconds=601))
    assert (works(client, old["key"]), works(client, new["key"])) == (401, 200)


def test_an_overlap_never_lengthens_a_life(send, made):
    old = made(expires_at=(timezone.now() + timedelta(seconds=60)).isoformat())
    send("post", f"/{old['id']}/regenerate", {"overlap_seconds": 600})
    assert send("get", f"/{old['id']}").json()["expires_at"] == old["expires_at"]


def test_a_key_is_regenerated_once_and_a_dead_one_never(send, made):
    old = made()
    assert send("post", f"/{old['id']}/regenerate", {"overlap_seconds": 600}).status_code == 201
    assert send("post", f"/{old['id']}/regenerate", {"overlap_seconds": 600}).status_code == 409
    dead = made()
    send("delete", f"/{dead['id']}")
    assert send("post", f"/{dead['id']}/regenerate", {}).status_code == 409
    assert send("put", f"/{dead['id']}", {"name": "alive"}).status_code == 409


def test_lists_are_paged_and_filtered(send, made):
    ids = [made(name=f"key {number}")["id"] for number in range(5)]
    send("delete", f"/{ids[0]}")
    first = send("get", "", {"limit": 4}).json()
    assert [row["id"] for row in first["api_keys"]] == ids[:0:-1]
    rest = send("get", "", {"limit": 4, "cursor": first["pagination"]["next_cursor"]}).json()
    assert ids[0] in [row["id"] for row in rest["api_keys"]]
    assert rest["pagination"] == {"limit": 4, "has_more": False, "next_cursor": None}
    assert [row["id"] for row in send("get", "", {"state": "revoked"}).json()["api_keys"]] == [ids[0]]
    assert send("get", "", {"cursor": "x"}).json()["details"].keys() == {"cursor"}


# On record


def test_what_happens_to_a_key_is_on_record_without_what_opens(send, made):
    new = made(name="shop")
    send("put", f"/{new['id']}", {"name": "till", "allowed_ips": ["192.0.2.1"]})
    again = send("post", f"/{new['id']}/regenerate", {}).json()
    send("delete", f"/{again['id']}", ip="192.0.2.9")
    (changed,) = audit("api_key.changed")
    assert changed.data["name"] == {"before": "shop", "after": "till"}
    assert changed.data["allowed_ips"] == {"before": [], "after": ["192.0.2.1/32"]}
    assert (changed.actor[:4], changed.address) == ("key:", "192.0.2.1")
    assert audit("api_key.revoked")[0].address == "192.0.2.9"
    told = str([(row.type, row.data) for row in Event.objects.all()])
    assert new["key"] not in told
    assert again["key"] not in told


def test_the_use_of_a_leaked_key_raises_an_alarm_once(client, send, made):
    new = made()
    send("delete", f"/{new['id']}?reason=leaked")
    for _ in range(3):
        assert works(client, new["key"]) == 401
    (misuse,) = audit("api_key.misused")
    assert misuse.data == {"reason": "leaked"}
    assert misuse.subject_id.hex == new["id"].replace("-", "")


def test_first_use_is_on_record_once_and_use_is_counted_in_batches(client, send, made, django_assert_num_queries):
    new = made()
    for _ in range(3):
        works(client, new["key"])
    usage.flush()
    works(client, new["key"])
    usage.flush()
    shown = send("get", f"/{new['id']}").json()
    assert shown["use_count"] == 4
    assert shown["last_used_at"]
    assert [str(event.subject_id) for event in audit("api_key.first_used")].count(new["id"]) == 1
