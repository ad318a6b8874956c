"""Every route, walked: no key, no answer; another merchant's key or another mode, not found.

A route that is added is walked, or the walk fails because it does not know what to put into the path.
"""

import uuid
from datetime import UTC, datetime

import pytest
from django.core.files.base import ContentFile
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone

from apikeys import keys
from apikeys.models import Merchant
from apikeys.tenancy import Tenant
from carriers import accounts
from shipping.models import BookingState, Checkpoint, Label, Pickup, Shipment

pytestmark = pytest.mark.django_db(transaction=True)

# Not for API keys: what needs no key at all, and what people see after signing in.
PUBLIC = {"health", "metrics", "next-tracking-number", "carrier-events", "credential-events", "schema", "docs"}
OTHER_SIGN_IN = ("admin/",)


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


@pytest.fixture
def world(merchant, mode):
    """One row of each kind that a path can name, belonging to the merchant."""
    tenant = Tenant(merchant.id, mode)
    accounts.save(
        tenant=tenant,
        mode=mode,
        carrier="pickit",
        environment={"test": "sandbox", "live": "production"}[mode],
        fields={"client_id": "a-client", "client_secret": "a-secret-of-the-first"},
    )
    credential = accounts.find(tenant, "pickit")
    shipment = Shipment.objects.create(
        merchant_id=tenant.merchant_id,
        mode=mode,
        carrier="pickit",
        credential=credential,
        booking_state=BookingState.BOOKED,
        status="created",
        tracking_number="PKT-CANARY0001",
        carrier_shipment_id="SHP-CANARY0001",
        reference="WBCANARY",
        order_id="ORDER-CANARY",
    )
    Label.objects.create(shipment=shipment, format="PDF", size="4x6", file=ContentFile(b"%PDF-canary", "label.pdf"))
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
        carrier="pickit",
        credential=credential,
        scheduled_date=datetime(2026, 1, 1, tzinfo=UTC),
        window_start="10:00",
        window_end="12:00",
        packages_count=1,
    )
    return {"name": [str(shipment.id), "PKT-CANARY0001", "SHP-CANARY0001"], "pickup_id": [str(pickup.id)]}


# What a path's parameter stands for: a row of the merchant, or something that is the same for all.
OBJECTS = {"name", "pickup_id"}
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


def call(method, path, key=None):
    headers = {"X-API-Key": key} if key else {}
    send = getattr(Client(raise_request_exception=False), method)
    if method == "get":
        return send("/" + path, headers=headers)
    return send("/" + path, {}, content_type="application/json", headers=headers)


def test_the_walk_sees_the_whole_api():
    names = {name for _path, name, _view in api_routes()}
    assert {"shipment-detail", "shipment-label", "label-list", "history", "credentials", "carrier-cancel"} <= names


def test_without_a_key_every_route_is_401(world):
    for path, _name, view in api_routes():
        for filled in fill(path, world)[0]:
            for method in methods(view):
                response = call(method, filled)
                assert response.status_code == 401, (method, filled)
                assert response.json()["error"] == "invalid_api_key"


def strangers(mode):
    """Keys that must not see the merchant's rows: another merchant's, and the merchant's own of the other mode."""
    other = Merchant.objects.create(name="Other", slug="other", plan_id="enterprise")
    first = Merchant.objects.get(slug="acme")
    other_mode = "live" if mode == "test" else "test"
    for tenant in (Tenant(other.id, "test"), Tenant(other.id, "live"), Tenant(first.id, other_mode)):
        key = keys.generate(tenant.mode)
        keys.create(tenant, key, name="stranger")
        yield key


def test_anothers_objects_are_not_found_on_every_route(world, mode):
    for key in list(strangers(mode)):
        for path, _name, view in api_routes():
            filled, names_an_object = fill(path, world)
            for one in filled if names_an_object else ():
                for method in methods(view):
                    response = call(method, one, key)
                    assert response.status_code == 404, (method, one, response.content)
                    assert b"CANARY" not in response.content


def test_anothers_objects_appear_in_no_list(world, mode):
    for key in list(strangers(mode)):
        for path, _name, view in api_routes():
            filled, names_an_object = fill(path, world)
            if not names_an_object and "get" in methods(view):
                assert b"CANARY" not in call("get", filled[0], key).content, path


def test_the_owner_does_see_them(world, mode, merchant):
    api_key = keys.generate(mode)
    keys.create(Tenant(merchant.id, mode), api_key, name="owner")
    for name in world["name"]:
        assert call("get", f"api/v1/shipments/{name}", api_key).status_code == 200
        assert call("get", f"api/v1/tracking/{name}", api_key).status_code == 200
        assert call("get", f"api/v1/shipments/{name}/label", api_key).status_code == 200
    assert call("get", f"api/v1/pickups/{world['pickup_id'][0]}", api_key).status_code == 200


def test_unknown_ids_are_not_found_either(api_key):
    assert call("get", f"api/v1/shipments/{uuid.uuid4()}", api_key).status_code == 404
