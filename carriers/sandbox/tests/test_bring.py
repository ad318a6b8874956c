"""The simulated Bring: key headers, limits, faults, Shipping Guide, pickup points, postal codes and pickup orders."""

import json
from datetime import UTC, date, datetime, timedelta

import pytest
import requests

from carriers.sandbox.bring.guide import deliver_after
from carriers.sandbox.tests.bring_client import make_booking

GUIDE = {
    "consignments": [
        {
            "id": "1",
            "fromCountryCode": "NO",
            "fromPostalCode": "0120",
            "toCountryCode": "NO",
            "toPostalCode": "2003",
            "shippingDate": {"year": "2027", "month": "01", "day": "15"},
            "products": [{"id": "5000"}],
            "packages": [{"id": "1", "grossWeight": 1000, "length": 21, "width": 12, "height": 12}],
        }
    ],
    "withGuiInformation": False,
}
POINTS = "/pickuppoint/api/pickuppoint"
CAST = "/event-cast/api/v1/webhooks"
NO_ID = "00000000-0000-0000-0000-000000000000"
PICKUP = {
    "customerInformation": {"customerNumber": "5", "companyName": "Norsk Bedrift AS"},
    "pickupAddress": {"street": "Testsvingen 12", "postalCode": "0263", "city": "OSLO"},
    "pickupDate": f"{datetime.now(UTC).date() + timedelta(days=2)}",
    "countryCode": "NO",
    "service": "PARCEL",
    "pickupDetails": {"package": {"count": 2, "weightInGrams": 2000, "volumeInDm3": 3}},
    "testIndicator": True,
}
# A request of each operation.
REQUESTS = {
    "check_credential": ("GET", "/booking/api/customers.json"),
    "create_label": ("POST", "/booking/api/booking", make_booking()),
    "create_return": ("POST", "/booking/api/booking", make_booking(product__id="9300")),
    "schedule_pickup": ("POST", "/booking/api/pickupOrder", PICKUP),
    "quote": ("POST", "/shippingguide/api/v2/products", GUIDE),
    "label_file": ("GET", f"/labels/id/{NO_ID}.pdf"),
    "track": ("GET", "/tracking/api/v2/tracking.json?q=TESTPACKAGEEDI"),
    "proof_of_delivery": ("GET", "/tracking/api/signature/1.png"),
    "pickup_points": ("GET", f"{POINTS}/NO/postalCode/0155.json"),
    "pickup_point": ("GET", f"{POINTS}/NO/id/100155.json"),
    "coverage": ("GET", "/address/api/no/postal-codes/0155"),
    "subscribe": ("POST", CAST, {}),
    "list_subscriptions": ("GET", f"{CAST}/"),
    "unsubscribe": ("DELETE", f"{CAST}/{NO_ID}"),
    "test_subscription": ("POST", f"{CAST}/{NO_ID}/test"),
}


def quote(bring, **changes):
    consignment = GUIDE["consignments"][0] | changes
    return bring("POST", "/shippingguide/api/v2/products", GUIDE | {"consignments": [consignment]})


def products_of(answer):
    return answer.json()["consignments"][0]["products"]


def points_of(answer):
    return answer.json()["pickupPoint"]


def test_requests_need_the_key_headers(bring):
    headers = dict(bring.session.headers)
    for change, status in (({"X-Mybring-API-Key": "no"}, 401), ({"X-Mybring-API-Uid": "no"}, 401)):
        assert requests.get(f"{bring.url}/booking/api/customers.json", headers=headers | change).status_code == status
    answer = requests.get(f"{bring.url}/tracking/api/v2/tracking.json?q=TESTPACKAGEEDI")
    assert (answer.status_code, answer.headers["Content-Type"]) == (401, "text/plain; charset=utf-8")
    assert answer.text.startswith("401 - Unathorized. The Tracking API no longer supports")
    del headers["X-Bring-Client-URL"]
    assert requests.get(f"{bring.url}/booking/api/customers.json", headers=headers).status_code == 400


def test_requests_over_a_limit_get_429(bring):
    groups = ("guide", "points", "booking", "postal_codes", "tracking", "pickups")
    bring.configure(rate_limit=1, limits=dict.fromkeys(groups, 1) | {"subscriptions": 0, "test_webhooks": 0})
    for operation in ("quote", "pickup_points", "check_credential", "coverage", "track", "schedule_pickup"):
        answers = [bring(*REQUESTS[operation]) for _ in range(8)]
        assert {answer.status_code for answer in answers} == {200, 429}
    for operation in ("subscribe", "list_subscriptions", "unsubscribe", "test_subscription"):
        answer = bring(*REQUESTS[operation])
        assert (answer.status_code, answer.json()["status"]) == (429, "429")


