"""UPS's refusals, failures and successes. Every API has the same envelopes; Locator and Time in Transit differ."""

from __future__ import annotations

from typing import Any

from carriers.sandbox.messages import Answer, Refusal

# Shipping's codes begin with 12, and Rating's with 11. The rest and the text are the same (assumed, from older tables).
TEXTS = {
    "0020": "Max packages per shipment exceeded.",
    "0051": "Invalid RequestOption",
    "0120": "The country associated with Shippers ShipperNumber must be the same as the shipments Shippers country.",
    "0400": "Missing/Invalid shipment payment method",
    "0410": "One payment method is required.",
    "0415": "PaymentInformation/Prepaid/BillShipper/AccountNumber must be the same as Shipper/ShipperNumber",
    "0500": "Missing/Invalid Service/Code",
    "0501": "Invalid Shipment/ReferenceNumber/Value",
    "0504": "InvoiceLineTotal is not allowed for this shipment",
    "0512": "Shipment Description is required for this shipment.",
    "0528": "A shipment can have only one type of UnitOfMeasurement for Dimensions",
    "0529": "A shipment can have only one type of UnitOfMeasurement for a Weight",
    "0539": "InvoiceLineTotal/MonetaryValue is required and must be a whole number",
    "0541": "Shipment/ReferenceNumber is not allowed for this shipment",
    "0542": "Package/ReferenceNumber is not allowed for this shipment",
    "0543": "No more than 2 Shipment/ReferenceNumber can be given per shipment",
    "0544": "No more than 2 Package/ReferenceNumber can be given per package",
    "0546": "Not a valid unit of measurement for weight for this shipment",
    "0547": "Not a valid unit of measurement for dimensions.",
    "0548": "A shipment cannot have a KGS/IN or LBS/CM as its unit of measurements",
    "0598": "Package Delivery Confirmation is not allowed with the shipment origin/destination",
    "0599": "Invalid package Delivery Confirmation type",
    "0600": "Missing Package/PackagingType/Code",
    "0601": "Missing/Invalid Package weight",
    "0602": "Missing/Invalid Combination of package length, width, and height values.",
    "0603": "Invalid Package/Reference/Value",
    "0604": "Invalid package declared value",
    "0608": "Package weight is required",
    "0609": "All Package Dimensions are required and each must be greater than 0",
    "0622": "Package description is required",
    "0624": "Only one package is allowed for this movement.",
    "0702": "Missing/Invalid LabelSpecification/LabelImageFormat/Code",
    "0703": "Missing/Invalid Combination of LabelSpecification/LabelStockSize",
    "0704": "Invalid LabelSpecification/LabelStockSize/Height",
    "0705": "Invalid LabelSpecification/LabelStockSize/Width",
    "0802": "Address Validation Error on ShipTo address",
    "1025": "The maximum declared amount $50,000 is exceeded",
    "1030": "Packages must weigh more than zero.",
    "1035": "The maximum per package weight is 150.00 pounds or 70.00 kg.",
    "1045": "The Saturday Delivery option is unavailable with the requested service.",
    "1050": "Package exceeds the maximum size total constraints of 165 inches or 330 cm (length + girth).",
    "1055": "Package exceeds the maximum length constraint of 108 inches or 270 cm.",
    "1057": "This measurement system is not valid for the selected country.",
    "1106": "The specified country, origin or destination, is not supported.",
    "1155": "The COD option is unavailable with the shipment's origin/destination pair.",
    "1156": "Package Level COD is not valid for the shipment origin and/or destination",
    "1210": "The requested service is unavailable between the selected locations.",
    "1320": "The Authorized Return Service is unavailable with the selected service.",
    "8001": "Invalid or missing international forms form type.",
    "8043": "Invalid or missing product unit number for product number {0}. Valid length is 1 to 7 numeric",
    "8044": "Invalid or missing Product/Unit/UnitOfMeasurement/Code for product number {0}.",
    "8046": "Invalid or missing product unit value for product number {0}.",
    "8048": "Invalid commodity code for product number {0}. Valid length is 6 to 15 alphanumeric",
    "8049": "Invalid or missing product origin country code for product number {0}",
    "8066": "Invalid or missing invoice date. Valid format is yyyyMMdd",
    "8068": "Invalid terms of shipment.",
    "8069": "Invalid or missing reason for export. Valid length is 1 to 20 alphanumeric",
    "8073": "Invalid freight charges monetary value. Valid length is 0 to 15 numeric.",
    "8094": "Sold to information is required when an invoice or NAFTA CO is requested.",
    "8112": "Invalid insurance monetary value. Valid length is 0 to 15 numeric.",
    "8113": "Invalid product description for product number {0}. Valid length is 1 to 35 alphanumeric",
    "8114": "Invalid or missing currency code. Valid length is 3 alphanumeric.",
    "8120": "Origin country must be different than destination country.",
    "8201": "Invalid or missing international forms form type for shipment with return service.",
    "8210": "Invalid combination of international forms. Both partial and complete invoice form cannot be selected.",
    "8218": "A Commercial Invoice must have at least one commodity in a request.",
    "8222": "Invalid number of products. The valid number of products is 1 to 1000.",
    "8223": "Invalid or missing DocumentID.",
    "8238": "No PDF found for given documentId.",
    "9087": "Invalid Shipment Delivery Confirmation Type",
}
NOT_VALID = "The request is well formed but the request is not valid"
# Code and text by HTTP status. 250002 and 10004 are published by Track Alert, 10400 by OAuth, the rest is assumed.
FAILURES = {
    400: ("10400", "Invalid request"),
    401: ("250002", "Invalid Authentication Information."),
    403: ("10403", "Blocked Merchant"),
    404: ("404", "The requested resource was not found."),
    405: ("10405", "Method not allowed"),
    429: ("10429", "Too Many Requests"),
    503: ("10503", "Resource is not available"),
}
_BROKEN = ("10004", "Something went wrong while processing your request, please try again later")


class UpsRefusal(Refusal):
    """A refusal in UPS's error format."""

    def __init__(self, status: int, code: str, message: str, **headers: str) -> None:
        super().__init__(status, make_error(code, message), **headers)


class Invalid(UpsRefusal):
    """A request that fails validation, with its code and text."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(400, code, message)


class NotValid(Invalid):
    """A request without a needed field, or with a wrong one, for which no own code is known (assumed: 10002)."""

    def __init__(self, field: str) -> None:
        super().__init__("10002", f"{NOT_VALID}: {field}")


def make_error(code: str, message: str) -> dict[str, Any]:
    return {"response": {"errors": [{"code": code, "message": message}]}}


def error_body(status: int, message: str = "") -> dict[str, Any]:
    """Return the body of a failure, with UPS's text unless one is given."""
    code, default = FAILURES.get(status, _BROKEN)
    return make_error(code, message or default)


def succeed(root: str, request: Any, content: dict[str, Any], alerts: tuple[tuple[str, str], ...] = ()) -> Answer:
    """Answer with the envelope of a success.

    Args:
        request: the ``Request`` element; its ``CustomerContext`` is returned.
        alerts: codes and texts.
    """
    response: dict[str, Any] = {"ResponseStatus": {"Code": "1", "Description": "Success"}}
    if alerts:
        response["Alert"] = [{"Code": code, "Description": text} for code, text in alerts]
    reference = request.get("TransactionReference") if isinstance(request, dict) else None
    context = reference.get("CustomerContext") if isinstance(reference, dict) else None
    if context:
        response["TransactionReference"] = {"CustomerContext": context}
    return Answer(200, {root: {"Response": response} | content})
