"""The simulated Bring: bookings with their validation, numbers and labels."""

import pypdfium2
import pytest
import requests

from carriers.sandbox.bring.numbers import has_check_digit, with_modulus_11
from carriers.sandbox.bring.scans import ORDER_SCANS
from carriers.sandbox.tests.bring_client import CUSTOMS, TO_HOUSTON, TO_OSLO, TO_STOCKHOLM, error_codes, make_booking

NO_CONTACT = TO_OSLO | {"contact": {"name": "Ola"}}
BIG = {"heightInCm": 100, "widthInCm": 100, "lengthInCm": 200}
EXPORT = {"product__id": "PICKUP_PARCEL", "product__customerNumber": "6", "parties__recipient": TO_STOCKHOLM}
COD = {"id": "1000", "amount": "100.50", "currencyCode": "NOK", "accountNumber": "12345678903"}
NEW_CUSTOMS = {
    "natureOfCargo": {"type": "SALE_OF_GOODS"},
    "consent": True,
    "customsDeclarations": [
        {"goodsDescription": "shampoo", "amount": 200, "currency": "NOK", "netWeight": 1, "numberOfPieces": 2}
        | {"countryCodeOrigin": "CH", "customsArticleNumber": "330510"}
    ],
}
UNKNOWN_ORIGIN = NEW_CUSTOMS["customsDeclarations"][0] | {"countryCodeOrigin": ""}
NO_REFERENCE = {"parties__sender__reference": ""}
PARTIES = {"parties__importer": TO_STOCKHOLM, "parties__exporter": TO_OSLO}


def read_pages(file):
    return [page.get_textpage().get_text_range() for page in pypdfium2.PdfDocument(file)]


def test_each_package_has_its_number_and_a_page_of_the_label(bring):
    packages = [{"weightInKg": kg, "correlationId": f"package {kg}"} for kg in (1, 2, 3)]
    confirmation = bring.confirm(packages=packages)
    assert [one["correlationId"] for one in confirmation["packages"]] == ["package 1", "package 2", "package 3"]
    numbers = [one["packageNumber"] for one in confirmation["packages"]]
    assert len(set(numbers)) == 3
    assert all(has_check_digit(number) for number in [*numbers, confirmation["consignmentNumber"]])
    pages = read_pages(requests.get(confirmation["links"]["labels"]).content)
    for number, page in zip(numbers, pages, strict=True):
        assert number in page
        assert "Kari Åsen" in page
        assert f"Shipment {confirmation['consignmentNumber']}" in page


def test_label_is_behind_a_redirect_to_another_host_that_gets_no_keys(bring):
    link = bring.confirm()["links"]["labels"]
    bring.configure(storage_host="localhost")
    answer = requests.get(link, allow_redirects=False)
    location = answer.headers["Location"]
    assert (answer.status_code, location.startswith("http://localhost:")) == (302, True)
    assert requests.get(location).content.startswith(b"%PDF")
    assert requests.get(location, headers=bring.session.headers).status_code == 400
    assert requests.get(f"{location}0").status_code == 403
    assert requests.get(link.replace("labels/id/", "labels/id/0")).status_code == 404


def test_rfid_mailbox_parcel_has_a_zpl_label(bring):
    confirmation = bring.confirm(product__id="3570")
    label = requests.get(confirmation["links"]["labels"]).text
    assert label.startswith("^XA")
    assert confirmation["packages"][0]["packageNumber"] in label
    assert "Kari Åsen" in label


def test_packages_from_norway_by_post_have_numbers_of_the_postal_union(bring):
    assert [with_modulus_11("47312482"), with_modulus_11("00000967")] == ["473124829", "000009676"]
    shampoo = {"product__ediCustomsDeclarations": CUSTOMS}
    for changes in (EXPORT, EXPORT | {"product__id": "BUSINESS_PARCEL", "parties__recipient": TO_HOUSTON}):
        (package,) = bring.confirm(**changes, **shampoo)["packages"]
        assert has_check_digit(package["packageNumber"])
        assert package["packageNumber"].startswith("CR")
    (package,) = bring.confirm(**EXPORT | {"product__id": "BUSINESS_PARCEL"}, **shampoo)["packages"]
    assert package["packageNumber"].startswith("3")


