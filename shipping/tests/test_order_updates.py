"""Changes of booked orders: sent_bodies to the carrier first, then stored, one at a time."""

from datetime import timedelta

import pytest
from django.core.files.storage import default_storage
from django.utils import timezone

from carriers.adapters.velocity import VelocityAdapter
from shipping.labels import documents
from shipping.models import Document, Parcel, Shipment
from shipping.tests.velocity import BUYER, buy
from shipping.tests.velocity import advance as advance
from shipping.tests.velocity import later as later
from shipping.tests.velocity import order as order
from shipping.tests.velocity import patch as patch
from shipping.tests.velocity import platform_credential as platform_credential
from shipping.tests.velocity import put as put
from shipping.tests.velocity import sent_bodies as sent_bodies
from shipping.tests.velocity import velocity_credential as velocity_credential
from shipping.tests.velocity import warehouse as warehouse

pytestmark = [pytest.mark.django_db, pytest.mark.once, pytest.mark.usefixtures("velocity_credential", "sandbox")]


def test_change_of_a_killed_process_discards_the_label(api, order):
    buy(api, order)
    label = Document.objects.get(kind="label")
    Shipment.objects.update(changing_until=timezone.now() - timedelta(seconds=1))
    assert documents.fetch_missing() == 1
    assert Document.objects.get(kind="label").file.name != label.file.name
    assert Shipment.objects.get().changing_until is None


def test_running_change_keeps_its_label(api, order):
    buy(api, order)
    until = timezone.now() + timedelta(seconds=30)
    Shipment.objects.update(changing_until=until)
    assert documents.fetch_missing() == 0
    assert Shipment.objects.get().changing_until == until


def test_order_is_changed_at_the_carrier_and_then_stored(api, client, api_key, order, sandbox):
    label = buy(api, order)
    path = f"/api/v1/shipments/{label['shipment_id']}"
    change = {"destination": BUYER | {"street": "14 Example Road"}, "packages": [{"weight_kg": 2}]}
    Parcel.objects.update(tracking_number="BOX-1", reference="WB-1")
    answer = client.patch(path, change, content_type="application/json", headers={"X-API-Key": api_key})
    assert answer.status_code == 200, answer.content
    assert answer.json()["destination"]["street"] == "14 Example Road"
    assert [package["weight_kg"] for package in answer.json()["packages"]] == [2]
    assert Parcel.objects.values_list("tracking_number", "reference").get() == ("BOX-1", "WB-1")
    stored = sandbox.control("GET", f"/_sandbox/velocity/shipments?reference={answer.json()['reference']}")
    assert stored[0]["body"]["shipping_address"] == "14 Example Road"
    advance(sandbox, label["tracking_number"], to="OFD", webhook=False)
    late = client.patch(path, change, content_type="application/json", headers={"X-API-Key": api_key})
    assert (late.status_code, late.json()["error"]) == (400, "carrier_rejected")
    assert late.json()["carrier_message"] == "Cannot update order in current status"
    assert Shipment.objects.get(id=label["shipment_id"]).destination["street"] == "14 Example Road"


@pytest.mark.parametrize(
    ("change", "field"),
    [({"payment_method": "cod", "cod_amount": 500}, "cod_amount"), ({"cod_amount": 500}, "cod_amount")],
)
def test_return_cannot_become_cash_on_delivery(api, patch, order, sent_bodies, change, field):
    back = api.post("/api/v1/returns", {"shipment_id": buy(api, order)["shipment_id"]}).json()
    refused = patch(f"/api/v1/shipments/{back['shipment_id']}", change)
    assert (refused.status_code, list(refused.json()["details"])) == (400, [field])
    assert not sent_bodies("update_order")


