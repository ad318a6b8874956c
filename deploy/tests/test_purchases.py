"""Processes that buy labels are killed, and nothing is bought twice, lost or left unknown."""

import itertools
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from deploy.tests import things
from deploy.tests.system import System

pytestmark = pytest.mark.system

CARRIERS = ("pickit", "velocity")
# Where a web process dies, and whether the carrier has a label of one whose client never comes back.
POINTS = {
    "before_reserving": False,
    "before_call": False,
    "during_call": True,
    "after_answer": True,
    "before_commit": True,
    "after_commit": True,
}
# What the carrier does during the call: it has sold and keeps silent, or it sells when nobody listens any more.
SILENCE = ({"kind": "hang_after", "delay_s": 30}, {"kind": "slow", "delay_s": 3})
QUIET_S = 8
HASTY = {
    "CARRIER_TIMEOUT_S": "4",
    "REQUEST_DEADLINE_S": "6",
    "RECONCILE_FIRST_LOOKUP_S": "2",
    "RECONCILE_EVERY_S": "0.3",
    "RECONCILE_QUIET_PERIOD_S": str(QUIET_S),
    "RATE_LIMITS_ENABLED": "false",
    "WEB_CONCURRENCY": "2",
    "GUNICORN_CMD_ARGS": "--preload",  # the next process is up at once
}


class Shop:
    """Buys at the carriers from an installation whose web processes are killed at it."""

    def __init__(self):
        self.system = System(KILL_AT=",".join(POINTS), **HASTY).start("sandbox", "web", "worker")
        self.warehouse = things.warehouse(things.Things(self.system), "velocity")
        self.held_before = set(self._held())

    def order(self, carrier):
        number = f"ORDER-{uuid.uuid4().hex[:12]}"
        if carrier == "pickit":
            return things.order(order_id=number)
        return things.indian_order(self.warehouse, order_id=number)

    def buy(self, order):
        """The answer under the order's own Idempotency-Key; None where the process died over it."""
        try:
            return self.system.api("POST", "/api/v1/labels", order, order["order_id"])
        except requests.ConnectionError:
            return None

    def buy_and_be_killed(self, carrier, point):
        order = self.order(carrier)
        self.system.kill_at(point)
        # No process may be up yet after the last kill; then nobody has come to the point.
        self.system.wait_for(lambda: self.buy(order) is None and not self.system.will_kill_at(point))
        return order

    def buy_and_be_killed_waiting(self, carrier, silence):
        order, asked = self.order(carrier), len(self.asked(carrier))
        fault = {"carrier": carrier, "operation": "create_label"} | silence
        self.system.control("POST", "/_sandbox/faults", fault)
        with ThreadPoolExecutor(1) as pool:
            lost = pool.submit(self.buy, order)
            self.system.wait_for(lambda: len(self.asked(carrier)) > asked)
            self.system.kill_at("during_call")
            assert lost.result() is None
        assert not self.system.will_kill_at("during_call")
        return order

    def insist(self, order):
        """Ask until the answer is neither lost nor «in progress» nor pending."""

        def answer():
            response = self.buy(order)
            return None if response is None or response.status_code in (409, 202) else (response,)

        return self.system.wait_for(answer, 60)[0]

    def asked(self, carrier):
        """The purchases that a carrier has heard of."""
        return self.system.control("GET", f"/_sandbox/calls?operation=create_label&carrier={carrier}")

    def sales(self):
        """How often the carriers sold something for an order."""
        orders = dict(self.system.database.rows("SELECT reference, order_id FROM shipping_shipment"))
        made = itertools.chain.from_iterable(map(self.asked, CARRIERS))
        return Counter(orders[call["reference"]] for call in made if (call["done"] or 500) < 300)

    def bookings(self):
        """State and tracking number by our reference, of all that was ever asked for here."""
        asked_for = "carrier <> '' AND reference LIKE 'WB%'"
        query = f"SELECT reference, booking_state, tracking_number FROM shipping_shipment WHERE {asked_for}"
        return {reference: (state, number) for reference, state, number in self.system.database.rows(query)}

    def printed(self):
        """The references of which a label is stored."""
        query = "SELECT reference FROM shipping_label JOIN shipping_shipment ON shipment_id = shipping_shipment.id"
        return {reference for (reference,) in self.system.database.rows(query)}

    def sold(self):
        """All that the carriers hold since we buy: our reference and their tracking number."""
        return [one for one in self._held() if one not in self.held_before]

    def _held(self):
        for one in self.system.control("GET", "/_sandbox/pickit/shipments"):
            yield one["reference"], one["tracking_number"]
        for one in self.system.control("GET", "/_sandbox/velocity/shipments"):
            yield one["order_id"], one["awb"]


@pytest.fixture
def shop():
    one = Shop()
    yield one
    one.system.close()


def killed_once(shop, carrier, point, number):
    if point == "during_call":
        # By turns, and at one carrier for those who come back what it is at the other for those who do not.
        return shop.buy_and_be_killed_waiting(carrier, SILENCE[(number + CARRIERS.index(carrier)) % 2])
    return shop.buy_and_be_killed(carrier, point)


def test_web_processes_killed_anywhere_never_buy_twice_and_leave_nothing_unknown(shop, full_size):
    kills = 10 if full_size else 2
    killed = {
        (carrier, point, number): killed_once(shop, carrier, point, number)
        for point, carrier, number in itertools.product(POINTS, CARRIERS, range(kills))
    }

    # Every second client comes back with its key, the others are never heard of again.
    back = {case for case in killed if case[2] % 2 == 0}
    bought = {case for case in killed if POINTS[case[1]] or (case[1] == "before_reserving" and case in back)}
    for case in sorted(back):
        assert shop.insist(killed[case]).status_code == (200 if case in bought else 504), case
    shop.system.wait_for(lambda: all(state != "pending" for state, _number in shop.bookings().values()), QUIET_S + 30)

    sales = shop.sales()
    assert {case: sales[order["order_id"]] for case, order in killed.items()} == {
        case: case in bought for case in killed
    }
    assert sales.total() == len(bought)
    bookings = shop.bookings()
    assert {state for state, _number in bookings.values()} == {"booked", "failed"}
    booked = {reference: number for reference, (state, number) in bookings.items() if state == "booked"}
    assert sorted(shop.sold()) == sorted(booked.items())
    assert shop.system.control("GET", "/_sandbox/calls?operation=cancel") == []
    assert shop.printed() == set(booked)