INVALID = [
    ({"body__schemaVersion": None}, "BOOK-INPUT-003"),
    ({"body__testIndicator": None}, "BOOK-INPUT-030"),
    ({"body__consignments": []}, "BOOK-INPUT-004"),
    ({"shippingDateTime": None}, "BOOK-INPUT-012"),
    ({"shippingDateTime": "tomorrow"}, "BOOK_INPUT-059"),
    ({"shippingDateTime": "2020-01-15T10:00:00"}, "BOOK-VALIDATION-001"),
    ({"parties__sender": None}, "BOOK-INPUT-006"),
    ({"parties__recipient": {}}, "BOOK-INPUT-007"),
    ({"parties__sender__name": ""}, "BOOK-INPUT-014-SENDER"),
    ({"parties__recipient__addressLine": None}, "BOOK-INPUT-015-RECIPIENT"),
    ({"parties__recipient__city": " "}, "BOOK-INPUT-016-RECIPIENT"),
    ({"parties__recipient__countryCode": "ZZ"}, "BOOK-INPUT-028-RECIPIENT"),
    ({"parties__recipient__postalCode": "0000"}, "BOOK_INPUT-057-RECIPIENT"),
    ({"parties__recipient__postalCode": "12345"}, "BOOK_INPUT-057-RECIPIENT"),
    ({"parties__recipient__addressLine2": "x" * 36}, "BOOK-VALIDATION-001"),
    ({"parties__sender": NO_CONTACT}, "BOOK-VALIDATION-001"),
    ({"parties__recipient": NO_CONTACT}, "BOOK_VALIDATION-011"),
    ({"product": {}}, "BOOK-INPUT-008"),
    ({"product__id": "SERVICEPAKKE"}, "BOOK-INPUT-020"),
    ({"product__id": "9650"}, "BOOK-INPUT-070"),
    ({"product__customerNumber": ""}, "BOOK-INPUT-019"),
    ({"product__customerNumber": "99"}, "BOOK-INPUT-021"),
    ({"product__customerNumber": "7"}, "BOOK-INPUT-029"),
    ({"parties__sender__countryCode": "FI", "parties__sender__postalCode": "00100"}, "BOOK-INPUT-022-SENDER"),
    (EXPORT | {"product__id": "BUSINESS_PARCEL_RETURN", "parties__recipient": TO_HOUSTON}, "BOOK-INPUT-025"),
    ({"product__id": "5600", "parties__recipient__postalCode": "9170"}, "BOOK-INPUT-024"),
    ({"packages": []}, "BOOK-INPUT-009"),
    ({"packages": [{"weightInKg": 1}] * 51}, "BOOK-VALIDATION-001"),
    ({"product__id": "3584", "packages": [{"weightInKg": 1}] * 2}, "BOOK-INPUT-032"),
    ({"packages__0__weightInKg": 0}, "BOOK-INPUT-002"),
    ({"packages__0__weightInKg": 36}, "BOOK-INPUT-023"),
    ({"packages__0__dimensions": BIG}, "BOOK-INPUT-023"),
    ({"product__additionalServices": [{"id": "NOPE"}]}, "BOOK_VALIDATION-008"),
    ({"product__additionalServices": [{"id": "1062"}]}, "BOOK-INPUT-027"),
    ({"product__additionalServices": [COD | {"accountNumber": ""}]}, "BOOK-INPUT-037"),
    ({"product__additionalServices": [COD | {"currencyCode": "kr"}]}, "BOOK-INPUT-036"),
    ({"product__additionalServices": [COD | {"amount": 1.234}]}, "BOOK-INPUT-054"),
    ({"parties__pickupPoint": {"id": "105003"}}, "PICKUP-INPUT-011"),
    ({"parties__pickupPoint": {"id": "111122", "countryCode": "SE"}}, "PICKUP-INPUT-012"),
    ({"parties__pickupPoint": {"id": "736431", "countryCode": "NO"}}, "BOOK-INPUT-045"),
    ({"product__id": "5600", "parties__pickupPoint": {"id": "105003", "countryCode": "NO"}}, "BOOK-INPUT-047"),
    (EXPORT, "BOOK_VALIDATION-014"),
    (EXPORT | {"product__ediCustomsDeclarations": CUSTOMS | {"natureOfTransaction": ""}}, "BOOK_VALIDATION-013"),
    (EXPORT | {"product__ediCustomsDeclarations": {"natureOfTransaction": "GIFT"}}, "BOOK_VALIDATION-012"),
    (EXPORT | PARTIES | {"customsInformation": NEW_CUSTOMS | {"consent": False}}, "BOOK-VALIDATION-001"),
    (EXPORT | PARTIES | {"customsInformation": NEW_CUSTOMS | {"ioss": "IM1"}} | NO_REFERENCE, "BOOK-VALIDATION-001"),
    (EXPORT | PARTIES | {"customsInformation": NEW_CUSTOMS | {"ioss": "IM1234567890"}}, "BOOK-VALIDATION-001"),
    (
        EXPORT | PARTIES | {"customsInformation": NEW_CUSTOMS | {"customsDeclarations": [UNKNOWN_ORIGIN]}},
        "BOOK-INPUT-028",
    ),
    (EXPORT | PARTIES | {"customsInformation": NEW_CUSTOMS | {"type": "NVIT"}}, "BOOK-VALIDATION-001"),
]


def test_invalid_booking_is_refused_with_bring_s_code(bring):
    found = {str(changes): (error_codes(bring.book(**changes)), code) for changes, code in INVALID}
    assert [(changes, got) for changes, (got, code) in found.items() if got != (400, [code])] == []


