"""Amounts have the decimals of their currency, from the request to the carrier and the answers."""

import pytest

from carriers.adapters.currencies import currency_code
from shipping.models import Parcel, Shipment
from shipping.tests.labels import buy

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("credential")]
THREE = ("BHD", "JOD", "KWD", "OMR", "TND")


def with_amounts(order, currency, amount):
    package = order["packages"][0] | {"declared_value": amount, "currency": currency}
    item = {"name": "Cup", "quantity": 2, "unit_price": amount, "discount": amount, "tax": amount}
    return order | {"packages": [package], "items": [item], "currency": currency, "order_id": f"O-{currency}"}


def test_three_decimals_reach_the_carrier_and_the_answers(api, sandbox, order):
    for currency in THREE:
        label = buy(api, with_amounts(order, currency, 1.234))
        assert label.status_code == 200, label.content
        assert "amount_unlikely" not in str(label.json()["warnings"])
        sent = sandbox.calls(operation="create_label")[-1]["body"]["packages"][0]
        assert (float(sent["declared_value"]), sent["currency"]) == (1.234, currency)
        assert str(Parcel.objects.get(shipment_id=label.json()["shipment_id"]).declared_value) == "1.234"
        shown = api.get(f"/api/v1/shipments/{label.json()['shipment_id']}").json()
        assert (shown["items"][0]["unit_price"], shown["packages"][0]["declared_value"]) == (1.234, 1.234)
        price = str(shown["total_price"])
        assert Shipment.objects.get(id=shown["shipment_id"]).currency == shown["currency"] == currency
        assert len(price.partition(".")[2]) <= 3


def test_decimals_that_a_currency_has_not_are_refused_or_warned_of(api, sandbox, order):
    fields = ["packages[0].declared_value", *(f"items[0].{name}" for name in ("unit_price", "discount", "tax"))]
    for currency, amount in (("USD", "10.005"), ("JPY", "1000.505"), (None, "10.005")):
        refused = buy(api, with_amounts(order, currency, amount))
        assert refused.status_code == 400
        assert set(refused.json()["details"]) == set(fields), currency
    assert not sandbox.calls(operation="create_label")
    for path in ("quotes", "labels"):
        answer = api.post(f"/api/v1/{path}", with_amounts(order, "JPY", "1000.50"))
        warned = [one for one in answer.json()["warnings"] if one["code"] == "amount_unlikely"]
        assert [one["field"] for one in warned] == fields, path
    for amount in ("1000", "1000.00"):
        answer = api.post("/api/v1/quotes", with_amounts(order, "JPY", amount))
        assert "amount_unlikely" not in str(answer.json().get("warnings"))


def test_obsolete_and_test_currencies_are_refused_everywhere(api, order):
    for code in ("DEM", "XXX", "XTS", "XAU", "ZZZ"):
        for path in ("quotes", "labels"):
            body = with_amounts(order, code, 1)
            assert {"currency", "packages[0].currency"} <= set(api.post(f"/api/v1/{path}", body).json()["details"])


def test_currency_of_a_carrier_is_a_current_code_or_empty():
    for written in ("$", "DEM", "XXX", "", "kr", "gold"):
        assert currency_code(written, "") == ""
    assert [currency_code(one, "KW") for one in ("KWD", "kwd ", "US$")] == ["KWD", "KWD", "USD"]
