"""A client of the simulated Pickit."""

import requests

ADDRESS = {"street": "456 Warehouse Ave", "city": "Brooklyn", "state": "NY", "postal_code": "11201", "country": "US"}
ORDER = {
    "reference": "REF-1",
    "order_id": "ORDER-1",
    "origin": ADDRESS,
    "destination": ADDRESS | {"postal_code": "10001", "city": "Manhattan", "contact_name": "Jane Smith"},
    "packages": [{"weight_kg": 2.5, "declared_value": 100}],
    "service_type": "standard",
}


class PickitClient:
    """A client with an access token. Calling it sends a request: ``client("GET", "/shipments", reference="R")``."""

    def __init__(self, process, account="test-client", secret="test-secret"):
        self.process, self.session, self.account = process, requests.Session(), account
        self.configure(rate_limit=0, webhook_url="", secret=secret, suspended=False)
        answer = self("POST", "/auth/token", {"client_id": account, "client_secret": secret})
        self.session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def configure(self, **changes):
        self.process.control("PUT", f"/_sandbox/accounts/{self.account}", changes)

    def __call__(self, method, path, body=None, **query):
        url = f"{self.process.url}/pickit/v2{path}"
        return self.session.request(method, url, json=body, params=query, timeout=30)

    def buy(self, **changes):
        return self("POST", "/shipments", ORDER | changes).json()

    def advance(self, number, *statuses):
        for status in statuses:
            change = {"to": status, "force": True}
            self.process.control("POST", f"/_sandbox/pickit/shipments/{number}/advance", change)


def error_code(response):
    return response.status_code, response.json()["error"]["code"]
