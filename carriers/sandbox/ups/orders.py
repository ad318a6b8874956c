"""Checks that only Shipping makes: payment, references, options, labels, returns and customs."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from carriers.sandbox.carrier import SimulatedCarrier
from carriers.sandbox.ups import locations
from carriers.sandbox.ups.errors import Invalid, NotValid
from carriers.sandbox.ups.services import NO_RETURNS, NOT_SIMULATED, SERVICES, services_between
from carriers.sandbox.ups.validation import EU, Consignment, get_element, one_or_many, read_decimal, read_party

THERMAL = ("ZPL", "EPL", "SPL")
_RETURN_CODES = {str(number) for number in (2, 3, 5, *range(8, 21))}
_PAYERS = ("BillShipper", "BillReceiver", "BillThirdParty", "ConsigneeBilledIndicator")
_TERMS = {"CFR", "CIF", "CIP", "CPT", "DAF", "DDP", "DAP", "DEQ", "DES", "EXW", "FAS", "FCA", "FOB"}
_FORMS = {"01", "03", "04", "05", "06", "07", "08", "09", "10", "11"}
_INVOICE, _PARTIAL_INVOICE, _OWN_FORMS, _PREMIUM_CARE = "01", "05", "07", "10"
# Movements whose packages may have a delivery confirmation of their own; others have one of the shipment (assumed).
_OF_PACKAGES = ({"US"}, {"PR"}, {"CA"}, {"US", "PR"})
_DATE = re.compile(r"\d{8}")
_MOST_DAYS_AHEAD = 7


def check(carrier: SimulatedCarrier, account: str, consignment: Consignment, label: Any) -> None:
    """Check what a label needs beyond a price. Raises ``Invalid``."""
    if consignment.service not in (*SERVICES, *NOT_SIMULATED):
        consignment.refuse("0500")
    _check_return(consignment)
    if consignment.service not in services_between(consignment):
        consignment.refuse("1320" if consignment.service in NO_RETURNS and consignment.is_return else "1210")
    if consignment.origin["country"] != consignment.shipper["country"] and not consignment.is_return:
        consignment.refuse("0317", "The ShipFrom country must be the same as the Shipper country")
    _check_payment(consignment)
    _check_references(consignment)
    _check_options(consignment)
    _check_point(carrier, consignment)
    _check_date(consignment)
    if consignment.is_abroad:
        _check_abroad(consignment)
    _check_description(consignment)
    _check_forms(carrier, account, consignment)
    if consignment.return_code not in ("2", "3", "5"):
        check_label(consignment, label)


def check_label(consignment: Consignment, label: Any) -> None:
    """Check the format and size of the label."""
    label = label if isinstance(label, dict) else {}
    code = get_element(label, "LabelImageFormat").get("Code")
    if code not in ("GIF", *THERMAL):
        consignment.refuse("0702")
    if code in THERMAL:
        size = label.get("LabelStockSize")
        if not isinstance(size, dict):
            consignment.refuse("0703")
        if str(size.get("Height")) not in ("6", "8"):
            consignment.refuse("0704")
        if str(size.get("Width")) != "4":
            consignment.refuse("0705")


def forms_of(consignment: Consignment) -> tuple[dict[str, Any], set[str]]:
    """Return the element of the international forms and the requested types."""
    forms = get_element(consignment.options, "InternationalForms")
    return forms, {str(one) for one in one_or_many(forms.get("FormType"))}


def _check_return(consignment: Consignment) -> None:
    if "ReturnService" not in consignment.body:
        return
    if consignment.return_code not in _RETURN_CODES:
        raise NotValid("Shipment.ReturnService.Code")
    if not consignment.body.get("ShipFrom"):
        raise NotValid("Shipment.ShipFrom")
    if any(not package["description"] for package in consignment.packages):
        consignment.refuse("0622")


def _check_payment(consignment: Consignment) -> None:
    payment = get_element(consignment.body, "PaymentInformation")
    charges = [one for one in one_or_many(payment.get("ShipmentCharge")) if isinstance(one, dict)]
    if not any(one.get("Type") == "01" for one in charges):
        consignment.refuse("0410")
    for charge in charges:
        if not any(payer in charge for payer in _PAYERS):
            consignment.refuse("0410")
        if get_element(charge, "BillShipper").get("AccountNumber") not in (None, consignment.shipper_number):
            consignment.refuse("0415")
        if charge.get("Type") == "02" and (not consignment.is_abroad or consignment.is_within_eu):
            consignment.refuse("1521", "Invalid payer of Duty and Tax")


def _check_references(consignment: Consignment) -> None:
    of_shipment = [one for one in one_or_many(consignment.body.get("ReferenceNumber")) if isinstance(one, dict)]
    if of_shipment and consignment.has_package_references:
        consignment.refuse("0541")
    if len(of_shipment) > 2:
        consignment.refuse("0543")
    if any(not 1 <= len(str(one.get("Value") or "")) <= 35 for one in of_shipment):
        consignment.refuse("0501")
    for package in consignment.packages:
        if package["references"] and not consignment.has_package_references:
            consignment.refuse("0542")
        if len(package["references"]) > 2:
            consignment.refuse("0544")
        if any(not 1 <= len(value) <= 35 for value in package["references"]):
            consignment.refuse("0603")


def _check_options(consignment: Consignment) -> None:
    countries = {consignment.origin["country"], consignment.destination["country"]}
    is_of_packages = countries in _OF_PACKAGES
    for package in consignment.packages:
        if package["signature"] and not is_of_packages:
            consignment.refuse("0598")
        if package["signature"] not in ("", "2", "3"):
            consignment.refuse("0599")
        if package["is_cod"] and countries not in ({"US"}, {"PR"}, {"CA"}):
            consignment.refuse("1156")
    kind = str(get_element(consignment.options, "DeliveryConfirmation").get("DCISType") or "")
    if consignment.has_signature and (kind not in ("1", "2") or is_of_packages or consignment.is_return):
        consignment.refuse("9087")
    if "COD" in consignment.options and not consignment.is_within_eu:
        consignment.refuse("1155")
    if consignment.is_saturday and consignment.service not in ("01", "02", "14", "07", "54"):
        consignment.refuse("1045")


def _check_point(carrier: SimulatedCarrier, consignment: Consignment) -> None:
    """The label of an Access Point needs its whole address."""
    point = consignment.body.get("AlternateDeliveryAddress")
    if not consignment.is_to_point:
        return
    if not isinstance(point, dict):
        raise NotValid("Shipment.AlternateDeliveryAddress")
    if not point.get("AttentionName"):
        raise NotValid("Shipment.AlternateDeliveryAddress.AttentionName")
    try:
        address = read_party(point, "ShipTo", consignment.prefix, is_full=True)
    except Invalid:
        raise NotValid("Shipment.AlternateDeliveryAddress.Address") from None
    if address["country"] != consignment.destination["country"]:
        raise NotValid("Shipment.AlternateDeliveryAddress.Address.CountryCode")
    point_id = point.get("UPSAccessPointID")
    if point_id is not None and not locations.is_open(carrier, str(point_id)):
        raise NotValid("Shipment.AlternateDeliveryAddress.UPSAccessPointID")


def _check_date(consignment: Consignment) -> None:
    date = consignment.body.get("ShipmentDate")
    if date is None:
        return
    today = datetime.now(UTC).date()
    days = {f"{today + timedelta(days=days):%Y%m%d}" for days in range(-1, _MOST_DAYS_AHEAD + 2)}
    if str(date) not in days:  # a day more at each end: the shipper's date may differ from that in UTC
        raise NotValid("Shipment.ShipmentDate")


def _check_abroad(consignment: Consignment) -> None:
    needed = (
        (consignment.destination, "contact_name", "0201", "Missing/Invalid ShipTo AttentionName"),
        (consignment.destination, "contact_phone", "0209", "Missing/Invalid ShipTo PhoneNumber"),
        (consignment.shipper, "contact_name", "0110", "Missing/Invalid Shipper AttentionName"),
        (consignment.shipper, "contact_phone", "0109", "Missing/Invalid Shipper PhoneNumber"),
    )
    for party, name, end, text in needed:
        if not party[name]:
            consignment.refuse(end, text)
    if consignment.destination["country"] in EU and consignment.origin["country"] not in EU:
        if str(consignment.options.get("EUDeMinimisIndicator")) not in ("Y", "N"):
            raise NotValid("ShipmentServiceOptions.EUDeMinimisIndicator")
        for name in ("ShipperType", "ConsigneeType"):
            if str(consignment.body.get(name)) not in ("01", "02", "NA"):
                raise NotValid(f"Shipment.{name}")


def _check_description(consignment: Consignment) -> None:
    description = str(consignment.body.get("Description") or "")
    is_letter = all(package["packaging"] == "01" for package in consignment.packages)
    is_eu_standard = consignment.is_within_eu and consignment.service == "11"
    is_emirates = "AE" in (consignment.origin["country"], consignment.destination["country"])
    if not description and (is_emirates or (consignment.is_abroad and not is_letter and not is_eu_standard)):
        consignment.refuse("0512")
    if len(description) > 50:
        consignment.refuse("0503", "Shipment Description cannot exceed the length of 50 characters")
    to = consignment.destination["country"]
    needs_total = consignment.origin["country"] == "US" and to in ("PR", "CA") and not consignment.is_return
    total = consignment.body.get("InvoiceLineTotal")
    if needs_total and (
        not isinstance(total, dict) or not re.fullmatch(r"[1-9]\d{0,10}", str(total.get("MonetaryValue")))
    ):
        consignment.refuse("0539")
    if total and not needs_total:
        consignment.refuse("0504")


def _check_forms(carrier: SimulatedCarrier, account: str, consignment: Consignment) -> None:
    forms, types = forms_of(consignment)
    if not forms:
        return
    if not types or not types <= _FORMS:
        consignment.refuse("8001")
    if consignment.is_return and not types <= {_INVOICE, _PARTIAL_INVOICE, _PREMIUM_CARE}:
        consignment.refuse("8201")
    if {_INVOICE, _PARTIAL_INVOICE} <= types:
        consignment.refuse("8210")
    if not consignment.is_abroad and not consignment.is_us_and_puerto_rico:
        consignment.refuse("8120")
    if _OWN_FORMS in types:
        names = one_or_many(get_element(forms, "UserCreatedForm").get("DocumentID"))
        if not names:
            consignment.refuse("8223")
        for name in names:
            document = carrier.store.get("ups_document", str(name))
            if document is None or document["account"] != account:
                consignment.refuse("8238")
    if types - {_OWN_FORMS}:
        _check_products(consignment, forms, needs_units=_INVOICE in types)
    if _INVOICE in types:
        _check_invoice(consignment, forms)


def _check_invoice(consignment: Consignment, forms: dict[str, Any]) -> None:
    if not consignment.is_return and not _DATE.fullmatch(str(forms.get("InvoiceDate"))):
        consignment.refuse("8066")
    if not 1 <= len(str(forms.get("ReasonForExport") or "")) <= 20:
        consignment.refuse("8069")
    if not re.fullmatch("[A-Z]{3}", str(forms.get("CurrencyCode"))):
        consignment.refuse("8114")
    if forms.get("TermsOfShipment") is not None and str(forms["TermsOfShipment"]) not in _TERMS:
        consignment.refuse("8068")
    for name, end in (("FreightCharges", "8073"), ("InsuranceCharges", "8112")):
        amount = get_element(forms, name).get("MonetaryValue", "0")
        if read_decimal(amount) is None or len(amount) > 15:
            consignment.refuse(end)
    # The document needs it for USMCA only, the older table for invoices too; only its form is checked.
    sold_to = get_element(forms, "Contacts").get("SoldTo")
    if sold_to is not None and not (get_element(forms, "Contacts", "SoldTo").get("Name") and sold_to.get("Address")):
        consignment.refuse("8094")


def _check_products(consignment: Consignment, forms: dict[str, Any], *, needs_units: bool) -> None:
    products = [one for one in one_or_many(forms.get("Product")) if isinstance(one, dict)]
    if not products:
        consignment.refuse("8218")
    if len(products) > 1000:
        consignment.refuse("8222")
    for number, product in enumerate(products, start=1):
        lines = one_or_many(product.get("Description"))
        unit = get_element(product, "Unit")
        code = product.get("CommodityCode")
        value = read_decimal(unit.get("Value"))
        checks = {
            "8113": 1 <= len(lines) <= 3 and all(1 <= len(str(line)) <= 35 for line in lines),
            "8043": not needs_units or bool(re.fullmatch(r"\d{1,7}", str(unit.get("Number")))),
            "8044": not needs_units or 1 <= len(str(get_element(unit, "UnitOfMeasurement").get("Code") or "")) <= 3,
            "8046": not needs_units or value is not None and value > 0 and len(str(unit["Value"])) <= 19,
            "8048": code is None or bool(re.fullmatch(r"[A-Za-z0-9.]{6,15}", str(code))),
            "8049": bool(re.fullmatch("[A-Z]{2}", str(product.get("OriginCountryCode")))),
        }
        for end, is_good in checks.items():
            if not is_good:
                consignment.refuse(end, number=number)
