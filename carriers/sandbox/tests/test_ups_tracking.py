"""The simulated UPS: scans, tracking, Track Alert, Quantum View, pickups, Access Points, addresses and times."""

import base64
import io
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from PIL import Image

from carriers.sandbox.tests.ups_client import ABROAD, PACKAGE, RECIPIENT, SHIPMENT, TO_EUROPE, UpsClient, error_of
from carriers.sandbox.ups.track.scans import ORDER_SCANS, STEPS

PICKUP = {
    "RatePickupIndicator": "N",
    "Shipper": {"Account": {"AccountNumber": "A1B2C3", "AccountCountryCode": "US"}},
    "PickupDateInfo": {"CloseTime": "1700", "ReadyTime": "900", "PickupDate": ""},
    "PickupAddress": {
        "CompanyName": "Nordwind Goods",
        "ContactName": "Ada Lane",
        "AddressLine": ["12 Harbor Way"],
        "City": "Baltimore",
        "StateProvince": "MD",
        "PostalCode": "21201",
        "CountryCode": "US",
        "ResidentialIndicator": "N",
        "Phone": {"Number": "4105550100"},
    },
    "AlternateAddressIndicator": "Y",
    "PickupPiece": [
        {"ServiceCode": "003", "Quantity": "1", "DestinationCountryCode": "US", "ContainerCode": "01"},
    ],
    "PaymentMethod": "01",
}


@pytest.fixture(scope="module")
def ups(process):
    return UpsClient(process)


def day(days):
    """Return a date in the time zone of the pickups."""
    return f"{datetime.now(ZoneInfo('America/New_York')) + timedelta(days=days):%Y%m%d}"


def test_scans_are_local_newest_first_and_of_one_package(ups):
    first, second = (one["TrackingNumber"] for one in ups.buy(Package=[PACKAGE, PACKAGE])["PackageResults"])
    ups.advance(first, "picked_up", at="2035-01-15T20:30:00+00:00")
    ups.advance(first, "out_for_delivery", at="2035-01-18T17:05:09+00:00")
    ups.advance(first, "departed", at="2035-01-16T08:00:00+00:00")  # reported late
    package = ups.track(first)
    assert [one["status"]["code"] for one in package["activity"]][:3] == ["OT", "DP", "PU"]
    out, *_, picked, _ = package["activity"]
    assert (out["date"], out["time"], out["gmtDate"], out["gmtTime"], out["gmtOffset"]) == (
        "20350118",
        "090509",
        "20350118",
        "17:05:09",
        "-08:00",
    )
    assert (picked["time"], picked["gmtOffset"], picked["location"]["address"]["city"]) == (
        "153000",
        "-05:00",
        "BALTIMORE",
    )
    assert package["currentStatus"]["statusCode"] == "021" and package["packageCount"] == 2
    assert [one["status"]["statusCode"] for one in ups.track(second)["activity"]] == ["003"]
    path = f"/track/v1/shipment/details/{first}"
    (whole,) = ups("GET", path).json()["trackResponse"]["shipment"]
    (page,) = ups("GET", path, offset=1, count=1).json()["trackResponse"]["shipment"]
    assert [one["trackingNumber"] for one in whole["package"]] == [first, second]
    assert [one["trackingNumber"] for one in page["package"]] == [second]


def test_every_step_and_any_published_code_can_be_scanned(process, ups):
    number = ups.buy_number()
    for step in STEPS:
        ups.advance(number, step)
    ups.advance(number, "X/K9/046", gmt=False, at="2035-01-15T20:30:00+00:00")
    assert "gmtDate" not in ups.track(number)["activity"][0]
    shown = {(one["status"]["type"], one["status"]["code"]) for one in ups.track(number)["activity"]}
    assert shown == {(scan.type, scan.code) for scan in STEPS.values()} | {("X", "K9")}
    assert "pickupByDate" in ups.track(number)["accessPointInformation"]
    url = f"{process.url}/_sandbox/ups/shipments"
    assert process.session.post(f"{url}/{number}/advance", json={"to": "nothing"}).status_code == 400
    assert process.session.post(f"{url}/1ZNONE/advance", json={}).status_code == 404


def test_new_delivery_date_is_shown_beside_the_first_one(ups):
    number = ups.buy_number()
    first = ups.track(number)["deliveryDate"]
    ups.advance(number, "rescheduled", details={"date": "20350120"})
    assert ups.track(number)["deliveryDate"] == [*first, {"type": "RDD", "date": "20350120"}]


