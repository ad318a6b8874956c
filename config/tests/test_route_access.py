"""Every route, walked by every kind of caller: keys and people, each scope and role, both modes, every mount.

Nobody without a key gets an answer; another merchant, another mode, another store finds nothing; a scope or a role
opens exactly what it names.

A route that is added is walked, or the walk fails because it does not know what to put into the path.
"""

import uuid
from datetime import UTC, datetime

import pytest
from django.core.files.base import ContentFile
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone

from apikeys.db.tenancy import Tenant
from apikeys.keys.format import generate_key
from apikeys.keys.lifecycle import store_key
from apikeys.models import Membership, Merchant, Store, User
from apikeys.models.scopes import MEMBERS_MANAGE, OF_KEYS, OF_ROLES
from apikeys.people import access_tokens
from carriers.credentials import selection, storage
from shipping.models import BookingState, Checkpoint, Label, Pickup, Shipment, Warehouse

pytestmark = pytest.mark.django_db(transaction=True)

# Not for API keys: what needs no key at all, and what people see after signing in.
PUBLIC = {
    "health",
    "metrics",
    "next-tracking-number",
    "tracking-numbers",
    "carrier-events",
    "credential-events",
    "schema",
    "docs",
    "token",
    "token-refresh",
    "token-logout",
}
OTHER_SIGN_IN = ("admin/", "portal/")


def routes(resolver=None, prefix=""):
    """(path pattern, name, view) of every route."""
    for entry in (resolver or get_resolver()).url_patterns:
        path = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from routes(entry, path)
        elif isinstance(entry, URLPattern):
            yield path, entry.name, entry.callback


def api_routes():
    return [
        (path, name, view)
        for path, name, view in routes()
        if name not in PUBLIC and not path.startswith(OTHER_SIGN_IN) and "<drf_format_suffix" not in path
    ]


@pytest.fixture(params=["test", "live"])
def mode(request):
    """The mode of the merchant's rows."""
    return request.param


@pytest.fixture(autouse=True)
def _unlimited_and_without_carriers(settings):
    """The walk calls more often than anybody may, and no carrier is reached on its way."""
    settings.RATE_LIMITS_ENABLED = False
    settings.CARRIER_MAX_RETRIES = 0
    nowhere = "http://127.0.0.1:1"
    settings.CARRIER_BASE_URLS = {("pickit", environment): nowhere for environment in ("sandbox", "production")}


@pytest.fixture
def store(merchant):
    """The store that the world's rows belong to."""
    return Store.objects.create(merchant=merchant, name="North", code="north")


@pytest.fixture
def world(merchant, mode, store):
    """One row of each kind that a path can name, belonging to the merchant."""
    tenant = Tenant(merchant.id, mode, store.id)
    storage.save_credential(
        tenant=tenant,
        mode=mode,
        carrier="pickit",
        environment={"test": "sandbox", "live": "production"}[mode],
        fields={"client_id": "a-client", "client_secret": "a-secret-of-the-first"},
    )
    credential = selection.select_credential(tenant, "pickit")
    shipment = Shipment.objects.create(
        merchant_id=tenant.merchant_id,
        mode=mode,
        store=store,
        carrier="pickit",
        credential=credential,
        booking_state=BookingState.BOOKED,
        status="created",
        tracking_number="PKT-CANARY0001",
        carrier_shipment_id="SHP-CANARY0001",
        reference="WBCANARY",
        order_id="ORDER-CANARY",
    )
    files = {name: ContentFile(b"%PDF-CANARY", f"{name}.pdf") for name in ("file", "manifest")}
    Label.objects.create(shipment=shipment, format="PDF", size="4x6", **files)
    Checkpoint.objects.create(
        merchant_id=tenant.merchant_id,
        mode=mode,
        shipment=shipment,
        source="carrier",
        status="created",
        code="created",
        location="CANARY",
        occurred_at=timezone.now(),
    )
    pickup = Pickup.objects.create(
        merchant_id=tenant.merchant_id,
        mode=mode,
        store=store,
        carrier="pickit",
        credential=credential,
        scheduled_date=datetime(2026, 1, 1, tzinfo=UTC),
        window_start="10:00",
        window_end="12:00",
        packages_count=1,
        carrier_pickup_id="PCK-CANARY0001",
        confirmation_number="CONF-CANARY0001",
    )
    place = Warehouse.objects.create(merchant_id=tenant.merchant_id, mode=mode, store=store, name="CANARY", address={})
    key = store_key(tenant, generate_key(mode), name="CANARY")
    person = User.objects.create(username="canary", email="canary@example.com", first_name="CANARY")
    member = Membership.objects.create(merchant=merchant, user=person, role="viewer")
    return {
        "name": [str(shipment.id), "PKT-CANARY0001", "SHP-CANARY0001"],
        "pickup": [str(pickup.id), "PCK-CANARY0001", "CONF-CANARY0001"],
        "warehouse_id": [str(place.id)],
        "own_credential_id": [str(credential.id)],
        "key_id": [str(key.id)],
        "member_id": [str(member.id)],
    }


