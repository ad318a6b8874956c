"""Endpoints of API keys: creation, restrictions, regeneration, revocation and events."""

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

    def send_request(method, path="", body=None, key=api_key, ip="192.0.2.1", **headers):
        call = getattr(client, method)
        sent_headers = {"X-API-Key": key} | headers
        if method == "get":
            return call(URL + path, body or {}, headers=sent_headers, REMOTE_ADDR=ip)
        return call(URL + path, body or {}, content_type="application/json", headers=sent_headers, REMOTE_ADDR=ip)

    return send_request


@pytest.fixture
def create(send):
    """``create(**body)``: create a key through the API and return its JSON."""

    def create_key(**body):
        response = send("post", "", {"name": "shop"} | body)
        assert response.status_code == 201, response.content
        return response.json()

    return create_key


def recorded(kind):
    return list(Event.objects.filter(type=kind).order_by("id"))


@pytest.mark.parametrize("mount", ["/api/v1", "/api/week3-integrations"])
def test_documented_endpoints_work_under_both_prefixes(client, api_key, mount):
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


def test_new_key_is_shown_once_and_is_valid(send, create):
    new = create(expires_at="2099-01-01T00:00:00Z", allowed_ips=["192.0.2.0/24"])
    assert verify_key(new["key"]).id.hex == new["id"].replace("-", "")
    shown = send("get", f"/{new['id']}").json()
    assert "key" not in shown
    assert (shown["prefix"], shown["mode"], shown["state"]) == (new["key"][:12], "test", "active")
    assert shown["scopes"] == sorted(DEFAULT)
    assert new["key"] not in str(send("get").json())


def test_repeated_request_creates_one_key_and_does_not_return_it_again(send):
    first = send("post", "", {"name": "shop"}, **{"Idempotency-Key": "k"}).json()
    again = send("post", "", {"name": "shop"}, **{"Idempotency-Key": "k"})
    assert again.json() == first | {"key": None}
    assert again["Idempotent-Replayed"] == "true"
    assert ApiKey.objects.filter(name="shop").count() == 1
    assert first["key"].encode() not in bytes(IdempotencyRecord.objects.get().response_body or b"")


def test_invalid_input_is_reported_by_field_and_creates_no_key(send):
    before = ApiKey.objects.count()
    for field, value in (
        ("name", ""),
        ("name", 5),
        ("scopes", []),
        ("scopes", ["shipments:buy"]),
        ("scopes", ["members:manage"]),
        ("allowed_ips", ["nowhere"]),
        ("expires_at", "2001-01-01T00:00:00Z"),
        ("expires_at", "soon"),
        ("store_id", "01890000-0000-7000-8000-00000000ffff"),
        ("per_minute", 0),
        ("per_minute", 5001),
        ("per_hour", 250001),
    ):
        response = send("post", "", {"name": "shop"} | {field: value})
        assert response.status_code == 400, (field, value)
        assert [name for name in response.json()["details"] if name.startswith(field)], response.content
    assert ApiKey.objects.count() == before


def test_store_of_another_merchant_is_refused(send):
    other = Merchant.objects.create(name="Other", slug="other")
    foreign = Store.objects.create(merchant=other, name="Theirs", code="theirs")
    assert "store_id" in send("post", "", {"name": "shop", "store_id": str(foreign.id)}).json()["details"]


def test_key_cannot_grant_scopes_that_it_does_not_have(send, create, tenant):
    manager = create(scopes=["keys:manage", "tracking:read"])["key"]
    refused = send("post", "", {"name": "more", "scopes": ["tracking:read", "shipments:write"]}, key=manager)
    assert refused.status_code == 403
    assert refused.json()["details"] == {"scopes": ["shipments:write"]}
    strong = create(scopes=list(OF_KEYS))
    # Neither by changing a key, nor by regenerating one with more scopes.
    assert send("put", f"/{strong['id']}", {"name": "mine"}, key=manager).status_code == 403
    assert send("post", f"/{strong['id']}/regenerate", {}, key=manager).status_code == 403
    assert send("post", "", {"name": "equal", "scopes": ["tracking:read"]}, key=manager).status_code == 201
    # Revocation needs no other scope.
    assert send("delete", f"/{strong['id']}", key=manager).status_code == 200