def test_shipment_advances_to_delivery_by_itself(process, ups):
    number = ups.buy_number()
    for _ in range(6):
        process.control("POST", f"/_sandbox/ups/shipments/{number}/advance", {})
    assert [one["status"]["statusCode"] for one in ups.track(number)["activity"]][:2] == ["011", "011"]


def test_magic_word_sets_the_scans_of_all_packages(ups):
    for word, steps in ORDER_SCANS.items():
        results = ups.buy("ZPL", ShipTo=RECIPIENT | {"AttentionName": word}, Package=[PACKAGE, PACKAGE])
        for package in results["PackageResults"]:
            status = ups.track(package["TrackingNumber"])["currentStatus"]
            assert status["statusCode"] == STEPS[steps[-1]].status_code
    assert ups.ship(ShipTo=RECIPIENT | {"AttentionName": "SANDBOX-503"}).status_code == 503


def test_proof_of_delivery_is_shown_to_the_shipper_on_request(process, ups):
    number = ups.buy_number()
    path = f"/track/v1/details/{number}"
    assert "deliveryInformation" not in ups.track(number, returnPOD="true")
    ups.advance(number, "delivered", details={"received_by": "HILL", "location": "Reception"})
    assert set(ups.track(number)["deliveryInformation"]) == {"location", "receivedBy"}
    proof = ups.track(number, returnSignature="true", returnPOD="true")["deliveryInformation"]
    assert (proof["receivedBy"], proof["location"]) == ("HILL", "Reception")
    assert Image.open(io.BytesIO(base64.b64decode(proof["signature"]["image"]))).format == "GIF"
    letter = base64.b64decode(proof["pod"]["content"]).decode()
    assert all(text in letter for text in ("<html>", number, "HILL", "Reception"))
    other = UpsClient(process, "ups-outsider")
    seen = other.track(number, returnSignature="true", returnPOD="true")
    assert not {"signature", "pod"} & set(seen["deliveryInformation"]) and "referenceNumber" not in seen
    operations = [call["operation"] for call in process.calls(carrier="ups", path=f"/api{path}")]
    assert set(operations) == {"track", "proof_of_delivery"}


def test_unknown_number_is_a_warning_and_headers_are_needed(ups):
    answer = ups("GET", "/track/v1/details/1Z0000000000000000")
    (shipment,) = answer.json()["trackResponse"]["shipment"]
    assert answer.status_code == 200 and "package" not in shipment
    assert shipment["warnings"] == [{"code": "TW0001", "message": "Tracking Information Not Found"}]
    assert error_of(ups("GET", "/track/v1/details/1Z"))[0] == 400
    assert error_of(ups("GET", "/track/v1/details/1Z0000000000000000", headers={"transId": None}))[0] == 400


def subscribe(client, kind="standard", scope="package", **changes):
    body = {"locale": "en_US", "countryCode": "US"} | changes
    return client("POST", f"/track/v2/subscription/{kind}/{scope}", body)


def test_subscribed_scans_are_sent_with_the_credential_of_the_client(process, receiver):
    ups = UpsClient(process, "ups-alerted", webhook_url=receiver.url, webhook_secret="hook-secret")
    number, other = ups.buy_number(), ups.buy_number()
    with ups.checks.off():
        answer = subscribe(ups, trackingNumberList=[number, "1Z1234567$8"], eventPreferences=["D", "I"]).json()
    assert answer == {"validTrackingNumbers": [number], "invalidTrackingNumbers": ["1Z1234567$8"]}
    ups.advance(other, "picked_up")
    ups.advance(number, "picked_up", "delayed")
    ups.advance(number, "delivered", at="2035-01-18T17:05:09+00:00")
    picked, delivered = receiver.wait_for(2)
    assert picked["trackingNumber"] == number and "postalCode" not in picked["activityLocation"]
    assert picked["activityStatus"] == {
        "type": "I",
        "code": "PU",
        "description": "Pickup Scan",
        "descriptionCode": "038",
    }
    assert (delivered["localActivityTime"], delivered["gmtActivityTime"], delivered["gmtOffset"]) == (
        "090509",
        "170509",
        "-08.00",
    )
    assert delivered["actualDeliveryDate"] == "20350118" and "receivedBy" not in delivered
    for headers, _body in receiver.received:
        assert (headers["credential"], headers["x-api-key"]) == ("hook-secret", "ups-alerted")
        assert headers["User-Agent"] == "UPSPubSubTrackingService"
    subscribe(ups, "enhanced", "account", shipperAccountNumber="A1B2C3")
    ups.advance(other, "delivered")
    assert receiver.wait_for(3)[2]["receivedBy"] == "Grace Hill"
    ups("DELETE", "/track/v2/subscription/enhanced/account", shipper_account_number="A1B2C3")
    ups.advance(other, "photo")  # not subscribed
    ups.advance(number, "returned")
    events = receiver.wait_for(4)
    assert events[3]["trackingNumber"] == number
    ups.checks.check_events(events)


