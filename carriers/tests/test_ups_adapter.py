"""UPS's adapter with recorded requests and responses: contract, refusals and bookings."""

import json
import re
from dataclasses import replace
from decimal import Decimal

import pytest

from carriers.adapters.operations import OPERATIONS, Effect
from carriers.adapters.ups import UpsAdapter
from carriers.adapters.ups.tables import STATUSES
from carriers.tests.contract import CarrierContract
from carriers.tests.replay import answer
from carriers.tests.ups import (
    ABROAD,
    BOOKED_PICKUP,
    BOX,
    CALLS,
    EVENTS,
    FIELDS,
    NUMBER,
    NUMBERS,
    ORDER,
    PENDING,
    PICKUP,
    RECORDED,
    REQUESTS,
    TWO,
    open_adapter,
    ref_of,
    replaying,
    response,
)
from carriers.types import Document, Status
from carriers.types.errors import (
    CarrierAuthentication,
    CarrierCannotCancel,
    CarrierNotFound,
    CarrierRejected,
    CarrierUnavailable,
    NotServiceable,
    OutcomeUnknown,
    ProofNotAvailable,
)

# The error of each recorded refusal, and the field of our request that it names.
REFUSED = {
    "token_refused": (CarrierAuthentication, ""),
    "route_without_the_service": (NotServiceable, "service_type"),
    "label_refused_for_the_postal_code": (CarrierRejected, "destination.postal_code"),
    "void_after_pickup": (CarrierCannotCancel, ""),
    "void_refused_inside_a_success": (CarrierCannotCancel, ""),
    "transit_times_of_a_wrong_postal_code": (CarrierRejected, "destination.postal_code"),
}
_SHIPMENT = "trackResponse.shipment.*"
_ACTIVITY = [f"{_SHIPMENT}.package.*.activity.*.{name}" for name in ("status", "date", "time", "gmtDate", "gmtTime")]
_TRACKED = [*_ACTIVITY, f"{_SHIPMENT}.package.*.activity.*.gmtOffset"]
_RESULTS = "ShipmentResponse.ShipmentResults"
_BOOKED = [
    "ShipmentResponse.Response.TransactionReference.CustomerContext",
    f"{_RESULTS}.ShipmentIdentificationNumber",
    f"{_RESULTS}.PackageResults.*.TrackingNumber",
    f"{_RESULTS}.PackageResults.*.ShippingLabel.GraphicImage",
]
_RECOVERED = [
    "LabelRecoveryResponse.ShipmentIdentificationNumber",
    "LabelRecoveryResponse.LabelResults.*.TrackingNumber",
    "LabelRecoveryResponse.LabelResults.*.LabelImage.GraphicImage",
]
_TRANSIT = ("serviceLevel", "deliveryDate", "deliveryTime")
_POINT = [
    f"LocatorResponse.SearchResults.DropLocation.*.{name}"
    for name in (
        "AddressKeyFormat.CountryCode",
        "Geocode.Latitude",
        "Geocode.Longitude",
        "AccessPointInformation.PublicAccessPointID",
        "AccessPointInformation.AccessPointStatus.Code",
    )
]


def refusal(name, kind):
    one = RECORDED[name]
    (error,) = one["response"]["response"]["errors"]
    return one["status"], one["response"], kind, error["code"], error["message"]


