"""Shipments of several parcels over the public API, from the order to the delivery."""

import base64
import functools
from types import SimpleNamespace

import pytest
import requests

from deploy.demo_receiver import Receiver
from deploy.tests.system import System

pytestmark = pytest.mark.system

HASTY = {
    "RATE_LIMITS_ENABLED": "false",
    "POLL_EVERY_S": "1",
    "CARRIER_TIMEOUT_S": "3",
    "REQUEST_DEADLINE_S": "5",
    "RECONCILE_EVERY_S": "0.3",
}
STARTS = {"PDF": b"%PDF-", "GIF": b"GIF8"}
BALTIMORE = {
    "company": "Nordwind Goods",
    "contact_name": "Ada Lane",
    "contact_phone": "+14105550100",
    "street": "12 Harbor Way",
    "city": "Baltimore",
    "state": "MD",
    "postal_code": "21201",
    "country": "US",
}
BERLIN = {
    "contact_name": "Jörg Weiß",
    "contact_phone": "+4930123456",
    "street": "Torstraße 1",
    "city": "Berlin",
    "postal_code": "10119",
    "country": "DE",
}
OSLO = {
    "company": "Nordwind AS",
    "contact_name": "Ada Lane",
    "contact_phone": "+4790000001",
    "contact_email": "ops@nordwind.example",
    "street": "Storgata 1",
    "city": "Oslo",
    "postal_code": "0155",
    "country": "NO",
}
BERGEN = OSLO | {"contact_name": "Bo Quist", "street": "Bryggen 2", "city": "Bergen", "postal_code": "5003"}
BOX = {"weight_kg": 1.4, "length_cm": 25, "width_cm": 20, "height_cm": 10, "description": "Books and shirts"}
ABROAD = {
    "carrier": "ups",
    "origin": BALTIMORE,
    "destination": BERLIN,
    "packages": [BOX, BOX | {"weight_kg": 0.9}],
    "items": [
        {"name": "Book", "quantity": 2, "unit_price": 12.5, "hs_code": "490199", "origin_country": "US", "parcel": 1},
        {"name": "Shirt", "quantity": 1, "unit_price": 25, "hs_code": "610510", "origin_country": "PT", "parcel": 2},
    ],
    "currency": "USD",
    "service_type": "65",
    "label_format": "GIF",
    "customs": {"incoterm": "DAP", "invoice_number": "INV-7"},
    "options": {"signature": "adult", "carrier": {"eu_de_minimis": True}},
    "wanted_documents": ["invoice"],
}
TO_A_POINT = {
    "carrier": "bring",
    "origin": OSLO,
    "destination": BERGEN,
    "packages": [BOX, BOX | {"weight_kg": 0.9}],
    "service_type": "5800",
}


class Shop:
    """A merchant with a server for webhooks, and the carriers whose scans it causes."""

    def __init__(self):
        self.system = System(**HASTY)
        self.system.environment["CARRIER_CALLBACK_URL"] = self.system.web
        self.receiver = Receiver(self.system.receiver_port)
        self.system.start("sandbox", "web", "worker")

    def call(self, method, path, body=None):
        response = self.system.api(method, path, body)
        assert response.status_code == 200, response.text
        return response.json()

    def buy(self, order, **changes):
        """Buy a label and return the response, with the numbers of its parcels."""
        return with_numbers(self.call("POST", "/api/v1/labels", order | changes))

    def scan(self, carrier, number, step, **more):
        self.system.control("POST", f"/_sandbox/{carrier}/shipments/{number}/advance", {"to": step} | more)

    def show(self, bought):
        return self.call("GET", f"/api/v1/shipments/{bought.shipment_id}")

    def purchases(self, carrier, bought):
        """Return the purchases under a shipment's reference that the carrier received."""
        query = f"operation=create_label&carrier={carrier}&reference={self.show(bought)['reference']}"
        return self.system.control("GET", f"/_sandbox/calls?{query}")

    def wait_for_status(self, bought, status):
        self.system.wait_for(lambda: self.show(bought)["status"] == status)

    def subscribed(self, carrier, numbers):
        """Return whether the carrier sends webhooks about these numbers; none: about the whole credential."""
        query = f"""
            SELECT number FROM webhooks_carriersubscription JOIN carriers_credential ON credential_id =
            carriers_credential.id WHERE carrier = '{carrier}' AND webhooks_carriersubscription.state = 'active'
        """
        return {number for (number,) in self.system.database.rows(query)} >= set(numbers)

    def statuses(self, bought):
        """Return the statuses that the merchant's server received, in alphabetical order: webhooks overtake others."""
        webhooks = self.receiver.webhooks_of(bought.shipment_id)
        return sorted(one["data"]["status"] for one in webhooks if one["type"] == "shipment.status_changed")

    def delivered_parcels(self, bought):
        """Return the numbers of the parcels that the merchant's server knows to be delivered."""
        received = self.receiver.webhooks_of(bought.shipment_id)
        scans = [one["data"]["checkpoint"] for one in received if one["type"] == "shipment.checkpoint"]
        return {scan["parcel"] for scan in scans if scan["status"] == "delivered"}

    def webhook_types(self, bought):
        return {one["type"] for one in self.receiver.webhooks_of(bought.shipment_id)}

    def download(self, url):
        response = requests.get(url, headers={"X-API-Key": "test-api-key"}, timeout=30)
        assert response.status_code == 200, response.text
        return response.content

    def close(self):
        self.system.close()
        self.receiver.server.shutdown()
        self.receiver.server.server_close()