def test_missing_parcel_fields_stay_here_and_at_the_carrier(api, patch, order, sandbox):
    goods = {"declared_value": 400, "currency": "INR", "description": "Shirts"}
    two = [order["packages"][0] | goods, {"weight_kg": 1, "length_cm": 30, "width_cm": 60, "height_cm": 5}]
    label = buy(api, order | {"packages": two})
    path = f"/api/v1/shipments/{label['shipment_id']}"
    changed = patch(path, {"packages": [{"weight_kg": 2}, {"weight_kg": 1, "height_cm": 7}]}).json()
    rows = [{name: value for name, value in one.items() if value is not None} for one in changed["packages"]]
    expected = [two[0] | {"weight_kg": 2}, two[1] | {"height_cm": 7}]
    assert [{name: one[name] for name in wanted} for one, wanted in zip(rows, expected, strict=True)] == expected
    there = sandbox.control("GET", f"/_sandbox/velocity/shipments?reference={changed['reference']}")[0]["body"]
    assert {name: there[name] for name in ("weight", "length", "breadth", "height")} == {
        "weight": 3,
        "length": 100,
        "breadth": 60,
        "height": 17,
    }
    refused = patch(path, {"packages": [{"weight_kg": 4, "length_cm": 100}]})
    assert list(refused.json()["details"]) == ["packages[0].width_cm", "packages[0].height_cm"]
    one = {"weight_kg": 4, "length_cm": 40, "width_cm": 50, "height_cm": 10}
    (left,) = patch(path, {"packages": [one]}).json()["packages"]
    assert (left["declared_value"], left["description"]) == (None, "")  # of the removed parcel
    advance(sandbox, label["tracking_number"], to="DEL")
    back = api.post("/api/v1/returns", {"shipment_id": label["shipment_id"]})
    assert back.status_code == 200, back.content
    assert Parcel.objects.get(shipment=back.json()["shipment_id"]).height_cm == 10


@pytest.mark.django_db(transaction=True)
def test_changed_order_has_the_carriers_new_label(api, patch, order, sandbox):
    path = f"/api/v1/shipments/{buy(api, order)['shipment_id']}"
    before, stored = api.get(f"{path}/label").getvalue(), Document.objects.get(kind="label").file.name
    assert patch(path, {"destination": BUYER | {"contact_name": "Zed Zulu", "city": "Pune"}}).status_code == 200
    assert api.get(f"{path}/label").getvalue() != before
    assert not default_storage.exists(stored)

    sandbox.control("POST", "/_sandbox/faults", {"operation": "documents", "kind": "status", "status": 404, "count": 9})
    patch(path, {"destination": BUYER | {"contact_name": "Yan Yule"}})
    assert api.get(f"{path}/label").status_code == 404  # better none than one with another address
    sandbox.control("DELETE", "/_sandbox/faults")
    Document.objects.update(fetch_at=timezone.now())
    assert documents.fetch_missing() == 1
    assert api.get(f"{path}/label").status_code == 200


def test_changed_payment_and_items_are_sent_and_shown(api, patch, order, sandbox):
    label = buy(api, {name: order[name] for name in order if name not in ("payment_method", "cod_amount")})
    path = f"/api/v1/shipments/{label['shipment_id']}"
    for change in ({"cod_amount": 77}, {"payment_method": "cod"}):
        refused = patch(path, change)
        assert (refused.status_code, list(refused.json()["details"])) == (400, ["cod_amount"])
    assert patch(path, {"payment_method": "cod", "cod_amount": 77}).json()["payment"]["cod_amount"] == 77
    assert patch(path, {"cod_amount": 78}).json()["payment"] == {
        "method": "cod",
        "cod_amount": 78,
        "currency": "INR",
    }
    assert patch(path, {"payment_method": "prepaid"}).json()["payment"]["cod_amount"] is None
    (there,) = sandbox.control("GET", f"/_sandbox/velocity/shipments?reference={Shipment.objects.get().reference}")
    assert (there["body"]["payment_method"], repr(there["body"]["cod_collectible"])) == ("PREPAID", "0")


