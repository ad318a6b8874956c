"""A client of the simulated Bring."""

import copy
from datetime import UTC, datetime, timedelta

import requests

from carriers.tests.conformance.clients import Checks

TO_OSLO = {
    "name": "Ola Nordmann",
    "addressLine": "Storgata 1",
    "postalCode": "0155",
    "city": "OSLO",
    "countryCode": "NO",
    "contact": {"name": "Ola Nordmann", "email": "ola@example.com", "phoneNumber": "+4712345678"},
}
TO_STOCKHOLM = TO_OSLO | {"postalCode": "111 22", "city": "Stockholm", "countryCode": "se"}
TO_HOUSTON = TO_OSLO | {"postalCode": "77001", "city": "Houston", "countryCode": "US"}
_BOOKING = {
    "schemaVersion": 1,
    "testIndicator": True,
    "consignments": [
        {
            "correlationId": "order-1",
            "parties": {"sender": TO_OSLO | {"reference": "REF-1"}, "recipient": TO_OSLO | {"name": "Kari Åsen"}},
            "product": {"id": "5800", "customerNumber": "5"},
            "packages": [{"weightInKg": 1.4, "correlationId": "one", "goodsDescription": "books"}],
        }
    ],
}
CUSTOMS = {
    "ediCustomsDeclaration": [
        {"quantity": 2, "goodsDescription": "shampoo", "itemNetWeightInKg": 1, "tarriffLineAmount": 200}
    ],
    "natureOfTransaction": "GIFT",
}


class BringClient:
    """A client with key headers. Calling it sends a request: ``client("GET", "/tracking/…", q="1")``."""

    def __init__(self, process, account="test@bring.example"):
        self.process, self.account, self.url = process, account, f"{process.url}/bring"
        self.configure(secret="test-secret", rate_limit=0, limits={}, forget_tests=False, storage_host="")
        self.configure(booking_error_status=400, tracking_error_status=200, customers=["5", "6", "7"])
        self.session = requests.Session()
        keys = {"X-Mybring-API-Uid": account, "X-Mybring-API-Key": "test-secret"}
        self.session.headers.update(keys | {"X-Bring-Client-URL": "https://shop.example.com"})
        self.session.headers["Accept"] = "application/json"
        self.checks = Checks("bring", self.session)

    def configure(self, **changes):
        self.process.control("PUT", f"/_sandbox/accounts/{self.account}", {"carrier": "bring"} | changes)

    def __call__(self, method, path, body=None, **query):
        return self.session.request(method, self.url + path, json=body, params=query, timeout=30)

    def book(self, **changes):
        """Send a booking with changes of ``make_booking``."""
        return self("POST", "/booking/api/booking", make_booking(**changes))

    def confirm(self, **changes):
        """Book; return the confirmation."""
        answer = self.book(**changes)
        assert answer.status_code == 200, answer.text
        return answer.json()["consignments"][0]["confirmation"]

    def track(self, query, **more):
        return self("GET", "/tracking/api/v2/tracking.json", q=query, **more)

    def statuses(self, number):
        """Return the statuses of the first package, newest first."""
        package = self.track(number).json()["consignmentSet"][0]["packageSet"][0]
        return [event["status"] for event in package["eventSet"]]

    def advance(self, number, to=None, **change):
        path = f"/_sandbox/bring/shipments/{number}/advance"
        return self.process.control("POST", path, change | ({"to": to} if to else {}))


def make_booking(**changes):
    """Return a booking for tomorrow. A change is a path of keys joined by ``__``, below the consignment."""
    body = copy.deepcopy(_BOOKING)
    consignment = body["consignments"][0]
    consignment["shippingDateTime"] = (datetime.now(UTC) + timedelta(days=1)).isoformat(timespec="seconds")
    for path, value in changes.items():
        place, (*keys, last) = consignment, path.split("__")
        if keys[:1] == ["body"]:
            place, keys = body, keys[1:]
        for key in keys:
            place = place[int(key) if key.isdigit() else key]
        place[last] = value
    return body


def error_codes(answer):
    return answer.status_code, [error["code"] for error in answer.json()["consignments"][0]["errors"]]