def test_key_bound_to_a_store_manages_only_keys_of_that_store(send, create, merchant):
    store = Store.objects.create(merchant=merchant, name="Shop", code="shop")
    wide = create()
    bound = create(store_id=str(store.id), scopes=list(OF_KEYS))["key"]
    assert send("get", f"/{wide['id']}", key=bound).status_code == 404
    child = send("post", "", {"name": "child"}, key=bound).json()
    assert child["store_id"] == str(store.id)
    assert send("put", f"/{child['id']}", {"store_id": None}, key=bound).status_code == 400
    assert {row["store_id"] for row in send("get", key=bound).json()["api_keys"]} == {str(store.id)}


def test_keys_of_other_merchants_and_modes_are_not_found(send, create, merchant):
    mine = create()
    other = Merchant.objects.create(name="Other", slug="other")
    for tenant in (Tenant(other.id, "test"), Tenant(merchant.id, "live")):
        foreign_key = generate_key(tenant.mode)
        store_key(tenant, foreign_key, name="foreign_key")
        for method, path in (("get", ""), ("put", ""), ("delete", ""), ("post", "/regenerate")):
            assert send(method, f"/{mine['id']}{path}", {}, key=foreign_key).status_code == 404
        assert mine["id"] not in str(send("get", key=foreign_key).json())


# Changes apply to the next request


def status_with(client, key, ip="192.0.2.1"):
    return client.get("/api/v1/shipments", headers={"X-API-Key": key}, REMOTE_ADDR=ip).status_code


def test_revocation_applies_to_the_next_request(client, send, create):
    new = create()
    assert status_with(client, new["key"]) == 200
    send("delete", f"/{new['id']}")
    assert status_with(client, new["key"]) == 401


def test_allow_list_changes_apply_to_the_next_request(client, send, create):
    new = create(allowed_ips=["192.0.2.0/24", "2001:db8::/32"])
    assert status_with(client, new["key"]) == status_with(client, new["key"], "2001:db8::1") == 200
    assert status_with(client, new["key"], "198.51.100.7") == 403
    send("put", f"/{new['id']}", {"allowed_ips": ["198.51.100.7"]})
    assert status_with(client, new["key"]) == 403
    assert status_with(client, new["key"], "198.51.100.7") == 200


def test_changed_expiry_is_honoured(client, send, create, clock):
    new = create()
    send("put", f"/{new['id']}", {"expires_at": (timezone.now() + timedelta(minutes=1)).isoformat()})
    assert status_with(client, new["key"]) == 200
    clock.shift(timedelta(minutes=2))
    assert status_with(client, new["key"]) == 401


def test_keys_of_inactive_merchants_and_stores_are_refused(client, create, merchant):
    store = Store.objects.create(merchant=merchant, name="Shop", code="shop")
    bound, wide = create(store_id=str(store.id))["key"], create()["key"]
    Store.objects.update(is_active=False)
    assert (status_with(client, bound), status_with(client, wide)) == (401, 200)
    Merchant.objects.filter(id=merchant.id).update(is_active=False)
    assert status_with(client, wide) == 401


def test_request_without_the_scope_is_refused(client, create):
    reader = create(scopes=["tracking:read"])["key"]
    refused = client.get("/api/v1/shipments", headers={"X-API-Key": reader})
    assert refused.status_code == 403
    assert refused.json()["details"] == {"scope": ["shipments:read"]}
    assert client.get("/api/v1/tracking/NOBODY", headers={"X-API-Key": reader}).status_code == 404


# Regeneration


def test_regeneration_without_overlap_revokes_the_old_key(client, send, create):
    old = create(scopes=["shipments:read"], allowed_ips=["192.0.2.1"])
    new = send("post", f"/{old['id']}/regenerate", {}).json()
    assert status_with(client, old["key"]) == 401
    assert status_with(client, new["key"]) == 200
    assert (new["scopes"], new["allowed_ips"], new["name"]) == (old["scopes"], old["allowed_ips"], old["name"])


