"""Every route is called by every kind of caller: keys and people, each scope and role, both modes, every mount.

Without a key no route responds. Another merchant, another mode and another store find nothing. A scope or a role opens
exactly the routes it names. A new route is included; the tests fail if they have no value for a parameter of its path.
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
from apikeys.models.scopes import MEMBERS_MANAGE, OF_KEYS, OF_PLATFORM_KEYS, OF_ROLES
from apikeys.people import access_tokens
from carriers.credentials import selection, storage
from carriers.models import CarrierCall
from shipping.models import BookingState, Checkpoint, Document, Manifest, ManifestFile, Pickup, Shipment, Warehouse

pytestmark = pytest.mark.django_db

# Routes that need no key, and the routes to sign in.
PUBLIC = {
    "health", "metrics", "next-tracking-number", "tracking-numbers", "carrier-events", "credential-events",
    "credential-events-by-key", "schema", "docs", "token", "token-refresh", "token-logout",
}  # fmt: skip
OTHER_SIGN_IN = ("admin/", "portal/")
# The second mount. It serves the view objects of the first, so most callers need to try only the first.
SECOND = "api/week3-integrations/"


def routes(resolver=None, prefix=""):
    """Yield path pattern, name and view of every route."""
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
def _no_limits_and_no_carrier(settings):
    """Switch rate limits off, and point the carrier to a closed port."""
    settings.RATE_LIMITS_ENABLED = False
    settings.CARRIER_MAX_RETRIES = 0
    closed = "http://127.0.0.1:1"
    settings.CARRIER_BASE_URLS = {("pickit", environment, "main"): closed for environment in ("sandbox", "production")}


@pytest.fixture
def store(merchant):
    """The store that owns the rows."""
    return Store.objects.create(merchant=merchant, name="North", code="north")


@pytest.fixture
def rows(merchant, mode, store):
    """Create a row of each kind that a path can name; return their names by parameter."""
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
    for kind in ("label", "manifest"):
        file = ContentFile(b"%PDF-CANARY", f"{kind}.pdf")
        document = Document.objects.create(shipment=shipment, kind=kind, format="PDF", file=file)
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
    manifest = Manifest.objects.create(
        merchant_id=tenant.merchant_id,
        mode=mode,
        store=store,
        carrier="pickit",
        credential=credential,
        day=datetime(2026, 1, 1, tzinfo=UTC).date(),
    )
    manifest.shipments.add(shipment)
    manifest_file = ManifestFile.objects.create(
        id=document.id, manifest=manifest, format="PDF", file=ContentFile(b"%PDF-CANARY", "manifest.pdf")
    )
    warehouse = Warehouse.objects.create(
        merchant_id=tenant.merchant_id, mode=mode, store=store, name="CANARY", address={}
    )
    call = CarrierCall.objects.create(
        merchant_id=tenant.merchant_id,
        mode=mode,
        carrier="pickit",
        operation="track",
        method="GET",
        url="https://example.com/CANARY",
        outcome="ok",
        duration_ms=1,
    )
    key = store_key(tenant, generate_key(mode), name="CANARY")
    person = User.objects.create(username="canary", email="canary@example.com", first_name="CANARY")
    member = Membership.objects.create(merchant=merchant, user=person, role="viewer")
    return {
        "name": [str(shipment.id), "PKT-CANARY0001", "SHP-CANARY0001"],
        "pickup": [str(pickup.id), "PCK-CANARY0001", "CONF-CANARY0001"],
        "manifest_id": [str(manifest.id)],
        "document_id": [str(manifest_file.id)],  # also that of the shipment's document
        "warehouse_id": [str(warehouse.id)],
        "own_credential_id": [str(credential.id)],
        "call_id": [str(call.id)],
        "key_id": [str(key.id)],
        "member_id": [str(member.id)],
    }


# Parameters of paths that name a row of the merchant, and the values of the others.
OBJECTS = {
    "name",
    "manifest_id",
    "document_id",
    "pickup",
    "call_id",
    "own_credential_id",
    "warehouse_id",
    "key_id",
    "member_id",
}
COMMON = {"carrier": "pickit", "point_id": "PP-12345"}


def fill(path, rows):
    """Return the path with each name of the merchant's rows, and whether it names a row."""
    parameters = [part.split(">")[0] for part in path.split("<")[1:]] + _named_groups(path)
    names = [parameter.split(":")[-1] for parameter in parameters if not parameter.startswith("?")]
    unknown = set(names) - OBJECTS - set(COMMON)
    assert not unknown, f"{path}: add a value for {unknown} to this test"
    variants = [path]
    for name in names:
        values = rows[name] if name in OBJECTS else [COMMON[name]]
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