def test_all_errors_of_a_booking_are_reported_with_their_party(bring):
    answer = bring.book(parties__sender__name="", parties__recipient__city="", packages=[])
    assert error_codes(answer)[1] == ["BOOK-INPUT-014-SENDER", "BOOK-INPUT-016-RECIPIENT", "BOOK-INPUT-009"]
    (consignment,) = answer.json()["consignments"]
    assert (consignment["confirmation"], consignment["correlationId"]) == (None, "order-1")
    assert consignment["errors"][0]["messages"] == [{"lang": "en", "message": "Name must be provided"}]
    two = make_booking()["consignments"] * 2
    assert error_codes(bring.book(body__consignments=two)) == (400, ["BOOK-INPUT-005"])
    missing = bring.book(parties__recipient=TO_OSLO | {"countryCode": ""})
    assert "BOOK-INPUT-017-RECIPIENT" in error_codes(missing)[1]
    bring.configure(booking_error_status=200)
    assert error_codes(bring.book(packages=[])) == (200, ["BOOK-INPUT-009"])


def test_valid_bookings_of_every_kind_are_confirmed(bring):
    point = {"id": "205003", "countryCode": "NO"}
    for changes in (
        {"product__customerNumber": "PARCELS_NORWAY-00000000005", "parties__pickupPoint": point},
        {"product__additionalServices": [COD | {"codMessage": {"type": "kid", "value": "1"}}, {"id": "EVARSLING"}]},
        {"shippingDateTime": 4_000_000_000_000, "packages__0__weightInKg": None},
        {"product__id": "9300", "parties__sender": NO_CONTACT},
        EXPORT | PARTIES | {"customsInformation": NEW_CUSTOMS | {"ioss": "IM1234567890"}} | NO_REFERENCE,
        {"customsInformation": NEW_CUSTOMS | {"type": "NVIT"}},
        {"product__id": "5100", "product__customerNumber": "7", "packages__0__volumeInDm3": 20},
    ):
        assert bring.confirm(**changes)["consignmentNumber"].startswith("7")


def test_customer_number_of_another_user_is_forbidden(bring):
    bring.configure(customers=["6"])
    assert error_codes(bring.book()) == (403, ["BOOK-AUTHORIZATION-001"])


def test_test_bookings_are_marked_and_can_be_forgotten(bring):
    bring.configure(customers=["5", "20012345678"], forget_tests=True)
    real = {"product__customerNumber": "20012345678"}
    forgotten = [bring.confirm(), bring.confirm(**real)]
    kept = bring.confirm(**real, body__testIndicator=False)
    searches = [bring.track(one["consignmentNumber"]).json() for one in (*forgotten, kept)]
    assert [one["consignmentSet"][0].get("error", {}).get("code") for one in searches] == [404, 404, None]
    stored = bring.process.control("GET", "/_sandbox/bring/shipments?reference=REF-1")
    assert stored[-1]["is_test"] is False
    assert requests.get(forgotten[0]["links"]["labels"]).content.startswith(b"%PDF")


def test_return_has_qr_and_label_free_codes(bring):
    (package,) = bring.confirm(product__id="9300", generateQrCodes=True)["packages"]
    assert requests.get(package["qrCodeLink"]).content.startswith(b"\x89PNG")
    assert package["labelFreeCode"].startswith("BRING-")
    bring.process.control(
        "POST", "/_sandbox/faults", {"carrier": "bring", "operation": "create_return", "kind": "echo"}
    )
    assert bring.book(product__id="9300").status_code == 500


def test_there_is_no_cancellation(bring):
    number = bring.confirm()["consignmentNumber"]
    for method in ("DELETE", "POST", "PUT"):
        assert bring(method, f"/booking/api/booking/{number}").status_code == 404


@pytest.mark.parametrize("word", ORDER_SCANS)
def test_magic_word_sets_the_status(bring, word):
    number = bring.confirm(correlationId=word)["consignmentNumber"]
    with bring.checks.off():  # one is a status that Bring may add one day
        assert bring.statuses(number)[0] == ORDER_SCANS[word][-1]


def test_booking_requests_its_own_fault_and_may_exist_without_an_answer(bring):
    assert bring.book(parties__sender__reference="SANDBOX-503").status_code == 503
    assert bring.book(parties__recipient__name="SANDBOX-REJECT").status_code == 400
    reference = f"LOST {id(bring)}"
    fault = {"carrier": "bring", "operation": "create_label", "kind": "hang_after", "delay_s": 0}
    bring.process.control("POST", "/_sandbox/faults", fault)
    with pytest.raises(requests.ConnectionError):
        bring.book(parties__sender__reference=reference)
    found = bring.track(reference).json()["consignmentSet"]
    assert [one["senderReference"] for one in found] == [reference]
    assert bring.process.calls(carrier="bring", reference=reference)[0]["fault"] == "hang_after"
    assert make_booking()["consignments"][0]["parties"]["sender"]["reference"] == "REF-1"