# What a path's parameter stands for: a row of the merchant, or something that is the same for all.
OBJECTS = {"name", "pickup", "own_credential_id", "warehouse_id", "key_id", "member_id"}
COMMON = {"carrier": "pickit", "point_id": "PP-12345"}


def fill(path, world):
    """The path with every name that the merchant's rows go by; fails for a parameter that nobody explained."""
    parameters = [part.split(">")[0] for part in path.split("<")[1:]] + _named_groups(path)
    names = [parameter.split(":")[-1] for parameter in parameters if not parameter.startswith("?")]
    unknown = set(names) - OBJECTS - set(COMMON)
    assert not unknown, f"{path}: say in this test what {unknown} stands for"
    variants = [path]
    for name in names:
        values = world[name] if name in OBJECTS else [COMMON[name]]
        variants = [_replace(variant, name, value) for variant in variants for value in values]
    return [variant.replace("^", "").replace("$", "").replace("\\Z", "") for variant in variants], bool(
        set(names) & OBJECTS
    )


def _named_groups(path):
    return [group.split(">")[0] for group in path.split("(?P<")[1:]]


def _replace(path, name, value):
    for marker in (f"(?P<{name}>[^/]+)", f"<str:{name}>", f"<uuid:{name}>", f"<carrier:{name}>", f"<{name}>"):
        path = path.replace(marker, value)
    return path


def methods(view):
    known = ("get", "post", "put", "patch", "delete")
    return [method for method in getattr(view, "actions", {"get": ""}) if method in known]


def call(method, path, key=None, token=None):
    headers = ({"X-API-Key": key} if key else {}) | ({"Authorization": f"Bearer {token}"} if token else {})
    send = getattr(Client(raise_request_exception=False), method)
    if method == "get":
        return send("/" + path, headers=headers)
    return send("/" + path, {}, content_type="application/json", headers=headers)


def key_of(tenant, scopes=OF_KEYS):
    text = generate_key(tenant.mode)
    store_key(tenant, text, name="walker", scopes=scopes)
    return text


def token_of(merchant, mode, role):
    """An access token of a fresh person with this role."""
    user = User.objects.create(username=f"{role}-{uuid.uuid4().hex[:8]}", password="!unusable")
    membership = Membership.objects.create(merchant=merchant, user=user, role=role)
    return access_tokens.issue_tokens(user, membership, mode).access


def steps(world):
    """(method, path, scope, whether the path names a row, whether it is the whole merchant's affair) of every route."""
    for path, _name, view in api_routes():
        filled, names_a_row = fill(path, world)
        for method in methods(view):
            scope = view.cls.scopes.get(view.actions[method])
            assert scope, f"{method} {path} is open to nobody: say in the viewset's scopes what it needs"
            for one in filled:
                yield method, one, scope, names_a_row, view.cls.merchant_wide


def test_the_walk_sees_the_whole_api():
    names = {name for _path, name, _view in api_routes()}
    assert {"shipment-detail", "shipment-label", "label-list", "history", "credentials", "carrier-cancel"} <= names
    assert {"api-keys", "api-key", "api-key-regenerate", "events", "usage"} <= names
    assert {path.split("/")[1] for path, _name, _view in api_routes()} == {"v1", "week3-integrations", "business"}


def test_without_a_key_every_route_is_401(world):
    for method, path, *_ in steps(world):
        for token, error in ((None, "invalid_api_key"), ("forged.token.here", "not_authenticated")):
            response = call(method, path, token=token)
            assert response.status_code == 401, (method, path)
            assert response.json()["error"] == error


def strangers(mode):
    """Whoever must not see the merchant's rows: another merchant's keys and owners, and its own of the other mode."""
    other = Merchant.objects.create(name="Other", slug="other", plan_id="enterprise")
    first = Merchant.objects.get(slug="acme")
    other_mode = "live" if mode == "test" else "test"
    for tenant in (Tenant(other.id, "test"), Tenant(other.id, "live"), Tenant(first.id, other_mode)):
        yield {"key": key_of(tenant)}
    for merchant, its_mode in ((other, "test"), (other, "live"), (first, other_mode)):
        yield {"token": token_of(merchant, its_mode, "owner")}


