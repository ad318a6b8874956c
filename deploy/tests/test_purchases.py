"""Processes that buy labels are killed, and nothing is bought twice, lost or left unknown."""

import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from deploy.tests import things
from deploy.tests.system import System

pytestmark = pytest.mark.system

POINTS = ("before_reserving", "before_call", "after_answer", "before_commit", "after_commit")
QUIET_S = 8
HASTY = {
    "CARRIER_TIMEOUT_S": "4",
    "REQUEST_DEADLINE_S": "6",
    "RECONCILE_FIRST_LOOKUP_S": "2",
    "RECONCILE_EVERY_S": "0.3",
    "RECONCILE_QUIET_PERIOD_S": str(QUIET_S),
    "RATE_LIMITS_ENABLED": "false",
}


class Shop:
    """Buys at one carrier from an installation whose web processes are killed at it."""

    def __init__(self, carrier):
        self.carrier = carrier
        self.system = System(KILL_AT=",".join(POINTS), WEB_CONCURRENCY="2", **HASTY).start("sandbox", "web", "worker")
        self.warehouse = things.warehouse(things.Things(self.system), "velocity") if carrier == "velocity" else None

    def order(self):
        number = f"ORDER-{uuid.uuid4().hex[:12]}"
        if self.carrier == "pickit":
            return things.order(order_id=number)
        return things.indian_order(self.warehouse, order_id=number)

    def buy(self, order):
        """The answer under the order's own Idempotency-Key; None where the process died over it."""
        try:
            return self.system.api("POST", "/api/v1/labels", order, order["order_id"])
        except requests.ConnectionError:
            return None

    def buy_and_be_killed(self, point):
        order = self.order()
        self.system.kill_at(point)
        # No process may be up yet after the last kill; then nobody has come to the point.
        self.system.wait_for(lambda: self.buy(order) is None and not self.system.will_kill_at(point))
        return order

    def insist(self, order):
        """Ask until the answer is neither lost nor «in progress» nor pending."""

        def answer():
            response = self.buy(order)
            return None if response is None or response.status_code in (409, 202) else (response,)

        return self.system.wait_for(answer, 60)[0]

    def purchases(self, order):
        """How often the carrier sold it."""
        made = self.system.world("GET", f"/_sandbox/calls?operation=create_label&carrier={self.carrier}")
        sold = [call for call in made if (call["done"] or 500) < 300]
        return sum(order["order_id"] in (call["body"]["order_id"], self._ordered(call)) for call in sold)

    def _ordered(self, call):
        """Velocity knows an order by our reference alone."""
        return self.references().get(call["reference"])

    def references(self):
        return dict(self.system.database.rows("SELECT reference, order_id FROM shipping_shipment"))

    def bookings(self):
        """State and tracking number by our reference."""
        query = "SELECT reference, booking_state, tracking_number FROM shipping_shipment WHERE booking_state <> 'none'"
        return {reference: (state, number) for reference, state, number in self.system.database.rows(query)}

    def sold(self):
        """What the carrier holds of ours: (reference, tracking number, whether it is called off)."""
        ours = self.bookings()
        for one in self.system.world("GET", f"/_sandbox/{self.carrier}/shipments"):
            reference = one.get("reference") or one["order_id"]
            number = one.get("tracking_number") or one.get("awb")
            if reference.startswith("WB") or reference in ours:
                yield reference, number, "CANCELLED" in (one.get("status_code"), str(one.get("status")).upper())


@pytest.fixture(params=["pickit", "velocity"])
def shop(request):
    one = Shop(request.param)
    yield one
    one.system.close()


def test_a_web_process_killed_anywhere_never_buys_twice_and_leaves_nothing_unknown(shop, full_size):
    kills = 10 if full_size else 2
    killed = {point: [shop.buy_and_be_killed(point) for _ in range(kills)] for point in POINTS}
    killed["during_call"] = killed_during_the_call(shop, kills)

    # Every second client comes back with its key, the others are never heard of again.
    bought = set(POINTS) - {"before_call"} | {"during_call"}
    for point, orders in killed.items():
        for order in orders[::2]:
            assert shop.insist(order).status_code == (200 if point in bought else 504), point
    shop.system.wait_for(lambda: all(state != "pending" for state, _number in shop.bookings().values()), 60 + QUIET_S)

    for point, orders in killed.items():
        for number, order in enumerate(orders):
            came_back = number % 2 == 0
            expected = point in bought and (came_back or point != "before_reserving")
            assert shop.purchases(order) == expected, (point, number)
    bookings = shop.bookings()
    assert {state for state, _number in bookings.values()} == {"booked", "failed"}
    sold = list(shop.sold())
    assert len(sold) >= kills * 4
    for reference, number, called_off in sold:
        assert called_off or bookings[reference] == ("booked", number)
    ours = {number for reference, (state, number) in bookings.items() if state == "booked" and reference[:2] == "WB"}
    assert ours == {number for _reference, number, called_off in sold if not called_off}


def killed_during_the_call(shop, kills):
    """Web processes die while the carrier, which has sold already, keeps silent."""
    fault = {"carrier": shop.carrier, "operation": "create_label", "kind": "hang_after", "delay_s": 30, "count": kills}
    before = len(shop.system.purchases())
    shop.system.world("POST", "/_sandbox/faults", fault)
    orders = [shop.order() for _ in range(kills)]
    with ThreadPoolExecutor(kills) as pool:
        lost = [pool.submit(shop.buy, order) for order in orders]
        shop.system.wait_for(lambda: len(shop.system.purchases()) >= before + kills)
        shop.system.kill("web")
        assert [one.result() for one in lost] == [None] * kills
    shop.system.start("web")
    return orders
