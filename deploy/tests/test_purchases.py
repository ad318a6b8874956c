"""Web processes that buy labels are killed; no label is bought twice or lost, and each shipment's state is known."""

import itertools
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from deploy.tests import things
from deploy.tests.system import System

pytestmark = pytest.mark.system

CARRIERS = ("pickit", "velocity", "ups", "bring")
# How many processes are killed per carrier and point, if the tests do not run in full size.
KILLS = {"pickit": 2, "velocity": 2, "ups": 1, "bring": 1}
# Bring has neither a lookup with labels nor a cancellation: what it sold without an answer is not used, and not billed.
KEEPS_NO_LABEL = {("bring", point) for point in ("during_call", "after_answer", "before_commit")}
# Where a web process is killed, and whether the carrier then has a label if the client does not repeat its request.
POINTS = {
    "before_reserving": False,
    "before_call": False,
    "during_call": True,
    "after_answer": True,
    "before_commit": True,
    "after_commit": True,
}
# The carrier during the call: it sells without answering, or sells when the caller has given up.
NO_ANSWER = ({"kind": "hang_after", "delay_s": 30}, {"kind": "slow", "delay_s": 3})
QUIET_S = 8
HASTY = {
    "CARRIER_TIMEOUT_S": "4",
    "REQUEST_DEADLINE_S": "6",
    "RECONCILE_FIRST_LOOKUP_S": "2",
    "RECONCILE_EVERY_S": "0.3",
    "RECONCILE_QUIET_PERIOD_S": str(QUIET_S),
    "RATE_LIMITS_ENABLED": "false",
    "WEB_CONCURRENCY": "2",
    "GUNICORN_CMD_ARGS": "--preload",  # replaced processes serve at once
}


class Shop:
    """Buys labels from an installation whose web processes are killed."""

    def __init__(self):
        self.system = System(KILL_AT=",".join(POINTS), **HASTY).start("sandbox", "web", "worker")
        requests_of = things.Things(self.system)
        self.warehouse = things.warehouse(requests_of, "velocity")
        things.norwegian_credential(requests_of)
        self.held_before = set(self._held())

    def order(self, carrier):
        """Return an order of two parcels."""
        box = {"weight_kg": 1, "length_cm": 20, "width_cm": 15, "height_cm": 10}
        changes = {"order_id": f"ORDER-{uuid.uuid4().hex[:12]}", "packages": [box, box]}
        match carrier:
            case "pickit":
                return things.order(**changes)
            case "velocity":
                return things.indian_order(self.warehouse, **changes)
            case "ups":
                return things.american_order(**changes)
        return things.norwegian_order(**changes)

    def buy(self, order):
        """Return the response under the order's own Idempotency-Key; None if the process was killed."""
        try:
            return self.system.api("POST", "/api/v1/labels", order, order["order_id"])
        except requests.ConnectionError:
            return None

    def buy_and_be_killed(self, carrier, point):
        order = self.order(carrier)
        self.system.kill_at(point)
        # After the last kill there may be no process yet, so that none reaches the point.
        self.system.wait_for(lambda: self.buy(order) is None and not self.system.will_kill_at(point))
        return order

    def buy_and_be_killed_waiting(self, carrier, no_answer):
        order, asked = self.order(carrier), len(self.calls(carrier))
        fault = {"carrier": carrier, "operation": "create_label"} | no_answer
        self.system.control("POST", "/_sandbox/faults", fault)
        with ThreadPoolExecutor(1) as pool:
            lost = pool.submit(self.buy, order)
            self.system.wait_for(lambda: len(self.calls(carrier)) > asked)
            self.system.kill_at("during_call")
            assert lost.result() is None
        assert not self.system.will_kill_at("during_call")
        return order

    def repeat_until_final(self, order):
        """Repeat the request until the response is neither lost nor in progress nor pending."""

        def answer():
            response = self.buy(order)
            return None if response is None or response.status_code in (409, 202) else (response,)

        return self.system.wait_for(answer, 60)[0]

    def calls(self, carrier):
        """Return the purchases that a carrier has received."""
        return self.system.control("GET", f"/_sandbox/calls?operation=create_label&carrier={carrier}")

    def sales(self):
        """Return the number of sales by order."""
        orders = dict(self.system.database.rows("SELECT reference, order_id FROM shipping_shipment"))
        made = itertools.chain.from_iterable(map(self.calls, CARRIERS))
        return Counter(orders[call["reference"]] for call in made if (call["done"] or 500) < 300)

    def bookings(self):
        """Return state and tracking number by our reference, of all shipments at carriers."""
        condition = "carrier <> '' AND reference LIKE 'WB%'"
        query = f"SELECT reference, booking_state, tracking_number FROM shipping_shipment WHERE {condition}"
        return {reference: (state, number) for reference, state, number in self.system.database.rows(query)}

    def orphans(self):
        """Return reference and tracking number of the labels that no shipment uses, and whether they are harmless."""
        query = (
            "SELECT reference, orphan.tracking_number, is_harmless FROM shipping_orphan orphan "
            "JOIN shipping_shipment ON shipment_id = shipping_shipment.id"
        )
        return {(reference, number): bool(harmless) for reference, number, harmless in self.system.database.rows(query)}

    def stored_labels(self):
        """Return the references of which all labels are stored."""
        query = (
            "SELECT reference FROM shipping_document JOIN shipping_shipment ON shipment_id = shipping_shipment.id "
            "WHERE kind = 'label' GROUP BY reference HAVING MIN(file) <> ''"
        )
        return {reference for (reference,) in self.system.database.rows(query)}

    def numbered_parcels(self):
        """Return the references of shipments of which both parcels have a number of their own."""
        query = (
            "SELECT shipping_shipment.reference FROM shipping_parcel parcel "
            "JOIN shipping_shipment ON shipment_id = shipping_shipment.id WHERE parcel.tracking_number <> '' "
            "GROUP BY shipping_shipment.reference HAVING COUNT(DISTINCT parcel.tracking_number) = 2"
        )
        return {reference for (reference,) in self.system.database.rows(query)}

    def sold(self):
        """Return reference and tracking number of all shipments at the carriers since the start."""
        return [one for one in self._held() if one not in self.held_before]

    def _held(self):
        for one in self.system.control("GET", "/_sandbox/pickit/shipments"):
            yield one["reference"], one["tracking_number"]
        for one in self.system.control("GET", "/_sandbox/velocity/shipments"):
            yield one["order_id"], one["awb"]
        for one in self.system.control("GET", "/_sandbox/ups/shipments"):
            yield next(iter(one["references"]), ""), one["tracking_number"]
        for one in self.system.control("GET", "/_sandbox/bring/shipments"):
            yield one["reference"], one["shipment_number"]


