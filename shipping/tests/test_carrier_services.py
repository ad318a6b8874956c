"""Transit times, checks of addresses, names and kinds of prices, and the description of a carrier."""

import pytest

from carriers.adapters.registry import ADAPTERS
from carriers.api.carriers import carrier_details
from carriers.credentials import storage
from shipping.models import Pickup, Quote
from shipping.tests.orders import BERLIN, OSLO
from shipping.tests.osprey import OspreyAdapter

pytestmark = [pytest.mark.django_db, pytest.mark.once]
ROUTE = {"carrier": "osprey", "origin": OSLO, "destination": BERLIN, "packages": [{"weight_kg": 2}]}


@pytest.fixture(autouse=True)
def _osprey(monkeypatch, tenant):
    monkeypatch.setitem(ADAPTERS, "osprey", OspreyAdapter)
    monkeypatch.setattr(OspreyAdapter, "requests", [])
    storage.save_credential(
        tenant=tenant, mode="test", carrier="osprey", environment="sandbox", fields={"key": "a-secret"}
    )


def test_transit_times_of_all_services_are_listed_and_nothing_is_stored(api):
    answer = api.post("/api/v1/transit-times", ROUTE | {"ship_at": "2026-12-01T09:00:00+01:00"})
    assert answer.status_code == 200, answer.content
    at = "2026-12-02T16:00:00Z"
    assert answer.json() == {
        "carrier": "Osprey Freight",
        "transit_times": [
            {"service_type": "EXP", "service_name": "Express", "days": 2, "delivers_at": at, "book_until": at},
            {
                "service_type": "ECO",
                "service_name": "Economy",
                "days": None,
                "delivers_at": None,
                "book_until": None,
            },
        ],
    }
    assert not Quote.objects.exists()
    (order,) = OspreyAdapter.requests
    assert order.ship_at.isoformat() == "2026-12-01T09:00:00+01:00"


def test_address_is_checked_by_the_carrier_and_by_us(api):
    address = OSLO | {"postal_code": "01500"}
    answer = api.post("/api/v1/address-check", {"carrier": "Osprey Freight", "address": address})
    assert answer.status_code == 200, answer.content
    body = answer.json()
    assert (body["carrier"], body["ok"], body["residential"]) == ("Osprey Freight", False, None)
    assert body["suggestions"] == [address | {"street": "Storgata 12", "residential": True}]
    assert [(one["field"], one["code"]) for one in body["warnings"]] == [
        ("address.postal_code", "postal_code_unlikely")
    ]


@pytest.mark.usefixtures("credential")
def test_carriers_without_these_operations_refuse_them(api):
    paths = {
        "transit-times": ROUTE,
        "address-check": {"address": OSLO},
        "pickup-windows": {"address": OSLO, "pickup_date": "2026-12-01"},
        "manifests": {"day": "2026-12-01"},
    }
    for path, body in paths.items():
        refused = api.post(f"/api/v1/{path}", body | {"carrier": "pickit"})
        assert (refused.status_code, refused.json()["error"]) == (400, "unsupported_operation"), path


def test_offers_have_the_name_of_the_service_and_the_kind_of_the_price(api):
    answer = api.post("/api/v1/quotes", ROUTE).json()
    shown = [(one["service_name"], one["price_kind"], one["co2e_kg"]) for one in answer["offers"]]
    assert shown == [("Economy", "list", 0.25), ("Express before noon", "negotiated", None)]
    assert answer["service_name"] == "Economy"
    served = api.post("/api/v1/serviceability", {**ROUTE, "packages": None, "weight_kg": 1}).json()
    assert [one["service_name"] for one in served["services"]] == ["Economy", "Express before noon"]


def test_carrier_is_described_with_its_options_and_limits(api):
    listed = {one["carrier"]: one for one in api.get("/api/v1/carriers").json()["carriers"]}
    shown = listed["osprey"] | carrier_details(OspreyAdapter)  # its path exists only with a registry line
    operations = "quote transit_times check_address create_label documents pickup_windows pickup_points pickup_point"
    assert shown["capabilities"] == [*operations.split(), "close_day"]
    assert (shown["services"], shown["default_service"]) == ({"EXP": "Express", "ECO": "Economy"}, "ECO")
    assert (shown["served_options"], shown["limits"]) == (["signature", "carrier"], {"max_parcels": 5})
    assert shown["options_schema"] == OspreyAdapter.options_schema
    assert shown["environments"] == [
        {"environment": "sandbox", "mode": "test", "simulated": False},
        {"environment": "production", "mode": "live", "simulated": False},
    ]
    pickit = api.get("/api/v1/carriers/pickit").json()
    assert set(pickit) == set(shown)
    assert pickit["environments"][0]["simulated"]


def test_times_of_pickups_are_listed_and_nothing_is_booked(api):
    body = {"carrier": "osprey", "pickup_date": "2026-12-01T08:00:00+01:00", "address": OSLO, "total_weight_kg": 3}
    answer = api.post("/api/v1/pickup-windows", body)
    assert answer.status_code == 200, answer.content
    assert answer.json() == {
        "carrier": "Osprey Freight",
        "pickup_windows": [
            {"day": "2026-12-02", "start": "09:00", "end": "12:00", "book_until": "2026-12-02T16:00:00Z"},
            {"day": "2026-12-02", "start": "", "end": "", "book_until": None},
        ],
    }
    (request,) = OspreyAdapter.requests
    assert (request.pickup_date.isoformat(), request.address.house_number) == ("2026-12-01T08:00:00+01:00", "12b")
    refused = api.post("/api/v1/pickup-windows", body | {"shipment_ids": ["UNKNOWN"]})
    assert "shipment_ids[0]" in refused.json()["details"]
    assert not Pickup.objects.exists()


@pytest.mark.usefixtures("credential")
def test_pickup_points_are_found_by_address(api):
    found = api.get("/api/v1/pickup-points?carrier=osprey&country=no&postal_code=0150&street=Storgata")
    assert found.status_code == 200, found.content
    assert found.json()["pickup_points"][0]["address"]["country"] == "NO"
    (search,) = OspreyAdapter.requests
    assert (search.latitude, search.address.postal_code, search.address.street) == (None, "0150", "Storgata")
    shown = api.get("/api/v1/pickup-points/OS-1?carrier=osprey&country=NO").json()
    assert shown["pickup_point"]["address"]["country"] == "NO"
    refusals = {
        "carrier=osprey": {"latitude", "longitude"},
        "carrier=osprey&latitude=1": {"longitude"},
        "carrier=osprey&latitude=1&longitude=1": {"country"},
        "carrier=osprey&postal_code=0150": {"country"},
        "carrier=osprey&country=NO": {"postal_code"},
        "carrier=pickit&country=NO&city=Oslo": {"latitude", "longitude"},
    }
    for query, fields in refusals.items():
        refused = api.get(f"/api/v1/pickup-points?{query}")
        assert (refused.status_code, set(refused.json()["details"])) == (400, fields), query
    assert set(api.get("/api/v1/pickup-points/OS-1?carrier=osprey").json()["details"]) == {"country"}