def test_void_is_sent_as_a_manifest_scan(process, receiver):
    ups = UpsClient(process, "ups-voiding", webhook_url=receiver.url)
    number = ups.buy_number()
    subscribe(ups, trackingNumberList=[number], eventPreferences=["M"])
    ups("DELETE", f"/shipments/v2409/void/cancel/{number}")
    (event,) = receiver.wait_for(1)
    ups.checks.check_events([event])
    assert (event["activityStatus"]["type"], event["activityStatus"]["descriptionCode"]) == ("MV", "007")


def test_subscriptions_are_refused_with_the_published_codes(process, ups):
    for changes, code in (
        ({"trackingNumberList": []}, "VSS200"),
        ({"trackingNumberList": ["x"]}, "VSS210"),
        ({"trackingNumberList": ["1ZCIETST0111111114"] * 101}, "VSS220"),
        ({"locale": ""}, "VSS300"),
        ({"locale": "de_DE"}, "VSS310"),
        ({"countryCode": "us"}, "VSS400"),
        ({"eventPreferences": ["Q"]}, "VSS930"),
    ):
        assert error_of(subscribe(ups, **{"trackingNumberList": ["1ZCIETST0111111114"]} | changes)) == (400, code)
    path = "/track/v2/subscription/standard/package"
    assert error_of(ups("POST", path, {}, headers={"transactionSrc": None})) == (400, "VSS004")
    testing = UpsClient(process, "ups-test-environment", is_test_environment=True)
    assert error_of(subscribe(testing, trackingNumberList=[ups.buy_number()])) == (400, "VSS215")
    assert subscribe(testing, trackingNumberList=["1ZCIETST0422222228"]).status_code == 200


def test_quantum_view_lists_scans_since_the_bookmark(process):
    ups = UpsClient(process, "ups-viewer")
    body = {"QuantumViewRequest": {"Request": {"RequestAction": "QVEvents"}}}

    def read(**more):
        sent = {"QuantumViewRequest": body["QuantumViewRequest"] | more}
        return ups("POST", "/quantumview/v3/events", sent).json()["QuantumViewResponse"]

    number = ups.buy_number()
    ups.advance(number, "picked_up", "attempted")
    first = read()
    (events,) = first["QuantumViewEvents"]["SubscriptionEvents"]
    (file,) = events["SubscriptionFile"]
    assert file["Origin"][0]["TrackingNumber"] == file["Exception"][0]["TrackingNumber"] == number
    ups.advance(number, "delivered")
    (later,) = read(Bookmark=first["Bookmark"])["QuantumViewEvents"]["SubscriptionEvents"]
    assert set(later["SubscriptionFile"][0]) == {"FileName", "StatusType", "Delivery"}


