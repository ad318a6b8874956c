"""A client of the simulated UPS."""

import copy

import requests

from carriers.tests.conformance.clients import Checks

SENDER = {
    "Name": "Nordwind Goods",
    "AttentionName": "Ada Lane",
    "Phone": {"Number": "4105550100"},
    "ShipperNumber": "A1B2C3",
    "Address": {
        "AddressLine": ["12 Harbor Way"],
        "City": "Baltimore",
        "StateProvinceCode": "MD",
        "PostalCode": "21201",
        "CountryCode": "US",
    },
}
RECIPIENT = {
    "Name": "Grace Hill",
    "AttentionName": "Grace Hill",
    "Phone": {"Number": "2065550100"},
    "Address": {
        "AddressLine": ["98 Pine Street", "Floor 3"],
        "City": "Seattle",
        "StateProvinceCode": "WA",
        "PostalCode": "98101",
        "CountryCode": "US",
    },
}
ABROAD = {
    "Name": "Jörg Weiß",
    "AttentionName": "Jörg Weiß",
    "Phone": {"Number": "4930123456"},
    "Address": {
        "AddressLine": ["Torstraße 1"],
        "City": "Berlin",
        "PostalCode": "10119",
        "CountryCode": "DE",
    },
}
POUNDS = {"UnitOfMeasurement": {"Code": "LBS", "Description": "Pounds"}, "Weight": "3"}
INCHES = {"UnitOfMeasurement": {"Code": "IN", "Description": "Inches"}, "Length": "10", "Width": "8", "Height": "4"}
PACKAGE = {"Packaging": {"Code": "02"}, "Dimensions": INCHES, "PackageWeight": POUNDS}
SHIPMENT = {
    "Description": "books",
    "Shipper": SENDER,
    "ShipTo": RECIPIENT,
    "PaymentInformation": {"ShipmentCharge": [{"Type": "01", "BillShipper": {"AccountNumber": "A1B2C3"}}]},
    "Service": {"Code": "03"},
    "Package": [PACKAGE],
}
INVOICE = {
    "FormType": ["01"],
    "InvoiceNumber": "INV-1",
    "InvoiceDate": "20270115",
    "ReasonForExport": "SALE",
    "CurrencyCode": "USD",
    "TermsOfShipment": "DAP",
    "Product": [
        {
            "Description": ["Paper books"],
            "Unit": {"Number": "2", "UnitOfMeasurement": {"Code": "PCS"}, "Value": "12.50"},
            "CommodityCode": "490199",
            "OriginCountryCode": "US",
        }
    ],
}
TO_EUROPE = {
    "ShipTo": ABROAD,
    "Service": {"Code": "65"},
    "ShipperType": "01",
    "ConsigneeType": "02",
    "ShipmentServiceOptions": {"EUDeMinimisIndicator": "Y", "InternationalForms": INVOICE},
}
THERMAL = {"Height": "6", "Width": "4"}


class UpsClient:
    """A client with an access token. Calling it sends a request: ``client("GET", "/track/v1/details/1Z...")``."""

    def __init__(self, process, account="ups-client", secret="test-secret", **changes):
        self.process, self.session, self.account, self.secret = process, requests.Session(), account, secret
        self.configure(**{"rate_limit": 0, "webhook_url": "", "secret": secret} | changes)
        self.session.headers.update({"transId": "t-1", "transactionSrc": "tests"})
        self.checks = Checks("ups", self.session)
        self.login()

    def configure(self, **changes):
        self.process.control("PUT", f"/_sandbox/accounts/{self.account}", {"carrier": "ups"} | changes)

    def login(self):
        token = self.request_token().json()["access_token"]
        self.session.headers["Authorization"] = f"Bearer {token}"

    def request_token(self, *credentials, **form):
        url = f"{self.process.url}/ups/security/v1/oauth/token"
        form = form or {"grant_type": "client_credentials"}
        return self.session.post(url, data=form, auth=credentials or (self.account, self.secret), timeout=30)

    def __call__(self, method, path, body=None, headers=None, **query):
        url = f"{self.process.url}/ups/api{path}"
        return self.session.request(method, url, json=body, params=query, headers=headers, timeout=30)

    def ship(self, image_format="GIF", **changes):
        return self("POST", "/shipments/v2409/ship", ship_body(image_format, **changes))

    def buy(self, image_format="GIF", **changes):
        """Return the results of a new shipment."""
        response = self.ship(image_format, **changes)
        assert response.status_code == 200, response.text
        return response.json()["ShipmentResponse"]["ShipmentResults"]

    def buy_number(self, **changes):
        return self.buy(**changes)["ShipmentIdentificationNumber"]

    def rate(self, option="Shop", **changes):
        shipment = copy.deepcopy(SHIPMENT | changes)
        for name in ("Description", "PaymentInformation"):
            del shipment[name]
        for party in ("Shipper", "ShipTo"):
            del shipment[party]["Phone"]
        shipment["Package"] = [
            {("PackagingType" if name == "Packaging" else name): value for name, value in package.items()}
            for package in shipment["Package"]
        ]
        return self("POST", f"/rating/v2409/{option}", {"RateRequest": {"Request": {}, "Shipment": shipment}})

    def track(self, number, **query):
        """Return the package of a tracking answer."""
        answer = self("GET", f"/track/v1/details/{number}", **query).json()
        return answer["trackResponse"]["shipment"][0]["package"][0]

    def advance(self, number, *steps, **change):
        for step in steps:
            body = {"to": step, "force": True} | change
            self.process.control("POST", f"/_sandbox/ups/shipments/{number}/advance", body)


def ship_body(image_format="GIF", *, context="", **changes):
    label = {"LabelImageFormat": {"Code": image_format}}
    if image_format != "GIF":
        label["LabelStockSize"] = THERMAL
    asked = {"RequestOption": "nonvalidate", "SubVersion": "2409"}
    if context:
        asked["TransactionReference"] = {"CustomerContext": context}
    return {"ShipmentRequest": {"Request": asked, "Shipment": SHIPMENT | changes, "LabelSpecification": label}}


def error_of(response):
    """Return the HTTP status and the only error code of a refusal."""
    (error,) = response.json()["response"]["errors"]
    return response.status_code, error["code"]
