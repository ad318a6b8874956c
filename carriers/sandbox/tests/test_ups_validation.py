"""The simulated UPS refuses orders that its documents do not allow, with UPS's codes."""

import pytest

from carriers.sandbox.tests.ups_client import (
    ABROAD,
    INCHES,
    INVOICE,
    PACKAGE,
    POUNDS,
    RECIPIENT,
    SENDER,
    TO_EUROPE,
    UpsClient,
    error_of,
    ship_body,
)


def of(party, **address):
    return party | {"Address": party["Address"] | address}


def weight(value, unit="LBS"):
    return PACKAGE | {"PackageWeight": POUNDS | {"Weight": value, "UnitOfMeasurement": {"Code": unit}}}


def size(length, width="8", height="4", unit="IN"):
    sides = {"Length": length, "Width": width, "Height": height, "UnitOfMeasurement": {"Code": unit}}
    return PACKAGE | {"Dimensions": INCHES | sides}


def forms(**changes):
    options = {"EUDeMinimisIndicator": "Y", "InternationalForms": INVOICE | changes}
    return TO_EUROPE | {"ShipmentServiceOptions": options}


def product(**changes):
    return forms(Product=[INVOICE["Product"][0] | changes])


METRIC = PACKAGE | {
    "PackageWeight": {"UnitOfMeasurement": {"Code": "KGS"}, "Weight": "2"},
    "Dimensions": INCHES | {"UnitOfMeasurement": {"Code": "CM"}},
}
TRANSPORTATION = {"Type": "01", "BillShipper": {"AccountNumber": "A1B2C3"}}
DUTIES = TRANSPORTATION | {"Type": "02"}
POINT = {"ShipmentIndicationType": [{"Code": "01"}]}
CANADA = of(RECIPIENT, StateProvinceCode="ON", PostalCode="M5C2M6", CountryCode="CA")
REFUSALS = [
    # parties
    ({"Shipper": SENDER | {"ShipperNumber": "ZZZZZZ"}}, "120100"),
    ({"Shipper": SENDER | {"Name": ""}}, "120101"),
    ({"ShipTo": RECIPIENT | {"Name": "x" * 36}}, "120200"),
    ({"ShipTo": of(RECIPIENT, AddressLine=["x" * 36])}, "120202"),
    ({"ShipTo": of(RECIPIENT, AddressLine=["1", "2", "3", "4"])}, "120202"),
    ({"ShipTo": of(RECIPIENT, City="")}, "120205"),
    ({"ShipTo": of(RECIPIENT, StateProvinceCode="XX")}, "120206"),
    ({"ShipTo": of(RECIPIENT, PostalCode="9810")}, "120207"),
    ({"ShipTo": of(RECIPIENT, PostalCode="21201")}, "120207"),  # of another state
    ({"ShipTo": of(CANADA, PostalCode="M5C")}, "120207"),
    ({"ShipTo": of(RECIPIENT, CountryCode="XX")}, "120208"),
    ({"ShipTo": RECIPIENT | {"Phone": {"Number": "555"}}}, "120213"),
    ({"ShipTo": of(ABROAD, CountryCode="KP")}, "121106"),
    # service and payment
    ({"Service": {"Code": "99"}}, "120500"),
    ({"Service": {"Code": "07"}}, "121210"),
    ({"Service": {"Code": "M4"}}, "121210"),
    ({"PaymentInformation": None}, "120410"),
    (
        {"PaymentInformation": {"ShipmentCharge": [{"Type": "01", "BillShipper": {"AccountNumber": "Z9Z9Z9"}}]}},
        "120415",
    ),
    ({"PaymentInformation": {"ShipmentCharge": [TRANSPORTATION, DUTIES]}}, "121521"),
    # packages and units
    ({"Package": []}, "120002"),
    ({"Package": [PACKAGE] * 201}, "120020"),
    ({"Package": [PACKAGE | {"Packaging": {"Code": "99"}}]}, "120600"),
    ({"Package": [PACKAGE | {"PackageWeight": None}]}, "120608"),
    ({"Package": [weight(3)]}, "120601"),  # a JSON number
    ({"Package": [weight("0")]}, "121030"),
    ({"Package": [weight("150.1")]}, "121035"),
    ({"Package": [weight("3", "STN")]}, "120546"),
    ({"Package": [size("109")]}, "121055"),
    ({"Package": [size("100", "30", "5")]}, "121050"),
    ({"Package": [size("0")]}, "120609"),
    ({"Package": [size("10", unit="FT")]}, "120547"),
    ({"Package": [size("10", unit="CM")]}, "120548"),
    ({"Package": [PACKAGE, METRIC]}, "120529"),
    ({"Package": [METRIC]}, "121057"),
    ({"Package": [PACKAGE | {"PackageServiceOptions": {"DeclaredValue": {"MonetaryValue": "50001"}}}]}, "121025"),
    # references and options
    ({"ReferenceNumber": [{"Value": "1"}]}, "120541"),
    ({"Package": [PACKAGE | {"ReferenceNumber": [{"Value": "1"}] * 3}]}, "120544"),
    ({"Package": [PACKAGE | {"ReferenceNumber": [{"Value": "x" * 36}]}]}, "120603"),
    (TO_EUROPE | {"Package": [PACKAGE | {"ReferenceNumber": [{"Value": "1"}]}]}, "120542"),
    ({"Package": [PACKAGE | {"PackageServiceOptions": {"DeliveryConfirmation": {"DCISType": "1"}}}]}, "120599"),
    ({"ShipmentServiceOptions": {"DeliveryConfirmation": {"DCISType": "1"}}}, "129087"),
    ({"ShipmentServiceOptions": {"SaturdayDeliveryIndicator": ""}}, "121045"),
    ({"ShipmentServiceOptions": {"COD": {}}}, "121155"),
    (POINT, "10002"),
    (POINT | {"AlternateDeliveryAddress": RECIPIENT | {"UPSAccessPointID": "U00000000"}}, "10002"),
    ({"ShipmentDate": "20200101"}, "10002"),
    # abroad
    (TO_EUROPE | {"Description": None}, "120512"),
    (TO_EUROPE | {"Description": "x" * 51}, "120503"),
    (TO_EUROPE | {"ShipTo": ABROAD | {"AttentionName": ""}}, "120201"),
    (TO_EUROPE | {"ShipTo": ABROAD | {"Phone": None}}, "120209"),
    (TO_EUROPE | {"Shipper": SENDER | {"Phone": None}}, "120109"),
    (TO_EUROPE | {"ConsigneeType": None}, "10002"),
    (TO_EUROPE | {"ShipmentServiceOptions": {}}, "10002"),
    ({"ShipTo": CANADA, "Service": {"Code": "11"}}, "120539"),
    (TO_EUROPE | {"InvoiceLineTotal": {"CurrencyCode": "USD", "MonetaryValue": "10"}}, "120504"),
    ({"ShipmentServiceOptions": {"InternationalForms": INVOICE}}, "128120"),
    (forms(FormType="99"), "128001"),
    (forms(Product=[]), "128218"),
    (forms(InvoiceDate=None), "128066"),
    (forms(ReasonForExport="x" * 21), "128069"),
    (forms(CurrencyCode="US"), "128114"),
    (forms(TermsOfShipment="ABC"), "128068"),
    (product(Description=["x" * 36]), "128113"),
    (product(Unit={"Number": "1.5", "UnitOfMeasurement": {"Code": "PCS"}, "Value": "1"}), "128043"),
    (product(Unit={"Number": "1", "UnitOfMeasurement": {"Code": "PCS"}, "Value": "0"}), "128046"),
    (product(CommodityCode="12345"), "128048"),
    (product(OriginCountryCode=None), "128049"),
]