# One client, as each would load the middleware again. Nothing here sets a cookie.
CLIENT = Client(raise_request_exception=False)


def call(method, path, key=None, token=None):
    headers = ({"X-API-Key": key} if key else {}) | ({"Authorization": f"Bearer {token}"} if token else {})
    send = getattr(CLIENT, method)
    if method == "get":
        return send("/" + path, headers=headers)
    return send("/" + path, {}, content_type="application/json", headers=headers)


def key_of(tenant, scopes=OF_KEYS):
    text = generate_key(tenant.mode)
    store_key(tenant, text, name="caller", scopes=scopes)
    return text


def token_of(merchant, mode, role):
    """Return an access token of a new person with this role."""
    user = User.objects.create(username=f"{role}-{uuid.uuid4().hex[:8]}", password="!unusable")
    membership = Membership.objects.create(merchant=merchant, user=user, role=role)
    return access_tokens.issue_tokens(user, membership, mode).access


def calls(rows, *, second_mount=False):
    """Yield method, path, scope, whether the path names a row, and whether it is merchant-wide, of every route."""
    for path, _name, view in api_routes():
        if path.startswith(SECOND) and not second_mount:
            continue
        filled, names_a_row = fill(path, rows)
        for method in methods(view):
            scope = view.cls.scopes.get(view.actions[method])
            assert scope, f"{method} {path} has no scope: add it to the viewset's scopes"
            for one in filled:
                yield method, one, scope, names_a_row, view.cls.merchant_wide


@pytest.mark.once
def test_all_api_routes_are_included():
    names = {name for _path, name, _view in api_routes()}
    assert {"shipment-detail", "shipment-label", "label-list", "history", "credentials", "carrier-cancel"} <= names
    assert {"api-keys", "api-key", "api-key-regenerate", "events", "usage"} <= names
    assert {path.split("/")[1] for path, _name, _view in api_routes()} == {"v1", "week3-integrations", "business"}


@pytest.mark.once
def test_second_mount_serves_the_same_views():
    views = {path: view for path, _name, view in api_routes()}
    second = {path.replace(SECOND, "api/v1/", 1) for path in views if path.startswith(SECOND)}
    assert second == {path for path in views if path.startswith("api/v1/")}
    for path in second:
        assert views[path] is views[path.replace("api/v1/", SECOND, 1)], path


@pytest.mark.once
def test_without_a_key_every_route_is_401(rows):
    for method, path, *_ in calls(rows, second_mount=True):
        for token, error in ((None, "invalid_api_key"), ("forged.token.here", "not_authenticated")):
            response = call(method, path, token=token)
            assert response.status_code == 401, (method, path)
            assert response.json()["error"] == error


def foreign_callers(mode):
    """Yield callers that must not see the rows: other merchants' keys and owners, and those of the other mode."""
    other = Merchant.objects.create(name="Other", slug="other", plan_id="enterprise")
    first = Merchant.objects.get(slug="acme")
    other_mode = "live" if mode == "test" else "test"
    for tenant in (Tenant(other.id, "test"), Tenant(other.id, "live"), Tenant(first.id, other_mode)):
        yield {"key": key_of(tenant)}
    for merchant, its_mode in ((other, "test"), (other, "live"), (first, other_mode)):
        yield {"token": token_of(merchant, its_mode, "owner")}


def is_own(caller_number, path):
    """The last foreign caller is an owner of the merchant: members belong to both modes."""
    return caller_number == 5 and "/members" in path


def missing_status(path):
    """Return the status of a row that does not exist. A carrier's path first refuses what cannot be its number."""
    return 400 if "/pickit/" in path and "/SHP-" in path else 404


@pytest.mark.once
def test_foreign_rows_are_not_found_on_any_route(rows, mode):
    for number, caller in enumerate(list(foreign_callers(mode))):
        for method, path, scope, names_a_row, _whole in calls(rows):
            if not names_a_row or is_own(number, path):
                continue
            response = call(method, path, **caller)
            # No key can manage members at all, not even its own merchant's.
            expected = 403 if scope == MEMBERS_MANAGE and "key" in caller else missing_status(path)
            assert response.status_code == expected, (method, path, response.content)
            assert expected != 400 or response.json()["details"] == {
                "tracking_number": ["Invalid tracking number format"]
            }
            assert b"CANARY" not in response.content