def is_own(stranger_number, path):
    """The last of the strangers is an owner of the merchant: its members are theirs in both modes."""
    return stranger_number == 5 and "/members" in path


def test_anothers_objects_are_not_found_on_every_route(world, mode):
    for number, stranger in enumerate(list(strangers(mode))):
        for method, path, scope, names_a_row, _whole in steps(world):
            if not names_a_row or is_own(number, path):
                continue
            response = call(method, path, **stranger)
            # No key can manage members at all, not even its own merchant's.
            expected = 403 if scope == MEMBERS_MANAGE and "key" in stranger else 404
            assert response.status_code == expected, (method, path, response.content)
            assert b"CANARY" not in response.content


def test_anothers_objects_appear_in_no_list(world, mode):
    for number, stranger in enumerate(list(strangers(mode))):
        for method, path, _scope, names_a_row, _whole in steps(world):
            if method == "get" and not names_a_row and not is_own(number, path):
                assert b"CANARY" not in call("get", path, **stranger).content, path


def test_another_stores_key_finds_nothing_and_sees_nothing_of_the_whole_merchant(world, mode, merchant):
    south = Store.objects.create(merchant=merchant, name="South", code="south")
    key = key_of(Tenant(merchant.id, mode, south.id))
    for method, path, scope, names_a_row, whole in steps(world):
        response = call(method, path, key=key)
        assert b"CANARY" not in response.content
        if whole or scope == MEMBERS_MANAGE:
            assert response.status_code == 403, (method, path)
        elif names_a_row:
            assert response.status_code == 404, (method, path, response.content)


def test_a_scope_opens_what_it_names_and_nothing_else(world, mode, merchant):
    tenant = Tenant(merchant.id, mode)
    one = {scope: key_of(tenant, [scope]) for scope in OF_KEYS}
    all_but = {scope: key_of(tenant, [other for other in OF_KEYS if other != scope]) for scope in OF_KEYS}
    for method, path, scope, *_ in steps(world):
        if scope == MEMBERS_MANAGE:
            continue
        refused = call(method, path, key=all_but[scope])
        assert (refused.status_code, refused.json()["details"]) == (403, {"scope": [scope]}), (method, path)
        answer = call(method, path, key=one[scope])
        assert answer.status_code != 401
        # A key may lack the scopes of the key that it would change; it is not refused for its own.
        assert answer.status_code != 403 or answer.json()["details"] != {"scope": [scope]}, (method, path)
        assert answer.status_code != 500, (method, path)


@pytest.mark.parametrize("role", OF_ROLES)
def test_a_role_opens_what_its_scopes_name_and_nothing_else(world, mode, merchant, role):
    token = token_of(merchant, mode, role)
    for method, path, scope, *_ in steps(world):
        answer = call(method, path, token=token)
        if scope in OF_ROLES[role]:
            assert answer.status_code not in (401, 500), (method, path)
            assert answer.status_code != 403 or "scope" not in answer.json()["details"], (method, path)
        else:
            assert (answer.status_code, answer.json()["details"]) == (403, {"scope": [scope]}), (method, path)


def test_no_key_manages_people(world, mode, merchant):
    key = key_of(Tenant(merchant.id, mode))
    for method, path, scope, *_ in steps(world):
        if scope == MEMBERS_MANAGE:
            assert call(method, path, key=key).status_code == 403, (method, path)


def test_the_owner_does_see_them(world, mode, merchant, store):
    for key in (key_of(Tenant(merchant.id, mode)), key_of(Tenant(merchant.id, mode, store.id))):
        for name in world["name"]:
            assert call("get", f"api/v1/shipments/{name}", key).status_code == 200
            assert call("get", f"api/v1/tracking/{name}", key).status_code == 200
            assert call("get", f"api/v1/shipments/{name}/label", key).status_code == 200
            assert call("get", f"api/v1/shipments/{name}/manifest", key).status_code == 200
        assert call("get", f"api/v1/pickups/{world['pickup'][0]}", key).status_code == 200
        assert call("get", f"api/v1/warehouses/{world['warehouse_id'][0]}", key).status_code == 200
        assert call("get", f"api/v1/api-keys/{world['key_id'][0]}", key).status_code == 200


def test_unknown_ids_are_not_found_either(api_key):
    assert call("get", f"api/v1/shipments/{uuid.uuid4()}", api_key).status_code == 404