def test_faults_work_for_each_operation(bring):
    def fail(operation, kind, **more):
        fault = {"carrier": "bring", "operation": operation, "kind": kind, "delay_s": 0} | more
        bring.process.control("POST", "/_sandbox/faults", fault)

    for operation, request in REQUESTS.items():
        usual = bring(*request).status_code
        for status in (401, 429, 503):
            fail(operation, "status", status=status)
            assert bring(*request).status_code == status
        fail(operation, "echo", status=500)
        assert "test-secret" in bring(*request).text
        fail(operation, "garbage")
        assert bring(*request).text.startswith("<html>")
        fail(operation, "slow")
        assert bring(*request).status_code == usual
        fail(operation, "close")
        with pytest.raises(requests.ConnectionError):
            bring(*request)
        assert len(bring.process.calls(carrier="bring", operation=operation)) == 8


def test_prices_are_those_of_the_sample_with_vat(bring):
    (product,) = products_of(quote(bring, products=[{"id": "5000", "customerNumber": "5"}]))
    price = product["price"]["listPrice"]
    money = {"amountWithoutVAT": "145.75", "vat": "36.44", "amountWithVAT": "182.19"}
    assert (price["priceWithoutAdditionalServices"], price["currencyCode"]) == (money, "NOK")
    assert product["price"]["netPrice"]["priceWithAdditionalServices"]["amountWithoutVAT"] == "131.18"
    delivery = product["expectedDelivery"]
    assert (delivery["workingDays"], delivery["formattedExpectedDeliveryDate"]) == ("1", "18.01.2027")
    assert deliver_after(date(2027, 1, 15), 3) == date(2027, 1, 20)


def test_weights_are_grams_and_additional_services_cost(bring):
    packages = [{"grossWeight": 2400, "length": 10, "width": 10, "height": 10}] * 2
    answer = quote(bring, products=[{"id": "5800"}], packages=packages, additionalServices=[{"id": "1000"}, "1062"])
    price = products_of(answer)[0]["price"]["listPrice"]
    amounts = [price[f"price{name}AdditionalServices"]["amountWithoutVAT"] for name in ("Without", "With")]
    assert amounts == ["272.00", "337.00"]
    assert answer.json()["traceMessages"] == ["Additional service 1062 is not applicable for product 5800"]
    assert "netPrice" not in products_of(answer)[0]["price"]


def test_services_that_do_not_apply_are_listed_with_an_error(bring):
    sweden = {"toCountryCode": "SE", "toPostalCode": "11122"}
    ids = [{"id": "0330"}, {"id": "5000"}, {"id": "BUSINESS_PARCEL"}, {"id": "5800", "customerNumber": "99"}]
    found = products_of(quote(bring, products=ids, **sweden))
    assert [bool(product.get("errors")) for product in found] == [True, True, False, True]
    text = "Unknown product ID or product 0330 not applicable for given EDI flag."
    assert found[0] == {"id": "0330", "errors": [{"code": "INVALID_ARGUMENT", "description": text}]}
    heavy = products_of(quote(bring, packages=[{"grossWeight": 36_000}]))
    assert "too big" in heavy[0]["errors"][0]["description"]


def test_invalid_request_to_the_guide_names_the_fields(bring):
    answer = quote(bring, products=[], toPostalCode="0000", packages=[{"id": "1"}])
    errors = answer.json()["fieldErrors"]
    assert (answer.status_code, {error["code"] for error in errors}) == (400, {"INVALID_ARGUMENT"})
    assert [error["field"] for error in errors] == [
        "consignments[0].products",
        "consignments[0].toPostalCode",
        "consignments[0].packages[0]",
    ]


def test_pickup_points_are_sorted_filtered_and_constant(bring):
    found = points_of(bring("GET", f"{POINTS}/NO/postalCode/5003.json", numberOfResponses=20))
    distances = [float(point["distanceInKm"]) for point in found]
    assert (len(found), distances) == (20, sorted(distances))
    for kind, types in (("locker", {"37"}), ("manned", {"4", "21"})):
        some = points_of(bring("GET", f"{POINTS}/NO/postalCode/5003.json", pickupPointType=kind))
        assert {point["type"] for point in some} == types
    locker = next(point for point in found if point["type"] == "37")
    assert locker["maxParcelDimensions"]["height"] == 60.0
    named = points_of(bring("GET", f"{POINTS}/NO/postalCode/5003.json", searchForText="pakkeboks"))
    assert {point["name"].split()[0] for point in named} == {"Pakkeboks"}
    sunday = points_of(bring("GET", f"{POINTS}/NO/postalCode/5003.json", openingHoursSearchType="SUNDAY"))
    assert {point["type"] for point in sunday} == {"37"}
    (again,) = points_of(bring("GET", f"{POINTS}/NO/id/{locker['id']}.json"))
    assert again["distanceInKm"] == ""
    assert {name: again[name] for name in ("name", "latitude")} == {name: locker[name] for name in ("name", "latitude")}