@pytest.fixture(scope="module")
def ups(process):
    return UpsClient(process)


def test_each_wrong_order_is_refused_and_nothing_is_sold(process, ups):
    process.clear()
    found = [error_of(ups.ship(**changes)) for changes, _ in REFUSALS]
    assert found == [(400, code) for _, code in REFUSALS]
    assert {call["done"] for call in process.calls(carrier="ups")} == {400}


def test_label_specification_is_checked(ups):
    label = {"LabelImageFormat": {"Code": "ZPL"}, "LabelStockSize": {"Height": "6", "Width": "4"}}
    for changes, code in (
        ({"LabelImageFormat": {"Code": "PDF"}}, "120702"),
        ({"LabelStockSize": None}, "120703"),
        ({"LabelStockSize": {"Height": "7", "Width": "4"}}, "120704"),
        ({"LabelStockSize": {"Height": "8", "Width": "6"}}, "120705"),
    ):
        body = ship_body()
        body["ShipmentRequest"]["LabelSpecification"] = label | changes
        assert error_of(ups("POST", "/shipments/v2409/ship", body)) == (400, code)


def test_units_follow_the_country_of_origin(ups):
    german = {
        "Shipper": ABROAD | {"ShipperNumber": "A1B2C3"},
        "ShipTo": of(ABROAD, City="Bonn"),
        "Service": {"Code": "11"},
    }
    results = ups.buy(**german, Package=[METRIC])
    assert results["BillingWeight"]["UnitOfMeasurement"]["Code"] == "KGS"
    assert results["ShipmentCharges"]["TotalCharges"]["CurrencyCode"] == "EUR"
    assert error_of(ups.ship(**german)) == (400, "121057")
    canadian = {"Shipper": CANADA | {"ShipperNumber": "A1B2C3"}, "ShipTo": CANADA, "Service": {"Code": "11"}}
    for package in (PACKAGE, METRIC):
        assert ups.ship(**canadian, Package=[package]).status_code == 200


def test_signature_belongs_to_packages_or_to_the_shipment(ups):
    of_package = PACKAGE | {"PackageServiceOptions": {"DeliveryConfirmation": {"DCISType": "2"}}}
    assert ups.ship(Package=[of_package]).status_code == 200
    options = TO_EUROPE["ShipmentServiceOptions"] | {"DeliveryConfirmation": {"DCISType": "1"}}
    assert ups.ship(**TO_EUROPE | {"ShipmentServiceOptions": options}).status_code == 200
    assert error_of(ups.ship(**TO_EUROPE | {"Package": [of_package]})) == (400, "120598")


def test_unreadable_bodies_and_elements_of_other_types_are_refused(ups):
    url = f"{ups.process.url}/ups/api/shipments/v2409/ship"
    for body in (b"{", b"[]", b"\xff", b""):
        assert ups.session.post(url, data=body).status_code == 400
    for wrong in ("x", 7, [None], {"a": 1}, True):
        for name in ("Shipper", "ShipTo", "Package", "Service", "PaymentInformation"):
            assert error_of(ups.ship(**{name: wrong}))[0] == 400
    assert ups("GET", "/nothing").status_code == 404