@pytest.fixture(scope="module")
def shop():
    opened = Shop()
    yield opened
    opened.close()


def with_numbers(label):
    """Return a label as an object, with the numbers of its parcels."""
    return SimpleNamespace(**label, numbers=[parcel["tracking_number"] for parcel in label["parcels"]])


def check_files(shop, bought, expected):
    """Check kinds, parcels and contents of the documents of a shipment, and that each parcel has its label."""
    documents = shop.call("GET", f"/api/v1/shipments/{bought.shipment_id}/documents")["documents"]
    assert documents == bought.documents
    assert sorted((one["kind"], one["parcel"]) for one in documents) == expected
    files = {one["url"]: shop.download(one["url"]) for one in documents}
    assert all(files[one["url"]].startswith(STARTS[one["format"]]) for one in documents)
    assert len(set(files.values())) == len(documents)
    assert {parcel["label_url"] for parcel in bought.parcels} <= set(files)
    assert base64.b64decode(bought.label_data) == shop.download(bought.label_url)


def check_found_by_each_number(shop, bought, carrier):
    for number in bought.numbers:
        assert shop.call("GET", f"/api/v1/tracking/{number}")["tracking_id"] == bought.tracking_number
        track = shop.call("POST", "/api/v1/tracking", {"carrier": carrier, "tracking_number": number})
        assert track["metadata"]["shipment_id"] == bought.shipment_id
    body = {"carrier": carrier, "tracking_numbers": bought.numbers}
    results = shop.call("POST", "/api/v1/tracking", body)["results"]
    assert [one["metadata"]["shipment_id"] for one in results] == [bought.shipment_id] * len(bought.numbers)


def check_parcels_delivered(shop, bought):
    """Check that each parcel has its own scans up to the delivery, of which the merchant's server was notified."""
    rows = shop.call("GET", f"/api/v1/tracking/{bought.tracking_number}")["checkpoints"]
    for number in bought.numbers:
        assert [one["status"] for one in rows if one["parcel"] == number][-1] == "DELIVERED"
    shop.system.wait_for(lambda: shop.delivered_parcels(bought) == set(bought.numbers))