def test_pickup_is_created_once_listed_cancelled_and_completed(process, ups):
    def create(**changes):
        dates = PICKUP["PickupDateInfo"] | {"PickupDate": day(1)} | changes.pop("PickupDateInfo", {})
        body = {"PickupCreationRequest": PICKUP | {"PickupDateInfo": dates} | changes}
        return ups("POST", "/pickupcreation/v2409/pickup", body)

    number = ups.buy_number()
    made = create(RatePickupIndicator="Y", TrackingData=[{"TrackingNumber": number}]).json()["PickupCreationResponse"]
    prn = made["PRN"]
    assert (
        len(prn) == 11 and made["RateStatus"]["Code"] == "01" and made["RateResult"]["GrandTotalOfAllCharge"] == "6.51"
    )
    assert create(TrackingData=[{"TrackingNumber": number}]).json()["PickupCreationResponse"]["PRN"] == prn
    listing = ("GET", "/shipments/v2409/pickup/oncall", None, {"AccountNumber": "A1B2C3"})
    pending = ups(*listing).json()["PickupPendingStatusResponse"]["PendingStatus"]
    assert [one["PRN"] for one in pending] == [prn]
    process.control("POST", f"/_sandbox/ups/pickups/{prn}/complete")
    assert ups.track(number)["currentStatus"]["code"] == "PU"
    assert ups(*listing).json()["PickupPendingStatusResponse"]["PendingStatus"] == []
    cancel = ("DELETE", "/shipments/v2409/pickup/02", None)
    assert error_of(ups(*cancel, {"Prn": prn})) == (400, "190103")
    later = create(PickupDateInfo={"PickupDate": day(9)}).json()["PickupCreationResponse"]["PRN"]
    assert ups(*listing).json()["PickupPendingStatusResponse"]["PendingStatus"] == []  # today and tomorrow only
    assert ups(*cancel, {"Prn": later}).json()["PickupCancelResponse"]["PickupType"] == "01"
    assert error_of(ups(*cancel, {"Prn": later})) == (400, "190107")
    assert error_of(ups(*cancel, {"Prn": "29XXXXXXXXX"}))[0] == 400
    piece = PICKUP["PickupPiece"][0] | {"ServiceCode": "03"}
    for changes in (
        {"PickupPiece": [piece]},
        {"PickupAddress": PICKUP["PickupAddress"] | {"AddressLine": ["1", "2"]}},
        {"PickupAddress": PICKUP["PickupAddress"] | {"ContactName": "x" * 23}},
        {"PickupDateInfo": {"PickupDate": day(-3)}},
        {"PickupDateInfo": {"CloseTime": "0800"}},
        {"Shipper": {"Account": {"AccountNumber": "ZZZZZZ"}}},
    ):
        assert error_of(create(**changes))[0] == 400


def test_pickup_has_a_price_and_lists_for_its_form(ups):
    address = {"AddressLine": "12 Harbor Way"} | {
        name: PICKUP["PickupAddress"][name]
        for name in ("City", "StateProvince", "PostalCode", "CountryCode", "ResidentialIndicator")
    }
    body = {"Request": {}, "PickupAddress": address, "AlternateAddressIndicator": "N", "ServiceDateOption": "01"}
    answer = ups("POST", "/shipments/v2409/pickup/oncall", {"PickupRateRequest": body}).json()
    assert answer["PickupRateResponse"]["RateResult"]["RateType"] == "SD"
    states = ups("GET", "/pickup/v2409/countries/US").json()["PickupGetPoliticalDivision1ListResponse"]
    assert "Maryland" in states["PoliticalDivision1"]


def search(client, option="64", criteria=None, **address):
    key = {"AddressLine": "1 Main St", "PoliticalDivision2": "Baltimore", "PoliticalDivision1": "MD"}
    key |= {"PostcodePrimaryLow": "21201", "CountryCode": "US"} | address
    body = {"Request": {"RequestAction": "Locator"}, "OriginAddress": {"AddressKeyFormat": key}}
    body |= {"Translate": {"Locale": "en_US"}, "UnitOfMeasurement": {"Code": "KM"}}
    body["LocationSearchCriteria"] = criteria or {"MaximumListSize": "3", "SearchRadius": "50"}
    return client("POST", f"/locations/v3/search/availabilities/{option}", {"LocatorRequest": body})


