"""Doubtful data of an order is accepted unchanged with warnings, which a merchant can mute."""

import pytest

from apikeys.models import Merchant
from shipping.common import input_warnings
from shipping.models import Shipment

OSLO = {"country": "NO", "postal_code": "0150", "city": "Oslo", "contact_phone": "+47 22 12 34 56"}
AUSTIN = {
    "country": "US",
    "postal_code": "78701-1234",
    "city": "Austin",
    "state": "tx",
    "contact_phone": "512 555 0100",
}
BOX = {"weight_kg": "2.5", "length_cm": "30", "width_cm": "20", "height_cm": "15"}


def create_warnings(**changes):
    order = {"origin": OSLO, "destination": AUSTIN, "packages": [BOX]} | changes
    return [(one["field"], one["code"]) for one in input_warnings.check_request(order)]


def test_ordinary_order_has_no_warnings():
    assert create_warnings() == []
    assert (
        create_warnings(origin={"country": "AQ", "postal_code": "x", "city": "y"}, packages=[{"weight_kg": "1"}]) == []
    )


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        ({"destination": AUSTIN | {"postal_code": "7870"}}, "destination.postal_code", "postal_code_unlikely"),
        ({"origin": OSLO | {"postal_code": "01500"}}, "origin.postal_code", "postal_code_unlikely"),
        ({"destination": AUSTIN | {"state": "Texxas"}}, "destination.state", "state_unlikely"),
        ({"destination": AUSTIN | {"contact_phone": "12"}}, "destination.contact_phone", "phone_unlikely"),
        ({"destination": AUSTIN | {"contact_phone": "call me"}}, "destination.contact_phone", "phone_unlikely"),
        ({"destination": AUSTIN | {"contact_phone": "+1 000 000 0000"}}, "destination.contact_phone", "phone_unlikely"),
        ({"destination": AUSTIN | {"state": "NY"}}, "destination.postal_code", "postal_code_unlikely"),
        ({"origin": OSLO | {"country": "XX"}}, "origin.country", "country_unlikely"),
        ({"billing_address": AUSTIN | {"state": "Bavaria"}}, "billing_address.state", "state_unlikely"),
        ({"packages": [BOX, BOX | {"weight_kg": "2500"}]}, "packages[1].weight_kg", "weight_unlikely"),
        ({"packages": [BOX | {"length_cm": "3000"}]}, "packages[0]", "size_unlikely"),
        ({"packages": [BOX | {"weight_kg": "0.001"}]}, "packages[0]", "density_unlikely"),
    ],
)
def test_doubtful_data_is_named(change, field, code):
    assert (field, code) in create_warnings(**change)


def test_state_may_be_a_name_or_a_code():
    for written in ("TX", "tx", "Texas", "TEXAS "):
        assert create_warnings(destination=AUSTIN | {"state": written}) == []


@pytest.mark.django_db
@pytest.mark.usefixtures("credential", "sandbox")
class TestTheApi:
    def test_label_is_bought_unchanged_with_warnings(self, api, order):
        order["destination"]["postal_code"] = "1000"
        headers = {"Idempotency-Key": "warnings"}
        answers = [api.post("/api/v1/labels", order, headers=headers).json() for _ in range(2)]
        assert "destination.postal_code" in [one["field"] for one in answers[0]["warnings"]]
        assert answers[0]["warnings"] == answers[1]["warnings"]
        assert Shipment.objects.get().destination["postal_code"] == "1000"
        quote = api.post("/api/v1/quotes", order).json()
        assert quote["warnings"] == answers[0]["warnings"]

    def test_request_or_merchant_can_mute_warnings(self, api, order, merchant):
        order["destination"]["postal_code"] = "1000"
        assert api.post("/api/v1/quotes", order | {"mute_warnings": True}).json()["warnings"] == []
        Merchant.objects.filter(id=merchant.id).update(mute_warnings=True)
        assert api.post("/api/v1/labels", order).json()["warnings"] == []
        assert api.post("/api/v1/quotes", order).json()["warnings"] == []

    def test_warnings_are_in_the_callers_language(self, api, order):
        order["destination"]["postal_code"] = "1000"
        answer = api.post("/api/v1/quotes", order, headers={"Accept-Language": "es"}).json()
        messages = {one["field"]: one["message"] for one in answer["warnings"]}
        assert messages["destination.postal_code"].startswith("Este no es un código postal de US")

    @pytest.mark.parametrize(
        ("sent", "stored"), [("usd", "USD"), ("ZZZ", None), ("US", None), ("ßp", None), (840, None)]
    )
    def test_currency_must_exist(self, api, order, sent, stored):
        order["packages"][0] |= {"declared_value": 5, "currency": sent}
        answer = api.post("/api/v1/labels", order)
        if stored:
            assert (answer.status_code, Shipment.objects.get().request["packages"][0]["currency"]) == (200, stored)
        else:
            assert (answer.status_code, list(answer.json()["details"])) == (400, ["packages[0].currency"])