def test_both_keys_work_during_the_overlap(client, send, create, clock):
    old = create()
    new = send("post", f"/{old['id']}/regenerate", {"overlap_seconds": 600}).json()
    assert status_with(client, old["key"]) == status_with(client, new["key"]) == 200
    clock.shift(timedelta(seconds=601))
    assert (status_with(client, old["key"]), status_with(client, new["key"])) == (401, 200)


def test_overlap_does_not_extend_the_expiry(send, create):
    old = create(expires_at=(timezone.now() + timedelta(seconds=60)).isoformat())
    send("post", f"/{old['id']}/regenerate", {"overlap_seconds": 600})
    assert send("get", f"/{old['id']}").json()["expires_at"] == old["expires_at"]


def test_key_is_regenerated_once_and_not_after_revocation(send, create):
    old = create()
    assert send("post", f"/{old['id']}/regenerate", {"overlap_seconds": 600}).status_code == 201
    assert send("post", f"/{old['id']}/regenerate", {"overlap_seconds": 600}).status_code == 409
    revoked = create()
    send("delete", f"/{revoked['id']}")
    assert send("post", f"/{revoked['id']}/regenerate", {}).status_code == 409
    assert send("put", f"/{revoked['id']}", {"name": "other"}).status_code == 409


def test_list_is_paged_and_filtered(send, create):
    ids = [create(name=f"key {number}")["id"] for number in range(5)]
    send("delete", f"/{ids[0]}")
    first = send("get", "", {"limit": 4}).json()
    assert [row["id"] for row in first["api_keys"]] == ids[:0:-1]
    rest = send("get", "", {"limit": 4, "cursor": first["pagination"]["next_cursor"]}).json()
    assert ids[0] in [row["id"] for row in rest["api_keys"]]
    assert rest["pagination"] == {"limit": 4, "has_more": False, "next_cursor": None}
    assert [row["id"] for row in send("get", "", {"state": "revoked"}).json()["api_keys"]] == [ids[0]]
    assert send("get", "", {"cursor": "x"}).json()["details"].keys() == {"cursor"}


# Events


def test_key_changes_are_recorded_without_the_key(send, create):
    new = create(name="shop")
    send("put", f"/{new['id']}", {"name": "till", "allowed_ips": ["192.0.2.1"]})
    again = send("post", f"/{new['id']}/regenerate", {}).json()
    send("delete", f"/{again['id']}", ip="192.0.2.9")
    (changed,) = recorded("api_key.changed")
    assert changed.data["name"] == {"before": "shop", "after": "till"}
    assert changed.data["allowed_ips"] == {"before": [], "after": ["192.0.2.1/32"]}
    assert (changed.actor[:4], changed.address) == ("key:", "192.0.2.1")
    assert recorded("api_key.revoked")[0].address == "192.0.2.9"
    recorded_data = str([(row.type, row.data) for row in Event.objects.all()])
    assert new["key"] not in recorded_data
    assert again["key"] not in recorded_data


def test_use_of_a_leaked_key_raises_one_alarm(client, send, create):
    new = create()
    send("delete", f"/{new['id']}?reason=leaked")
    for _ in range(3):
        assert status_with(client, new["key"]) == 401
    (misuse,) = recorded("api_key.misused")
    assert misuse.data == {"reason": "leaked"}
    assert misuse.subject_id.hex == new["id"].replace("-", "")


def test_first_use_is_recorded_once_and_uses_are_counted_in_batches(client, send, create, django_assert_num_queries):
    new = create()
    for _ in range(3):
        status_with(client, new["key"])
    usage.flush()
    status_with(client, new["key"])
    usage.flush()
    shown = send("get", f"/{new['id']}").json()
    assert shown["use_count"] == 4
    assert shown["last_used_at"]
    assert [str(event.subject_id) for event in recorded("api_key.first_used")].count(new["id"]) == 1