def test_contact_stays_if_only_the_address_changes(api, patch, order, sandbox):
    path = f"/api/v1/shipments/{buy(api, order)['shipment_id']}"
    place = {name: BUYER[name] for name in ("city", "state", "postal_code", "country")} | {"street": "1 New Road"}
    changed = patch(path, {"destination": place}).json()
    assert changed["destination"] == BUYER | {"street": "1 New Road"}
    (there,) = sandbox.control("GET", f"/_sandbox/velocity/shipments?reference={changed['reference']}")
    assert (there["body"]["shipping_customer_name"], there["body"]["shipping_phone"]) == ("Asha", "9000000001")


def test_change_without_an_answer_can_be_repeated(api, patch, order, sandbox, settings):
    settings.CARRIER_MAX_RETRIES = 0
    path = f"/api/v1/shipments/{buy(api, order)['shipment_id']}"
    sandbox.control("POST", "/_sandbox/faults", {"operation": "update_order", "kind": "cut", "count": 1})
    lost = patch(path, {"packages": [{"weight_kg": 2}]})
    assert (lost.status_code, lost.json()["error"], lost.json()["retryable"]) == (504, "carrier_timeout", True)
    assert patch(path, {"packages": [{"weight_kg": 2}]}).status_code == 200


def test_concurrent_change_is_refused_until_the_first_ends(patch, order, api, sandbox, monkeypatch):
    path = f"/api/v1/shipments/{buy(api, order)['shipment_id']}"
    change, answers = VelocityAdapter.update_order, []

    def change_while_another_asks(adapter, update):
        done = change(adapter, update)
        answers.append(patch(path, {"destination": BUYER | {"street": "2 Second Street"}}))
        return done

    monkeypatch.setattr(VelocityAdapter, "update_order", change_while_another_asks)
    first = patch(path, {"destination": BUYER | {"street": "1 First Street"}})
    assert (first.status_code, first.json()["destination"]["street"]) == (200, "1 First Street")
    (second,) = answers
    assert (second.status_code, second.json()["error"], second["Retry-After"]) == (409, "in_progress", "2")
    monkeypatch.undo()
    assert patch(path, {"destination": BUYER | {"street": "2 Second Street"}}).status_code == 200
    (there,) = sandbox.control("GET", f"/_sandbox/velocity/shipments?reference={first.json()['reference']}")
    assert there["body"]["shipping_address"] == Shipment.objects.get().destination["street"] == "2 Second Street"


def test_lease_of_a_killed_change_ends(api, patch, order):
    path = f"/api/v1/shipments/{buy(api, order)['shipment_id']}"
    Shipment.objects.update(changing_until=timezone.now() + timedelta(seconds=30))
    assert patch(path, {"packages": [{"weight_kg": 2}]}).status_code == 409
    with later(seconds=31):
        assert patch(path, {"packages": [{"weight_kg": 2}]}).status_code == 200


def test_label_is_fetched_again_after_a_change_without_an_answer(api, patch, order, sandbox):
    path = f"/api/v1/shipments/{buy(api, order)['shipment_id']}"
    before = api.get(f"{path}/label").getvalue()
    fault = {"operation": "update_order", "kind": "status", "status": 500, "count": 1, "after": True}
    sandbox.control("POST", "/_sandbox/faults", fault)
    assert patch(path, {"destination": BUYER | {"contact_name": "Zed Zulu"}}).status_code == 504
    assert api.get(f"{path}/label").status_code == 404  # better none than one with another name
    assert documents.fetch_missing() == 1
    assert api.get(f"{path}/label").getvalue() != before


def test_file_fetched_during_a_change_is_not_stored(api, order, sandbox, monkeypatch):
    path = f"/api/v1/shipments/{buy(api, order)['shipment_id']}"
    Document.objects.update(file="", fetch_at=timezone.now())
    fetch = VelocityAdapter.documents

    def changed_meanwhile(adapter, ref, kinds):
        found = fetch(adapter, ref, kinds)
        documents.discard_files(Shipment.objects.get())
        return found

    with monkeypatch.context() as patched:
        patched.setattr(VelocityAdapter, "documents", changed_meanwhile)
        assert documents.fetch_missing() == 0
    assert api.get(f"{path}/label").status_code == 404
    assert documents.fetch_missing() == 1
    assert api.get(f"{path}/label").status_code == 200