def test_access_points_are_near_constant_and_reachable_by_id(ups):
    def points(**more):
        return search(ups, **more).json()["LocatorResponse"]["SearchResults"]["DropLocation"]

    found = points()
    assert found == points() and len(found) == 3
    distances = [float(point["Distance"]["Value"]) for point in found]
    assert distances == sorted(distances) and distances[-1] <= 50
    sunday, monday, *_, friday, _ = found[0]["OperatingHours"]["StandardHours"][0]["DayOfWeek"]
    assert "ClosedIndicator" in sunday and (monday["OpenHours"], friday["CloseHours"]) == ("930", "0")
    point_id = found[0]["AccessPointInformation"]["PublicAccessPointID"]
    (one,) = points(criteria={"AccessPointSearch": {"PublicAccessPointID": point_id}})
    assert one["AddressKeyFormat"] == found[0]["AddressKeyFormat"]
    nothing = search(ups, CountryCode="CU").json()["LocatorResponse"]
    assert nothing["Response"]["ResponseStatusCode"] == "0" and nothing["SearchResults"] == {}
    assert error_of(search(ups, criteria={"MaximumListSize": "51"}))[0] == 400
    address = RECIPIENT["Address"] | {"AddressLine": [one["AddressKeyFormat"]["AddressLine"]]}
    alternate = {"Name": "Shop", "AttentionName": "Grace Hill", "UPSAccessPointID": point_id, "Address": address}
    to_point = {"ShipmentIndicationType": [{"Code": "01"}], "AlternateDeliveryAddress": alternate}
    label = base64.b64decode(ups.buy("ZPL", **to_point)["PackageResults"][0]["ShippingLabel"]["GraphicImage"]).decode()
    assert point_id in label
    full = points(criteria={"AccessPointSearch": {"AccessPointStatus": "07"}, "SearchRadius": "150"})[0]
    alternate["UPSAccessPointID"] = full["AccessPointInformation"]["PublicAccessPointID"]
    assert error_of(ups.ship(**to_point)) == (400, "10002")


def test_addresses_of_the_us_are_checked_and_classified(ups):
    def check(option=3, **changes):
        key = {"AddressLine": ["12 Harbor Way"], "PoliticalDivision2": "Baltimore", "PoliticalDivision1": "MD"}
        key |= {"PostcodePrimaryLow": "21201", "CountryCode": "US"} | changes
        return ups("POST", f"/addressvalidation/v2/{option}", {"XAVRequest": {"AddressKeyFormat": key}})

    valid = check().json()["XAVResponse"]
    assert valid["ValidAddressIndicator"] == "" and valid["AddressClassification"]["Code"] in ("1", "2")
    assert valid["Candidate"][0]["AddressKeyFormat"]["AddressLine"] == ["12 HARBOR WAY"]
    assert len(check(AddressLine=["1 Ambiguous Rd"]).json()["XAVResponse"]["Candidate"]) == 2
    for changes in ({"PostcodePrimaryLow": "98101"}, {"AddressLine": ["1 Nowhere"]}):
        none = check(**changes).json()["XAVResponse"]
        assert "NoCandidatesIndicator" in none and "Candidate" not in none
    assert "Candidate" not in check(option=2).json()["XAVResponse"]
    assert error_of(check(CountryCode="DE"))[0] == 400


def test_transit_times_have_numbers_and_business_days(ups):
    def times(**changes):
        body = {"originCountryCode": "US", "originPostalCode": "21201", "destinationCountryCode": "US"}
        body |= {"destinationPostalCode": "98101", "weight": 3.0, "weightUnitOfMeasure": "LBS"}
        return ups("POST", "/shipments/v1/transittimes", body | {"shipDate": friday} | changes)

    today = datetime.now(UTC).date()
    friday = f"{today + timedelta(days=(4 - today.weekday()) % 7):%Y-%m-%d}"
    services = {one["serviceLevel"]: one for one in times().json()["emsResponse"]["services"]}
    assert set(services) == {"1DM", "1DA", "1DP", "2DM", "2DA", "3DS", "GND"}
    assert (services["GND"]["businessTransitDays"], services["GND"]["totalTransitDays"]) == (4, 6)
    assert services["1DA"]["deliveryDayOfWeek"] == "MON"
    abroad = times(destinationCountryCode="DE", destinationPostalCode="10119").json()["emsResponse"]
    assert abroad["destinationCountryName"] == "Germany" and len(abroad["services"]) == 6
    assert times(destinationCountryCode="CU", destinationPostalCode="10400").json()["emsResponse"]["services"] == []
    wrong = times(destinationPostalCode="9810").json()
    assert wrong["validationList"]["invalidFieldList"] == ["destinationPostalCode"] and "emsResponse" not in wrong
    refused = times(weight="3.0")
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (400, "10002")


def test_shipment_of_another_country_is_tracked_in_its_time(ups):
    number = ups.buy(**TO_EUROPE)["ShipmentIdentificationNumber"]
    ups.advance(number, "customs_held", at="2035-07-01T22:30:00+00:00")
    scan = ups.track(number)["activity"][0]
    assert (scan["date"], scan["time"], scan["gmtOffset"]) == ("20350702", "003000", "+02:00")
    assert scan["location"]["address"]["city"] == ABROAD["Address"]["City"].upper()
    assert SHIPMENT["ShipTo"] == RECIPIENT
