"""Transit times, checks of addresses, names and kinds of prices, and the description of a carrier."""

import pytest

from carriers.adapters.registry import ADAPTERS
from carriers.api.carriers import carrier_details
from carriers.credentials import storage
from shipping.models import Quote
from shipping.tests.orders import BERLIN, OSLO
from shipping.tests.osprey import OspreyAdapter

pytestmark = [pytest.mark.django_db, pytest.mark.once]
ROUTE = {"carrier": "osprey", "origin": OSLO, "destination": BERLIN, "packages": [{"weight_kg": 2}]}


@pytest.fixture(autouse=True)
def _osprey(monkeypatch, tenant):
    monkeypatch.setitem(ADAPTERS, "osprey", OspreyAdapter)
    monkeypatch.setattr(OspreyAdapter, "orders", [])
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
    (order,) = OspreyAdapter.orders
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
    for path, body in (("transit-times", ROUTE), ("address-check", {"address": OSLO})):
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
    assert shown["capabilities"] == ["quote", "transit_times", "check_address"]
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