def test_pickup_points_of_all_countries_are_found_by_postal_code_and_place(bring):
    for country, code, at in (("SE", "11122", "59.33,18.07"), ("DK", "2990", "55.9,12.5"), ("FI", "00100", "60,25")):
        near = points_of(bring("GET", f"{POINTS}/{country}/location/{at}.json", numberOfResponses=2))
        found = points_of(bring("GET", f"{POINTS}/{country}/postalCode/{code}.json", numberOfResponses=2))
        assert {point["countryCode"] for point in near + found} == {country}
        assert len(near + found) == 4
        assert points_of(bring("GET", f"{POINTS}/{country}/all.json"))
    assert bring("GET", f"{POINTS}/NO/postalCode/1407/default.json").status_code == 200
    for path in ("NO/postalCode/0000.json", "NO/id/736431.json", "DE/postalCode/10115.json"):
        assert bring("GET", f"{POINTS}/{path}").status_code == 404
    assert bring("GET", f"{POINTS}/NO/postalCode/5003.json", pickupPointType="kiosk").status_code == 400


def test_postal_codes_are_checked(bring):
    (place,) = bring("GET", "/address/api/no/postal-codes/5004").json()["postal_codes"]
    assert (place["city"], place["po_box"]) == ("BERGEN", False)
    old = bring("GET", "/pickuppoint/api/postalCode/NO/getCityAndType/1337.json").json()
    assert old == {"postalCode": {"city": "SANDVIKA", "postalcode": "1337", "postalCodeType": "NORMAL"}}
    assert bring("GET", "/address/api/se/postal-codes/5004").status_code == 404


def test_customers_and_error_codes_are_listed(bring):
    customers = bring("GET", "/booking/api/customers.json").json()["customers"]
    assert {row["customerNumber"] for row in customers} == {"5", "6", "7"}
    (norwegian,) = [row for row in customers if row["customerNumber"] == "5"]
    assert norwegian["countryCode"] == "NO"
    assert {"5800", "9300"} < set(norwegian["products"])
    types = {row["code"]: row for row in bring("GET", "/booking/api/errors").json()["errorTypes"]}
    assert types["BOOK-INPUT-014"] == {"code": "BOOK-INPUT-014", "message": "Name must be provided", "suffixable": True}


def test_pickup_is_ordered_in_the_new_and_the_old_form(bring):
    old = {"parcelsInformation": {"numberOfPackages": 2}}
    cargo = {"customerInformation": {"customerNumber": "7"}, "service": "CARGO", "pickupIsReadyAtTime": "14:26"}
    common = {name: value for name, value in PICKUP.items() if name not in ("pickupDetails", "service")}
    for body in (PICKUP, common | old, PICKUP | cargo):
        answer = bring("POST", "/booking/api/pickupOrder", body)
        confirmation = answer.json()["pickupConfirmation"]
        assert (answer.status_code, confirmation["status"]) == (200, "OK")
        assert confirmation["latestPickupDate"] - confirmation["earliestPickupDate"] in (
            23 * 3600_000,
            86400_000,
            90000_000,
        )


def test_invalid_pickup_is_refused_with_bring_s_code(bring):
    for changes, code in (
        ({"customerInformation": {"customerNumber": "99"}}, "PICKUP-INPUT-004"),
        ({"pickupDetails": None}, "PICKUP-INPUT-003"),
        ({"pickupDetails": {"package": {"count": 0, "weightInGrams": 1}}}, "PICKUP-INPUT-009"),
        ({"countryCode": "DE"}, "PICKUP-INPUT-010"),
        ({"pickupAddress": PICKUP["pickupAddress"] | {"postalCode": "1"}}, "PICKUP-INPUT-002"),
        ({"pickupDate": "soon"}, "PICKUP-INPUT-006"),
        ({"pickupDate": "2020-01-01"}, "PICKUP-INPUT-007"),
        ({"pickupDate": "2020-01-01", "pickupIsReadyAtTime": "10:00"}, "PICKUP-INPUT-013"),
        ({"service": "CARGO"}, "PICKUP-INPUT-005"),
    ):
        answer = bring("POST", "/booking/api/pickupOrder", PICKUP | changes)
        assert (answer.status_code, [error["code"] for error in answer.json()["errors"]]) == (400, [code])


def test_state_survives_a_kill_and_records_no_secret(bring):
    number = bring.confirm()["consignmentNumber"]
    bring.process.kill()
    bring.process.restart()
    assert bring.statuses(number) == ["PRE_NOTIFIED"]
    assert "test-secret" not in json.dumps(bring.process.calls(carrier="bring"))