def test_two_parcels_abroad_with_ups(shop):
    bought = shop.buy(ABROAD, order_id="ABROAD-1")
    first, second = bought.numbers
    assert len({first, second}) == 2
    (sent,) = shop.purchases("ups", bought)
    services = sent["body"]["ShipmentRequest"]["Shipment"]["ShipmentServiceOptions"]
    assert services["DeliveryConfirmation"] == {"DCISType": "2"}
    assert len(services["InternationalForms"]["Product"]) == 2
    check_files(shop, bought, [("invoice", None), ("label", 1), ("label", 2)])
    check_found_by_each_number(shop, bought, "ups")
    shop.system.wait_for(lambda: shop.subscribed("ups", [""]))
    for step in ("picked_up", "in_transit", "out_for_delivery"):
        shop.scan("ups", bought.tracking_number, step, whole_shipment=True)
        shop.wait_for_status(bought, step)
    shop.scan("ups", first, "delivered")
    shop.system.wait_for(lambda: any(one["status"] == "delivered" for one in shop.show(bought)["checkpoints"]))
    assert shop.show(bought)["status"] == "out_for_delivery"
    shop.scan("ups", second, "delivered")
    shop.wait_for_status(bought, "delivered")
    check_parcels_delivered(shop, bought)
    expected = ["created", "delivered", "in_transit", "out_for_delivery", "picked_up"]
    shop.system.wait_for(lambda: shop.statuses(bought) == expected)
    assert shop.receiver.rejected == []


def test_two_parcels_to_a_pickup_point_with_bring(shop):
    query = "carrier=bring&country=NO&postal_code=5003"
    point = shop.call("GET", f"/api/v1/pickup-points?{query}")["pickup_points"][0]
    bought = shop.buy(TO_A_POINT, order_id="POINT-1", metadata={"pickup_point_id": point["id"]})
    check_files(shop, bought, [("label", None)])
    check_found_by_each_number(shop, bought, "bring")
    shop.system.wait_for(lambda: shop.subscribed("bring", bought.numbers))
    for step, status in (("HANDED_IN", "picked_up"), ("IN_TRANSIT", "in_transit")):
        shop.scan("bring", bought.tracking_number, step)
        shop.wait_for_status(bought, status)
    shop.scan("bring", bought.numbers[0], "READY_FOR_PICKUP")
    shop.scan("bring", bought.numbers[1], "READY_FOR_PICKUP")
    shop.wait_for_status(bought, "at_pickup_point")
    shop.scan("bring", bought.tracking_number, "DELIVERED")
    shop.wait_for_status(bought, "delivered")
    check_parcels_delivered(shop, bought)
    expected = ["at_pickup_point", "created", "delivered", "in_transit", "picked_up"]
    shop.system.wait_for(lambda: shop.statuses(bought) == expected)


def test_bring_shipment_is_cancelled_here_until_a_scan_undoes_it(shop):
    bought = shop.buy(TO_A_POINT, order_id="CANCEL-1")
    shop.system.wait_for(lambda: shop.subscribed("bring", bought.numbers))
    cancelled = shop.call("POST", f"/api/v1/shipments/{bought.shipment_id}/cancel", {"reason": "Sold out"})
    assert cancelled["cancellation"]["carrier_informed"] is False
    assert shop.show(bought)["status"] == "cancelled"
    shop.scan("bring", bought.tracking_number, "HANDED_IN")
    shop.wait_for_status(bought, "picked_up")
    assert shop.show(bought)["scanned_after_cancellation_at"]
    expected = {"shipment.cancelled", "shipment.scanned_after_cancellation"}
    shop.system.wait_for(lambda: expected <= shop.webhook_types(bought))
    refused = shop.system.api("POST", f"/api/v1/shipments/{bought.shipment_id}/cancel", {})
    assert (refused.status_code, refused.json()["error"]) == (409, "cannot_cancel")


def test_label_of_a_lost_answer_is_recovered_from_ups(shop):
    fault = {"carrier": "ups", "operation": "create_label", "kind": "hang_after", "delay_s": 30}
    shop.system.control("POST", "/_sandbox/faults", fault)
    order = ABROAD | {"order_id": "LOST-1"}
    first = shop.system.api("POST", "/api/v1/labels", order, key="lost-1")
    assert first.status_code in (200, 202)  # 200 if it was found before this response was written
    # The same request returns the label as soon as it is found.
    repeat = functools.partial(shop.system.api, "POST", "/api/v1/labels", order, key="lost-1")
    shop.system.wait_for(lambda: repeat().status_code == 200)
    bought = with_numbers(repeat().json())
    assert bought.shipment_id == first.json()["shipment_id"]
    assert len(set(bought.numbers)) == 2
    check_files(shop, bought, [("label", 1), ("label", 2)])
    check_found_by_each_number(shop, bought, "ups")
    assert len(shop.purchases("ups", bought)) == 1