class TestUpsContract(CarrierContract):
    adapter = UpsAdapter
    fields = FIELDS
    calls = CALLS
    events = tuple(EVENTS.values())
    lists = (
        ("quote", ["RateResponse", "RatedShipment"]),
        ("transit_times", ["emsResponse", "services"]),
        ("track", ["trackResponse", "shipment", 0, "package", 0, "activity"]),
        ("pickup_points", ["LocatorResponse", "SearchResults", "DropLocation"]),
        ("check_address", ["XAVResponse", "Candidate"]),
    )
    needed = {
        "quote": [f"RateResponse.RatedShipment.*.{name}" for name in ("Service.Code", "TotalCharges.MonetaryValue")],
        "transit_times": [
            f"emsResponse.services.*.{name}" for name in ("serviceLevel", "deliveryDate", "deliveryTime")
        ],
        "check_address": ["XAVResponse.Candidate.*.AddressKeyFormat.CountryCode"],
        "create_label": _BOOKED,
        "create_return": _BOOKED,
        "find_by_reference": _RECOVERED,
        "documents": _RECOVERED,
        "upload_document": ["UploadResponse.FormsHistoryDocumentID.DocumentID.*"],
        "cancel": ["VoidShipmentResponse.SummaryResult.Status.Code"],
        "track": _TRACKED,
        "proof_of_delivery": _TRACKED,
        "schedule_pickup": ["PickupCreationResponse.PRN"],
        "find_pickups": [f"PickupPendingStatusResponse.PendingStatus.*.{name}" for name in ("PRN", "ReferenceNumber")],
        "cancel_pickup": ["PickupCancelResponse.Response.ResponseStatus.Code"],
        "pickup_points": _POINT,
        "pickup_point": _POINT,
        "subscribe": ["validTrackingNumbers.*"],
        "unsubscribe": ["message"],
    }
    negatives = {
        "cancel": CarrierCannotCancel,
        "proof_of_delivery": ProofNotAvailable,
        "pickup_point": CarrierNotFound,
    }
    refusals = (
        refusal("label_refused_for_the_postal_code", CarrierRejected),
        refusal("route_without_the_service", NotServiceable),
        refusal("void_after_pickup", CarrierCannotCancel),
    )
    words = {code: row.status for code, row in STATUSES.items() if "/" not in code and row.status != Status.UNKNOWN}

    def states_refusal(self, operation, body):
        """UPS refuses with a status of 0, and in Time in Transit with a list of fields."""
        own = r'Code": (-?0|"0")' if operation != "transit_times" else "invalidFieldList"
        is_own = OPERATIONS[operation] is not Effect.PURCHASE and re.search(own, json.dumps(body))
        return bool(is_own) or super().states_refusal(operation, body)

    def scan_of(self, word):
        body = response("track_of_two_parcels")
        body["trackResponse"]["shipment"][0]["package"][0]["activity"] = [
            {"status": {"statusCode": word}, "date": "20261203", "time": "101500"}
        ]
        found = self.open(answer(body)).track([TWO])[NUMBERS[0]].scans
        return next(scan for scan in found if scan.occurred_text == "20261203 101500")


# Requests


@pytest.mark.parametrize("name", REQUESTS)
def test_request_is_the_recorded_one(name):
    adapter, recorded = replaying(name), RECORDED[name]["request"]
    kind, _field = REFUSED.get(name, (None, ""))
    if kind:
        with pytest.raises(kind):
            REQUESTS[name](adapter)
    else:
        REQUESTS[name](adapter)
    sent = adapter.http.sent[-1]
    body = sent["body"].value if hasattr(sent["body"], "value") else getattr(sent["body"], "fields", None)
    assert (sent["method"], sent["url"]) == (recorded["method"], f"https://wwwcie.ups.com{recorded['path']}")
    assert (sent["params"] or {}) == recorded.get("query", {})
    assert json.loads(json.dumps(body, default=float)) == recorded.get("body")
    headers = {name.lower(): text for name, text in sent["headers"].items()}
    assert recorded.get("headers", {}).items() <= headers.items()
    assert headers["transid"] == "{id32}" and headers["transactionsrc"] == "waybill"


@pytest.mark.parametrize(("name", "kind", "field"), [(name, *expected) for name, expected in REFUSED.items()])
def test_refusal_names_our_field(name, kind, field):
    with pytest.raises(kind) as refused:
        REQUESTS[name](replaying(name))
    assert list(refused.value.details) == ([field] if field else [])