@pytest.fixture
def shop():
    one = Shop()
    yield one
    one.system.close()


def killed_once(shop, carrier, point, number):
    if point == "during_call":
        # In turn, so that each carrier meets both cases with and without a repeated request.
        return shop.buy_and_be_killed_waiting(carrier, NO_ANSWER[(number + CARRIERS.index(carrier)) % 2])
    return shop.buy_and_be_killed(carrier, point)


def test_killed_web_processes_never_buy_twice_and_leave_no_unknown_state(shop, full_size):
    killed = {
        (carrier, point, number): killed_once(shop, carrier, point, number)
        for point, carrier in itertools.product(POINTS, CARRIERS)
        for number in range(10 if full_size else KILLS[carrier])
    }

    # Every second client repeats its request with its key, the others do not.
    repeated = {case for case in killed if (case[2] + CARRIERS.index(case[0])) % 2 == 0}
    bought = {case for case in killed if POINTS[case[1]] or (case[1] == "before_reserving" and case in repeated)}
    kept = {case for case in bought if case[:2] not in KEEPS_NO_LABEL}
    for case in sorted(repeated):
        assert shop.repeat_until_final(killed[case]).status_code == (200 if case in kept else 504), case
    shop.system.wait_for(lambda: all(state != "pending" for state, _number in shop.bookings().values()), QUIET_S + 30)

    sales = shop.sales()
    assert {case: sales[order["order_id"]] for case, order in killed.items()} == {
        case: case in bought for case in killed
    }
    assert sales.total() == len(bought)
    bookings = shop.bookings()
    assert {state for state, _number in bookings.values()} == {"booked", "failed"}
    booked = {reference: number for reference, (state, number) in bookings.items() if state == "booked"}
    assert len(booked) == len(kept)
    orphans = shop.orphans()
    assert all(orphans.values())
    assert len(orphans) == len(bought) - len(kept)
    assert sorted(shop.sold()) == sorted([*booked.items(), *orphans])
    assert shop.system.control("GET", "/_sandbox/calls?operation=cancel") == []
    assert shop.stored_labels() == set(booked)
    with_numbers = [killed[case]["order_id"] for case in kept if case[0] in ("ups", "bring")]
    assert len(shop.numbered_parcels()) == len(with_numbers)
