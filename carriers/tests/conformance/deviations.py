"""Where a published document is known to be wrong or incomplete, each with the reason."""

from __future__ import annotations

import re
from dataclasses import dataclass

from carriers.tests.conformance.operations import Exchange, Fault, Operation


@dataclass(frozen=True)
class Deviation:
    """A fault that is the document's. All but the reason are regular expressions of the whole."""

    document: str
    place: str
    path: str
    keyword: str
    reason: str

    def excuses(self, operation: Operation, fault: Fault) -> bool:
        pairs = (
            (self.document, operation.document),
            (self.place, fault.place),
            (self.path, fault.path),
            (self.keyword, fault.keyword),
        )
        return all(re.fullmatch(pattern, text) for pattern, text in pairs)


_SHIPPING, _RATING, _PICKUP = "ups/Shipping.yaml", "ups/Rating.yaml", "ups/Pickup.yaml"
_TRANSIT = "ups/TimeInTransit.yaml"
_RAML = "bring/raml/.*"
_BOOKING, _GUIDE = "bring/raml/bookingold.raml", "samples/bring/current/shipping-guide_2"
_PAGES = "the developer site's pages describe it; neither the RAML nor a sample has it"

DEVIATIONS = (
    # UPS
    Deviation(
        "ups/.*",
        "body|answer",
        ".*",
        "minLength",
        "it is the length of a longest value: documented values and UPS's own examples are shorter",
    ),
    Deviation("ups/.*", "answer", ".*", "empty", "UPS's own examples have empty texts"),
    Deviation("ups/.*", "status", "401|403|404|405|429|500|503", "unknown", "the gateway answers so before any API"),
    Deviation(_RATING, "path", "requestoption", "maxLength", "documented values are longer"),
    Deviation(_RATING, "body", r"RateRequest\.Request\.RequestOption", "missing", "the path has it"),
    Deviation(
        _SHIPPING,
        "body",
        r"LabelRecoveryRequest\.(Request|TrackingNumbers|ReferenceValues)",
        "missing",
        "a tracking number or a reference suffices, as the descriptions and the examples say",
    ),
    Deviation(
        _SHIPPING,
        "body",
        r"ShipmentRequest\.LabelSpecification\.LabelStockSize",
        "missing",
        "the description and the examples need it for thermal labels only",
    ),
    Deviation(
        _SHIPPING,
        "body",
        r".*\.InternationalForms\.Product",
        "missing",
        "forms that the merchant has uploaded (07) name their documents instead, as the examples do",
    ),
    Deviation(_SHIPPING, "body", r".*\.NotificationCode", "maxLength", "the documented values 012 and 013 are longer"),
    Deviation(_SHIPPING, "answer", r".*\.ImageFormat\.Code", "maxLength", "HTML, a documented value, is longer"),
    Deviation(_SHIPPING, "answer", r".*\.PackageResults", "type", "versions before v2409 answer one as an object"),
    Deviation(
        "ups/Locator.yaml",
        "body",
        r"LocatorRequest\.OriginAddress\.AddressKeyFormat\.(AddressLine|PoliticalDivision[12]|PostcodePrimaryLow)",
        "missing",
        "the description requires the country only; coordinates, or a postal code alone, suffice",
    ),
    Deviation(_PICKUP, "body", r".*\.PickupDate", "maxLength", "the documented format yyyyMMdd is longer"),
    Deviation(_PICKUP, "body", r".*\.ServiceDateOption", "maxLength", "the documented values are longer"),
    Deviation(_PICKUP, "body", r"PickupCreationRequest\.Request", "missing", "UPS's example has none"),
    Deviation(_TRANSIT, "body|answer", ".*", "maximum", "lengths are written as maxima"),
    Deviation(
        _TRANSIT,
        "answer",
        r"emsResponse\.(shipDate|services\[\]\.serviceLevel)",
        "maxLength",
        "the documented format and the documented values are longer",
    ),
    Deviation(
        "ups/UPSTrackAlert.yaml",
        "event",
        r"activityStatus\.descriptionCode",
        "unknown",
        "UPS's own examples have it",
    ),
    # Bring
    Deviation(f"{_RAML}|{_GUIDE}", "status", "4..|5..", "unknown", "the RAML of most APIs has successes only"),
    Deviation(
        _BOOKING,
        "body",
        r".*\.(addressLine2|additionalAddressInfo|reference|vatNumber|contact|email|phoneNumber"
        r"|customsArticleNumber|currency|countryOfOrigin)",
        "missing",
        "inferred from examples that have it; the pages require it in certain cases only",
    ),
    Deviation(
        _BOOKING,
        "body",
        r"consignments\[\](\.parties\.exporter|(\.product)?\.customsInformation)",
        "unknown",
        f"{_PAGES}; the names are those of Bring's own shop plugin",
    ),
    Deviation(_BOOKING, "body", r".*\.messageForRecipient", "type", "the RAML has a text, the examples have null"),
    Deviation(_BOOKING, "body", r".*\.amount", "type", "the RAML describes decimals, the examples have whole numbers"),
    Deviation(_BOOKING, "body", r"pickupDetails\.(package|pallet|postContainer)", "unknown", _PAGES),
    Deviation(
        _BOOKING,
        "answer",
        r"consignments\[\]\.confirmation\.packages\[\]\.(labelFreeCode|qrCodeLink)",
        "unknown",
        "booking-v1.xsd has it, no example does",
    ),
    Deviation(
        _BOOKING,
        "answer",
        r"consignments\[\]\.(confirmation|errors|confirmation\.packages\[\]\.correlationId)",
        "type",
        "booking-v1.xsd has it optional; the inferred schema knows one success",
    ),
    Deviation(
        "bring/raml/tracking.raml",
        "answer",
        "apiVersion|consignmentSet",
        "missing",
        "in the answer to a blocked user they are below shipments",
    ),
    Deviation("bring/raml/pickup-point.raml", "answer", r".*\.maxParcelDimensions", "unknown", _PAGES),
    Deviation(_GUIDE, "body", "language|withEnvironmentalData", "unknown", _PAGES),
    Deviation(
        _GUIDE,
        "answer",
        r".*\.(consignmentId|errors|timeSlots|additionalServices|environmentalData)",
        "unknown",
        _PAGES,
    ),
    Deviation(_GUIDE, "body", r"consignments\[\]\.additionalServices\[\]", "type", "pages and sample differ"),
)


def is_excused(operation: Operation, fault: Fault) -> bool:
    return any(deviation.excuses(operation, fault) for deviation in DEVIATIONS)


@dataclass(frozen=True)
class Undocumented:
    """An operation of which there is neither a document nor a sample. ``path`` is a regular expression."""

    method: str
    path: str
    reason: str

    def matches(self, exchange: Exchange) -> bool:
        return self.method == exchange.method and bool(re.fullmatch(self.path, exchange.path))


UNDOCUMENTED = {
    "ups": (),
    "bring": (
        Undocumented("GET", r"/(labels|storage)/.+", "a file at an address that a booking has given"),
        Undocumented("GET", r"/tracking/api/signature/.+", "a picture at an address that tracking has given"),
        Undocumented("GET", r"/address/api/.+", "the Address API's document is not public; the pages have its path"),
    ),
}