def test_metric_origin_has_metric_units_and_nothing_else():
    adapter = replaying("labels_of_two_parcels_abroad")
    order = replace(ABROAD, origin=ABROAD.destination, destination=ABROAD.origin)
    adapter.create_label(order)
    text = json.dumps(adapter.http.sent[0]["json"])
    assert '"KGS"' in text and '"CM"' in text and "LBS" not in text and '"IN"' not in text
    package = adapter.http.sent[0]["json"]["ShipmentRequest"]["Shipment"]["Package"][0]
    assert package["PackageWeight"]["Weight"] == "1.4"
    assert [package["Dimensions"][side] for side in ("Length", "Width", "Height")] == ["25", "20", "10"]


# Bookings


def test_booking_has_a_number_and_a_label_of_each_parcel_and_the_invoice():
    booked = REQUESTS["labels_of_two_parcels_abroad"](replaying("labels_of_two_parcels_abroad"))
    assert (booked.reference, booked.tracking_number) == ("WB-2003", NUMBERS[0])
    assert [(one.number, one.tracking_number) for one in booked.parcels] == [(1, NUMBERS[0]), (2, NUMBERS[1])]
    assert [(one.kind, one.format, one.parcel) for one in booked.documents] == [
        ("label", "ZPL", 1),
        ("label", "ZPL", 2),
        ("invoice", "PDF", 0),
    ]
    assert booked.total_price > 0 and booked.currency == "USD"


def test_booking_without_a_parcel_or_of_another_reference_is_unknown():
    for change in (
        lambda body: body["ShipmentResults"]["PackageResults"].pop(),
        lambda body: body["Response"]["TransactionReference"].update(CustomerContext="WB-9999"),
        lambda body: body["Response"]["ResponseStatus"].update(Code="0", Description="Failure"),
    ):
        body = response("labels_of_two_parcels_abroad")
        change(body["ShipmentResponse"])
        with pytest.raises(OutcomeUnknown):
            open_adapter(answer(body)).create_label(ABROAD)


def test_uploaded_invoice_is_named_by_the_label_instead_of_one_by_ups():
    order = replace(ABROAD, attachments=(Document(kind="invoice", format="PDF", content=b"%PDF-1.4"),))
    adapter = open_adapter(answer(response("document_uploaded")), answer(response("labels_of_two_parcels_abroad")))
    adapter.create_label(order)
    assert [sent["operation"] for sent in adapter.http.sent] == ["upload_document", "create_label"]
    forms = adapter.http.sent[1]["json"]["ShipmentRequest"]["Shipment"]["ShipmentServiceOptions"]["InternationalForms"]
    (number,) = forms["UserCreatedForm"]["DocumentID"]
    assert forms["FormType"] == ["07"] and number in json.dumps(response("document_uploaded"))
    failed = open_adapter(OutcomeUnknown(carrier="UPS", carrier_code="500"))
    with pytest.raises(CarrierUnavailable):
        failed.create_label(order)
    assert [sent["operation"] for sent in failed.http.sent] == ["upload_document"]


def test_insured_value_is_that_of_the_parcels_or_split_over_them():
    def insured(value):
        adapter = replaying("labels_of_two_parcels_abroad")
        adapter.create_label(replace(ABROAD, options=replace(ABROAD.options, insured_value=value)))
        packages = adapter.http.sent[0]["json"]["ShipmentRequest"]["Shipment"]["Package"]
        return [one["PackageServiceOptions"]["DeclaredValue"]["MonetaryValue"] for one in packages]

    assert insured(Decimal(100)) == ["40", "60"]
    assert insured(Decimal("50.01")) == ["25.01", "25.00"]


# Lookups


def lookup(*answers):
    return open_adapter(*answers).find_by_reference(PENDING)


def refused(code):
    return answer({"response": {"errors": [{"code": code, "message": "no"}]}}, 400)