@pytest.mark.once
def test_foreign_rows_appear_in_no_list(rows, mode):
    for number, caller in enumerate(list(foreign_callers(mode))):
        for method, path, _scope, names_a_row, _whole in calls(rows):
            if method == "get" and not names_a_row and not is_own(number, path):
                assert b"CANARY" not in call("get", path, **caller).content, path


@pytest.mark.once
def test_key_of_another_store_finds_nothing_and_no_merchant_wide_route(rows, mode, merchant):
    south = Store.objects.create(merchant=merchant, name="South", code="south")
    key = key_of(Tenant(merchant.id, mode, south.id))
    for method, path, scope, names_a_row, whole in calls(rows):
        response = call(method, path, key=key)
        assert b"CANARY" not in response.content
        if whole or scope == MEMBERS_MANAGE:
            assert response.status_code == 403, (method, path)
        elif names_a_row:
            assert response.status_code == missing_status(path), (method, path, response.content)


@pytest.mark.once
def test_scope_opens_the_routes_it_names_and_no_other(rows, mode, merchant):
    tenant = Tenant(merchant.id, mode)
    every = (*OF_KEYS, *OF_PLATFORM_KEYS)
    one = {scope: key_of(tenant, [scope]) for scope in every}
    all_but = {scope: key_of(tenant, [other for other in every if other != scope]) for scope in every}
    for method, path, scope, *_ in calls(rows):
        if scope == MEMBERS_MANAGE:
            continue
        refused = call(method, path, key=all_but[scope])
        assert (refused.status_code, refused.json()["details"]) == (403, {"scope": [scope]}), (method, path)
        answer = call(method, path, key=one[scope])
        assert answer.status_code != 401
        # A key may lack the scopes of the key that it would change; it is not refused for its own.
        assert answer.status_code != 403 or answer.json()["details"] != {"scope": [scope]}, (method, path)
        assert answer.status_code != 500, (method, path)


@pytest.mark.once
@pytest.mark.parametrize("role", OF_ROLES)
def test_role_opens_the_routes_of_its_scopes_and_no_other(rows, mode, merchant, role):
    token = token_of(merchant, mode, role)
    for method, path, scope, *_ in calls(rows):
        answer = call(method, path, token=token)
        if scope in OF_ROLES[role]:
            assert answer.status_code not in (401, 500), (method, path)
            assert answer.status_code != 403 or "scope" not in answer.json()["details"], (method, path)
        else:
            assert (answer.status_code, answer.json()["details"]) == (403, {"scope": [scope]}), (method, path)


@pytest.mark.once
def test_no_key_manages_members(rows, mode, merchant):
    key = key_of(Tenant(merchant.id, mode))
    for method, path, scope, *_ in calls(rows):
        if scope == MEMBERS_MANAGE:
            assert call(method, path, key=key).status_code == 403, (method, path)


def test_own_keys_find_the_rows(rows, mode, merchant, store):
    for key in (key_of(Tenant(merchant.id, mode)), key_of(Tenant(merchant.id, mode, store.id))):
        for name in rows["name"]:
            assert call("get", f"api/v1/shipments/{name}", key).status_code == 200
            assert call("get", f"api/v1/tracking/{name}", key).status_code == 200
            assert call("get", f"api/v1/shipments/{name}/label", key).status_code == 200
            assert call("get", f"api/v1/shipments/{name}/manifest", key).status_code == 200
            document = f"documents/{rows['document_id'][0]}"
            assert call("get", f"api/v1/shipments/{name}/{document}", key).status_code == 200
        manifest = f"api/v1/manifests/{rows['manifest_id'][0]}"
        assert call("get", manifest, key).status_code == 200
        assert call("get", f"{manifest}/{document}", key).status_code == 200
        assert call("get", f"api/v1/pickups/{rows['pickup'][0]}", key).status_code == 200
        assert call("get", f"api/v1/warehouses/{rows['warehouse_id'][0]}", key).status_code == 200
        assert call("get", f"api/v1/api-keys/{rows['key_id'][0]}", key).status_code == 200


def test_unknown_ids_are_not_found_either(api_key):
    assert call("get", f"api/v1/shipments/{uuid.uuid4()}", api_key).status_code == 404
