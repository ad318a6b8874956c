"""The simulated UPS: log-in, limits, faults, prices, labels, voids and recovery."""

import base64
import io

import pypdfium2
import pytest
import requests
from PIL import Image, ImageChops

from carriers.sandbox.tests.ups_client import (
    PACKAGE,
    RECIPIENT,
    SENDER,
    SHIPMENT,
    TO_EUROPE,
    UpsClient,
    error_of,
    ship_body,
)
from carriers.sandbox.ups.shipments import compute_check_digit


@pytest.fixture(scope="module")
def ups(process):
    return UpsClient(process)


def decode(text):
    return base64.b64decode(text, validate=True)


def read_picture(file, image_format):
    """Return the picture of a label file; printers' raster commands are read as the printer would."""
    if image_format == "GIF":
        return Image.open(io.BytesIO(file)).convert("1")
    if image_format == "EPL":
        head, _, rest = file.partition(b"GW0,0,")
        row_bytes, height, rest = rest.split(b",", 2)
        assert head.startswith(b"\nN\n") and rest.endswith(b"\nP1\n")
        size = (int(head.split(b"q")[1].split(b"\n")[0]), int(height))
        return Image.frombytes("1", size, rest[: int(row_bytes) * int(height)])
    assert file.startswith(b"\x1b*rA") and file.endswith(b"\x1b*rB")
    row_bytes = int.from_bytes(file[5:7], "little")
    rows = file[4:-4]
    step = row_bytes + 3
    ink = b"".join(rows[at + 3 : at + step] for at in range(0, len(rows), step))
    return ImageChops.invert(Image.frombytes("1", (812, len(rows) // step), ink).convert("L")).convert("1")


def test_token_needs_basic_credentials_and_a_form(ups):
    answer = ups.request_token().json()
    assert all(isinstance(value, str) for value in answer.values())
    assert (answer["expires_in"], answer["token_type"], answer["status"]) == ("14399", "Bearer", "approved")
    url = f"{ups.process.url}/ups/security/v1/oauth/token"
    refused = {
        ups.request_token("ups-client", "wrong"): (401, "250002"),
        ups.request_token("unknown-client", "wrong"): (401, "10401"),
        ups.request_token(grant_type="password"): (400, "10400"),
        requests.post(url, data={"grant_type": "client_credentials"}): (401, "10400"),
        requests.post(url, json={"grant_type": "client_credentials"}, auth=("ups-client", "test-secret")): (
            400,
            "10400",
        ),
    }
    for response, expected in refused.items():
        assert error_of(response) == expected


def test_missing_expired_and_blocked_tokens_are_refused(process):
    ups = UpsClient(process, "ups-expiring", token_seconds=0)
    assert error_of(ups.rate()) == (401, "251004")
    ups.configure(token_seconds=60)
    ups.login()
    assert ups.rate().status_code == 200
    ups.configure(blocked=True)
    assert error_of(ups.rate())[0] == 403
    ups.configure(blocked=False, secret="other")  # a changed secret ends tokens
    assert error_of(ups.rate()) == (401, "250002")


def test_limits_of_operations_and_of_a_client(process):
    ups = UpsClient(process, "ups-limited", limits={"quote": [2, 3600]})
    answers = [ups.rate() for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert error_of(answers[-1]) == (429, "10429") and "Retry-After" not in answers[-1].headers
    assert ups.ship(Service=None).status_code == 400


def test_each_operation_can_fail_in_its_own_shape(process, ups):
    number = ups.buy_number()
    recovery = {"LabelRecoveryRequest": {"TrackingNumber": number}}
    calls = {
        "quote": lambda: ups.rate(),
        "create_label": lambda: ups.ship(),
        "track": lambda: ups("GET", f"/track/v1/details/{number}"),
        "documents": lambda: ups("POST", "/labels/v1/recovery", recovery),
        "cancel": lambda: ups("DELETE", f"/shipments/v2409/void/cancel/{number}"),
        "token": lambda: ups.request_token(),
    }
    for operation, call in calls.items():
        for fault, expected in (({"kind": "status", "status": 401}, 401), ({"kind": "status", "status": 503}, 503)):
            process.control("POST", "/_sandbox/faults", fault | {"carrier": "ups", "operation": operation})
            assert error_of(call())[0] == expected
        process.control("POST", "/_sandbox/faults", {"carrier": "ups", "operation": operation, "kind": "echo"})
        assert "Cannot process" in call().json()["response"]["errors"][0]["message"]
        process.control("POST", "/_sandbox/faults", {"carrier": "ups", "operation": operation, "kind": "garbage"})
        assert call().text.startswith("<html>")
        process.control("POST", "/_sandbox/faults", {"carrier": "ups", "operation": operation, "kind": "close"})
        with pytest.raises(requests.ConnectionError):
            call()


def test_lost_label_is_recovered_by_its_reference(process, ups):
    reference = "LOST-1"
    process.control("POST", "/_sandbox/faults", {"carrier": "ups", "operation": "create_label", "kind": "truncated"})
    package = PACKAGE | {"ReferenceNumber": [{"Value": reference}]}
    with pytest.raises(ValueError):
        ups.ship(Package=[package, package]).json()
    values = {"ReferenceNumber": {"Value": reference}, "ShipperNumber": "A1B2C3"}
    answer = ups("POST", "/labels/v1/recovery", {"LabelRecoveryRequest": {"ReferenceValues": values}}).json()
    labels = answer["LabelRecoveryResponse"]["LabelResults"]
    numbers = [label["TrackingNumber"] for label in labels]
    assert answer["LabelRecoveryResponse"]["ShipmentIdentificationNumber"] == numbers[0] != numbers[1]
    assert all(decode(label["LabelImage"]["GraphicImage"]).startswith(b"GIF8") for label in labels)
    (call,) = process.calls(carrier="ups", reference=reference)
    assert (call["operation"], call["fault"], call["done"]) == ("create_label", "truncated", 200)
    path = f"/track/v1/reference/details/{reference}"
    (found,) = ups("GET", path, shipperNum="A1B2C3").json()["trackResponse"]["shipment"]
    assert [one["trackingNumber"] for one in found["package"]] == numbers
    for query in ({"shipperNum": "Z9Y8X7"}, {"toPickUpDate": "20200101"}):
        (nothing,) = ups("GET", path, **query).json()["trackResponse"]["shipment"]
        assert nothing["warnings"][0]["code"] == "TW0001"
    other = UpsClient(process, "ups-other")
    assert error_of(other("POST", "/labels/v1/recovery", {"LabelRecoveryRequest": {"TrackingNumber": numbers[0]}})) == (
        400,
        "300007",
    )


def test_shop_lists_the_services_of_the_route_with_negotiated_prices(ups):
    def rate(option="Shop", **changes):
        return ups.rate(option, **changes).json()["RateResponse"]["RatedShipment"]

    offers = {one["Service"]["Code"]: one for one in rate(ShipmentRatingOptions={"NegotiatedRatesIndicator": "Y"})}
    assert set(offers) == {"14", "01", "13", "59", "02", "12", "03"}
    ground = offers["03"]
    assert float(ground["NegotiatedRateCharges"]["TotalCharge"]["MonetaryValue"]) == pytest.approx(
        float(ground["TotalCharges"]["MonetaryValue"]) * 0.75, abs=0.01
    )
    assert {one["Service"]["Code"] for one in rate(ShipTo=TO_EUROPE["ShipTo"])} == {"54", "07", "65", "08", "17", "72"}
    (one,) = rate("Rate", DeliveryTimeInformation={"PackageBillType": "03"})
    assert "TimeInTransit" not in one and "NegotiatedRateCharges" not in one
    (timed,) = rate("Ratetimeintransit", DeliveryTimeInformation={"PackageBillType": "03"})
    assert timed["TimeInTransit"]["ServiceSummary"]["EstimatedArrival"]["BusinessDaysInTransit"] == "4"
    assert len(rate(Package=[PACKAGE, PACKAGE])[0]["RatedPackage"]) == 2
    assert error_of(ups.rate("Rate", Service={"Code": "07"})) == (400, "111210")


def test_each_package_has_a_number_and_a_label_in_the_requested_format(ups):
    pictures = {}
    for image_format in ("GIF", "EPL", "SPL"):
        results = ups.buy(image_format, Package=[PACKAGE, PACKAGE, PACKAGE])
        numbers = [one["TrackingNumber"] for one in results["PackageResults"]]
        assert results["ShipmentIdentificationNumber"] == numbers[0] and len(set(numbers)) == 3
        assert all(
            number.startswith("1ZA1B2C303") and compute_check_digit(number[2:17]) == number[17] for number in numbers
        )
        labels = [one["ShippingLabel"] for one in results["PackageResults"]]
        assert {label["ImageFormat"]["Code"] for label in labels} == {image_format}
        pictures[image_format] = [read_picture(decode(label["GraphicImage"]), image_format) for label in labels]
    box = (0, 124, 812, 785)  # all but the page number and the barcode
    first = pictures["GIF"][0].crop(box)
    for one in (one for found in pictures.values() for one in found):
        assert one.size == (812, 1218)
        assert ImageChops.difference(first.convert("L"), one.crop(box).convert("L")).getbbox() is None
    other = ups.buy(ShipTo=RECIPIENT | {"Name": "Katherine Noor"})["PackageResults"][0]["ShippingLabel"]
    changed = read_picture(decode(other["GraphicImage"]), "GIF").crop(box)
    assert ImageChops.difference(first.convert("L"), changed.convert("L")).getbbox()


def test_check_digits_of_published_numbers():
    for number in ("1Z1442YY7229014688", "1Z204W4R0308071865", "1Z023E2X0214323462", "1ZCIETST0111111114"):
        assert compute_check_digit(number[2:17]) == number[17]


def test_zpl_labels_print_recipient_place_and_own_number(ups):
    packages = ups.buy("ZPL", Package=[PACKAGE, PACKAGE])["PackageResults"]
    for place, package in enumerate(packages, start=1):
        label = decode(package["ShippingLabel"]["GraphicImage"]).decode()
        assert label.startswith("^XA") and label.count("^XZ") == 1
        texts = ("Grace Hill", "98 Pine Street", "Floor 3", f"{place} of 2", package["TrackingNumber"], "3 LBS")
        assert all(text in label for text in texts)


def test_shipment_abroad_has_an_invoice_and_references_of_the_shipment(process, ups):
    body = ship_body(
        **TO_EUROPE, Package=[PACKAGE, PACKAGE], ReferenceNumber=[{"Value": "ABROAD-1"}], context="my own words"
    )
    answer = ups("POST", "/shipments/v2409/ship", body).json()["ShipmentResponse"]
    assert answer["Response"]["TransactionReference"] == {"CustomerContext": "my own words"}
    assert "Alert" not in answer["Response"]
    invoice = decode(answer["ShipmentResults"]["Form"]["Image"]["GraphicImage"])
    text = pypdfium2.PdfDocument(invoice)[0].get_textpage().get_text_bounded()
    assert all(words in text for words in ("Jörg Weiß", "2 x Paper books", "490199", "Total: 25.00 USD"))
    number = answer["ShipmentResults"]["ShipmentIdentificationNumber"]
    assert ups.track(number)["referenceNumber"] == [{"type": "SHIPMENT", "number": "ABROAD-1"}]
    (stored,) = process.control("GET", "/_sandbox/ups/shipments?reference=ABROAD-1")
    assert stored["tracking_number"] == number
    without = ups.ship(**TO_EUROPE | {"ShipmentServiceOptions": {"EUDeMinimisIndicator": "Y"}}).json()
    assert without["ShipmentResponse"]["Response"]["Alert"][0]["Code"] == "120016"


def test_return_has_its_own_services_labels_and_limits(ups):
    recipient = {name: value for name, value in SENDER.items() if name != "ShipperNumber"}
    parties = {"Shipper": SENDER, "ShipFrom": RECIPIENT, "ShipTo": recipient}
    package = PACKAGE | {"Description": "books"}
    results = ups.buy(**parties, ReturnService={"Code": "9"}, Package=[package])
    assert decode(results["PackageResults"][0]["ShippingReceipt"]["GraphicImage"]).startswith(b"<html>")
    by_mail = ups.buy(**parties, ReturnService={"Code": "8"}, Package=[package])
    assert "ShippingLabel" not in by_mail["PackageResults"][0] and by_mail["LabelURL"].startswith("https://")
    for changes, code in (
        ({"Package": [PACKAGE]}, "120622"),
        ({"Package": [package, package]}, "120624"),
        ({"Service": {"Code": "13"}}, "121320"),
        ({"ShipFrom": None}, "10002"),
    ):
        refused = ups.ship(**parties | {"ReturnService": {"Code": "9"}, "Package": [package]} | changes)
        assert error_of(refused) == (400, code)


def test_cod_labels_are_gif(ups):
    options = {"COD": {"CODFundsCode": "0", "CODAmount": {"CurrencyCode": "USD", "MonetaryValue": "20.00"}}}
    results = ups.buy("ZPL", Package=[PACKAGE | {"PackageServiceOptions": options}])
    assert results["PackageResults"][0]["ShippingLabel"]["ImageFormat"]["Code"] == "GIF"
    assert "CODTurnInPage" in results


def test_shipment_is_voided_once_and_not_after_pickup(ups):
    def void(number, **query):
        return ups("DELETE", f"/shipments/v2409/void/cancel/{number}", **query)

    number = ups.buy_number()
    assert void(number).json()["VoidShipmentResponse"]["SummaryResult"]["Status"] == {
        "Code": "1",
        "Description": "Voided",
    }
    assert ups.track(number)["currentStatus"]["statusCode"] == "007"
    assert error_of(void(number)) == (400, "190117")
    assert error_of(void("1ZA1B2C30300000000")) == (400, "190102")
    recovery = {"LabelRecoveryRequest": {"TrackingNumber": number}}
    assert error_of(ups("POST", "/labels/v1/recovery", recovery)) == (400, "300033")
    moved = ups.buy_number()
    ups.advance(moved, "picked_up")
    assert error_of(void(moved)) == (400, "190102")


def test_single_packages_are_voided_within_a_country(ups):
    results = ups.buy(Package=[PACKAGE] * 3)
    first, second, third = (one["TrackingNumber"] for one in results["PackageResults"])

    def void(**query):
        return ups("DELETE", f"/shipments/v2409/void/cancel/{first}", **query)

    assert void(trackingnumber=f'["{second}"]').json()["VoidShipmentResponse"]["PackageLevelResults"] == [
        {"TrackingNumber": second, "Status": {"Code": "1", "Description": "Voided"}}
    ]
    ups.advance(third, "picked_up")
    whole = void().json()["VoidShipmentResponse"]  # a refusal inside a 200
    assert whole["SummaryResult"]["Status"]["Code"] == "0"
    assert ups.track(first)["currentStatus"]["statusCode"] == "003"
    assert error_of(void(trackingnumber=f'["{first}", "1Z"]')) == (400, "190122")
    assert error_of(void(trackingnumber=str([first] * 21).replace("'", '"'))) == (400, "190111")
    assert (
        void(trackingnumber=f'["{first}","{third}"]').json()["VoidShipmentResponse"]["SummaryResult"]["Status"]["Code"]
        == "0"
    )
    abroad = ups.buy(**TO_EUROPE)["ShipmentIdentificationNumber"]
    path = f"/shipments/v2409/void/cancel/{abroad}"
    assert error_of(ups("DELETE", path, trackingnumber=abroad)) == (400, "190113")


def test_reference_of_several_shipments_gives_candidates(ups):
    package = PACKAGE | {"ReferenceNumber": [{"Value": "TWICE-1"}]}
    numbers = {ups.buy_number(Package=[package]) for _ in range(2)}
    values = {"ReferenceNumber": {"Value": "TWICE-1"}, "ShipperNumber": "A1B2C3"}
    answer = ups("POST", "/labels/v1/recovery", {"LabelRecoveryRequest": {"ReferenceValues": values}}).json()
    found = answer["LabelRecoveryResponse"]
    assert {one["TrackingNumber"] for one in found["TrackingCandidate"]} == numbers and found["LabelResults"] == []


def test_older_versions_answer_with_objects_instead_of_short_lists(ups):
    old = ups("POST", "/shipments/v1/ship", ship_body()).json()["ShipmentResponse"]["ShipmentResults"]
    new = ups("POST", "/shipments/v2409/ship", ship_body()).json()["ShipmentResponse"]["ShipmentResults"]
    assert isinstance(old["PackageResults"], dict) and isinstance(new["PackageResults"], list)
    many = ups("POST", "/shipments/v1/ship", ship_body(Package=[PACKAGE, PACKAGE])).json()
    assert isinstance(many["ShipmentResponse"]["ShipmentResults"]["PackageResults"], list)


def test_objects_are_taken_where_lists_are_documented(ups):
    address = RECIPIENT["Address"] | {"AddressLine": "98 Pine Street"}
    charge = SHIPMENT["PaymentInformation"]["ShipmentCharge"][0]
    changes = {"ShipTo": RECIPIENT | {"Address": address}, "Package": PACKAGE}
    with ups.checks.off():
        results = ups.buy(**changes, PaymentInformation={"ShipmentCharge": charge})
    assert results["PackageResults"][0]["TrackingNumber"]


def test_uploaded_documents_are_named_by_a_label_and_deleted(process, ups):
    def upload(content=b"%PDF-1.4", **changes):
        form = {"UserCreatedFormFileName": "a.pdf", "UserCreatedFormFile": base64.b64encode(content).decode()}
        form |= {"UserCreatedFormFileFormat": "pdf", "UserCreatedFormDocumentType": "002"} | changes
        body = {"UploadRequest": {"Request": {}, "ShipperNumber": "A1B2C3", "UserCreatedForm": [form, form]}}
        return ups("POST", "/paperlessdocuments/v2/upload", body, headers={"ShipperNumber": "A1B2C3"})

    names = upload().json()["UploadResponse"]["FormsHistoryDocumentID"]["DocumentID"]
    assert len(names) == 2 and all(len(name) == 26 for name in names)

    def ship(name):
        forms = {"FormType": ["07"], "UserCreatedForm": {"DocumentID": [name]}}
        return ups.ship(
            **TO_EUROPE | {"ShipmentServiceOptions": {"EUDeMinimisIndicator": "N", "InternationalForms": forms}}
        )

    results = ship(names[0]).json()["ShipmentResponse"]["ShipmentResults"]
    number = results["ShipmentIdentificationNumber"]
    pushed = {"Request": {}, "ShipperNumber": "A1B2C3", "FormsHistoryDocumentID": {"DocumentID": names}}
    pushed |= {"ShipmentIdentifier": number, "ShipmentType": "1", "TrackingNumber": [number]}
    pushed["ShipmentDateAndTime"] = "2027-01-15-10.00.00"
    headers = {"ShipperNumber": "A1B2C3"}
    answer = ups("POST", "/paperlessdocuments/v2/image", {"PushToImageRepositoryRequest": pushed}, headers=headers)
    assert len(answer.json()["PushToImageRepositoryResponse"]["FormsGroupID"]) == 26
    path, by_id = "/paperlessdocuments/v2/DocumentId/ShipperNumber", headers | {"DocumentId": names[0]}
    assert ups("DELETE", path, headers=by_id).json()["DeleteResponse"]["Response"]["ResponseStatus"]["Code"] == "1"
    assert error_of(ups("DELETE", path, headers=by_id)) == (400, "9590022")
    assert error_of(ship(names[0])) == (400, "128238")
    assert error_of(upload(b"%PDF" + b"x" * 1024 * 1024))[0] == 400
    for changes in ({"UserCreatedFormFileFormat": "exe"}, {"UserCreatedFormDocumentType": "2"}, {"content": b"GIF8"}):
        assert error_of(upload(**changes)) == (400, "10002")


def test_recorded_calls_contain_no_secret(process, ups):
    ups.request_token()
    assert "test-secret" not in str(process.calls(carrier="ups")) and ups.session.headers["Authorization"] not in str(
        process.calls(carrier="ups")
    )
