"""A client of the simulated Velocity."""

import uuid

import requests

from carriers.tests import recorded

RECORDED = recorded.examples("velocity")
LOGIN = RECORDED["token_granted"]["request"]["body"]


class VelocityClient:
    """A client with an access token and a warehouse. Calling it sends a request: ``client("cancel-order", body)``."""

    def __init__(self, process):
        self.process, self.session = process, requests.Session()
        process.control("DELETE", "/_sandbox/faults")
        self.configure(rate_limit=0, limits={}, webhook_url="", secret=LOGIN["password"])
        self.session.headers["Authorization"] = self("auth-token", LOGIN).json()["token"]
        self.warehouse = self("warehouse", RECORDED["warehouse_created"]["request"]["body"]).json()["warehouse_id"]

    def configure(self, **changes):
        account = f"/_sandbox/accounts/{LOGIN['username']}"
        self.process.control("PUT", account, {"carrier": "velocity"} | changes)

    def __call__(self, path, body=None, method="POST", query=None):
        url = f"{self.process.url}/velocity/custom/api/v1/{path}"
        return self.session.request(method, url, json=body, params=query, timeout=30)

    def order(self, name="order_with_cash_on_delivery", **changes):
        """Send a recorded order with a new order id."""
        own = {"warehouse_id": self.warehouse, "order_id": f"{uuid.uuid4()}"}
        request = RECORDED[name]["request"]
        return self(request["path"].rpartition("/")[2], request["body"] | own | changes)

    def advance(self, number, **change):
        return self.process.control("POST", f"/_sandbox/velocity/shipments/{number}/advance", change)

    def report(self, kind, **query):
        return self("reports", method="GET", query={"type": kind} | query)

    def fail_next(self, status):
        fault = {"carrier": "velocity", "kind": "status", "status": status}
        self.process.control("POST", "/_sandbox/faults", fault)