def test_lookup_finds_kept_labels_voided_shipments_or_nothing():
    tracked = response("track_of_two_parcels")
    for package in tracked["trackResponse"]["shipment"][0]["package"]:
        package["referenceNumber"] = [{"type": "SHIPMENT", "number": "WB-2001"}]
    (kept,) = REQUESTS["labels_recovered_by_reference"](replaying("labels_recovered_by_reference"))
    assert [document.kind for document in kept.documents] == ["label"] and not kept.cancelled
    (found,) = lookup(refused("300007"), answer(tracked))
    assert (found.tracking_number, found.documents, found.cancelled) == (NUMBERS[0], (), False)
    for package in tracked["trackResponse"]["shipment"][0]["package"]:
        package["activity"] = [{"status": {"type": "MV", "code": "VP"}, "date": "20261201", "time": "101500"}]
    (voided,) = lookup(refused("300033"), answer(tracked))
    assert voided.cancelled
    assert lookup(refused("300007"), answer(response("track_without_information"))) == []
    absent = answer({"response": {"errors": [{"code": "TW0001", "message": "no"}]}}, 404)
    assert lookup(refused("300007"), absent) == []


def test_lookup_of_another_reference_fails():
    tracked = response("track_of_two_parcels")
    tracked["trackResponse"]["shipment"][0]["package"][0]["referenceNumber"] = [{"number": "WB-9999"}]
    with pytest.raises(CarrierUnavailable):
        lookup(refused("300007"), answer(tracked))


# Voids, pickups and points


def test_parcels_are_voided_by_twenty():
    numbers = tuple(f"1ZA1B2C303{number:08}" for number in range(25))
    ref = ref_of(replace(ORDER, packages=(BOX,) * 25), *numbers)
    adapter = replaying("voided")
    adapter.cancel(ref, "late", ref.parcels)
    assert [len(json.loads(sent["params"]["trackingnumber"])) for sent in adapter.http.sent] == [20, 5]


def test_cancelled_pickup_is_cancelled():
    assert REQUESTS["pickup_cancelled_before"](replaying("pickup_cancelled_before")).tzinfo is not None
    with pytest.raises(CarrierNotFound):
        open_adapter(refused("9500612")).cancel_pickup(BOOKED_PICKUP, "late")


def test_pickup_has_a_row_for_each_service_and_country_and_is_found_by_our_reference():
    adapter = replaying("pickup_booked")
    booked = adapter.schedule_pickup(PICKUP)
    rows = adapter.http.sent[0]["json"]["PickupCreationRequest"]["PickupPiece"]
    found = [(row["ServiceCode"], row["Quantity"], row["DestinationCountryCode"]) for row in rows]
    assert found == [("003", "1", "US"), ("065", "2", "DE")]
    assert booked.carrier_pickup_id == "2929602E9CP" and booked.total_price > 0
    assert [one.carrier_pickup_id for one in replaying("pickups_pending").find_pickups(PICKUP)] == ["2929602E9CP"]
    assert replaying("pickups_pending").find_pickups(replace(PICKUP, reference="WB-PICKUP-2")) == []


def test_access_points_have_hours_and_none_is_an_empty_list():
    points = REQUESTS["access_points_nearby"](replaying("access_points_nearby"))
    assert points and all(point.address.country == "US" and point.distance_km is not None for point in points)
    assert (points[0].opening_hours["monday"], points[0].opening_hours["friday"]) == ("09:30-21:00", "09:30-24:00")
    assert "sunday" not in points[0].opening_hours
    assert REQUESTS["no_access_points"](replaying("no_access_points")) == []
    with pytest.raises(CarrierNotFound):
        open_adapter(answer(response("no_access_points"))).pickup_point("U00000000", "US")


def test_address_elsewhere_is_not_checked():
    adapter = open_adapter(answer({}))
    assert adapter.check_address(ABROAD.destination).ok is None
    assert adapter.http.sent == []


def test_subscription_of_numbers_ends_and_that_of_the_account_does_not():
    (one,) = REQUESTS["numbers_subscribed"](replaying("numbers_subscribed"))
    assert one.numbers == (NUMBER,) and one.expires_at is not None
    (whole,) = REQUESTS["account_subscribed"](replaying("account_subscribed"))
    assert (whole.carrier_id, whole.numbers, whole.expires_at) == ("A1B2C3", (), None)
    adapter = open_adapter(refused("VSS300"))
    adapter.unsubscribe(one)
    assert adapter.http.sent == []
    adapter.unsubscribe(whole)  # it has ended already
    assert len(adapter.http.sent) == 1
