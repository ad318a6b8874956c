"""What each sample of Bring gives."""

from __future__ import annotations

from dataclasses import replace

from carriers import types
from carriers.tests.conformance.bring_trip import DOMESTIC, RECIPIENT, SHIP_AT
from carriers.tests.conformance.sample_readers import Sample, expect_scans, refer
from carriers.types import errors

NUMBER = "70438101268018539"
_EXAMPLES, _TRACKING = "booking/examples", "tracking/examples"
_REQUEST = "a request of ours: its names and types are in the schemas"
_OTHER_API = "an API that the adapter does not call"


def tracked(number, *expected, **track):
    check = expect_scans(number, *expected, **track)
    return lambda sample: check(sample, DOMESTIC)


def not_found(sample: Sample) -> None:
    assert sample.open().track([refer(DOMESTIC, NUMBER)]) == {}


def failed(kind: type[errors.CarrierError], code: str):
    def check(sample: Sample) -> None:
        try:
            sample.open().track([refer(DOMESTIC, NUMBER)])
        except errors.CarrierError as error:
            assert (type(error), error.carrier_code) == (kind, code)
        else:
            raise AssertionError("no error")

    return check


def read_booking(sample: Sample) -> None:
    content = sample.content
    consignment = content["consignments"][0]
    (package,) = consignment["confirmation"]["packages"]
    consignment["correlationId"] = "WB-1"  # what the adapter sends
    package["correlationId"] = "WB-1-1"
    order = replace(DOMESTIC, reference="WB-1")
    booked = sample.open(content).create_label(order)
    assert (booked.reference, booked.tracking_number) == ("WB-1", NUMBER)
    assert [(one.number, one.tracking_number) for one in booked.parcels] == [(1, "370438101268058536")]
    assert booked.estimated_delivery.isoformat() == "2015-07-07T19:02:19+00:00"
    assert [(one.kind, one.format) for one in booked.documents] == [("label", "PDF")]


def read_customers(sample: Sample) -> None:
    adapter = sample.open()
    adapter.fields = {**adapter.fields, "customer_number": "6"}
    adapter.check_credential()


def read_pickup(sample: Sample) -> None:
    request = types.PickupRequest(
        reference="WB-1",
        pickup_date=SHIP_AT,
        window_start="09:00",
        window_end="17:00",
        address=RECIPIENT,
        packages_count=1,
    )
    assert sample.open().schedule_pickup(request).confirmation_number == "370438101662588325"


def read_points(sample: Sample) -> None:
    search = types.PointSearch(country="NO", address=RECIPIENT, limit=50, radius_km=1000)
    found = sample.open().pickup_points(search)
    listed = sample.content["pickupPoint"]
    assert [one.id for one in found] == [one["id"] for one in listed]
    for point, one in zip(found, listed, strict=True):
        assert (point.latitude, point.longitude) == (one["latitude"], one["longitude"])
        assert (point.address.street, point.address.country) == (one["visitingAddress"], one["countryCode"])


def read_point(sample: Sample) -> None:
    point = sample.open().pickup_point("121110", "NO")
    assert (point.name, point.opening_hours["saturday"]) == ("Meny Greverud", "09:00-20:00")


def read_subscriptions(sample: Sample) -> None:
    listed = sample.content if isinstance(sample.content, list) else [sample.content]
    numbers = [one["trackingId"] for one in listed]
    found = sample.open(listed).subscribe(numbers, "http://localhost:8888/some/random/location", "a-long-secret")
    assert [one.carrier_id for one in found] == [one["id"] for one in listed]
    assert {one.expires_at.isoformat() for one in found} == {"2019-04-13T05:41:49+00:00"}


def read_refused_subscription(sample: Sample) -> None:
    error = sample.refuse("subscribe", 400)
    assert (error.carrier_code, error.carrier_message) == ("400", "Reference is not provided")


def read_prices(sample: Sample) -> None:
    (offer,) = sample.open().quote(replace(DOMESTIC, service_type="5000"))
    assert (offer.service_type, str(offer.total_price), offer.currency) == ("5000", "182.19", "NOK")
    assert (offer.transit_days, offer.estimated_delivery.date().isoformat()) == (1, "2021-01-14")


def read_event(sample: Sample) -> None:
    report = sample.open().parse_webhook(sample.path.read_bytes())
    assert report.reread == ("SHIPMENTNUMBER",) and report.scans == ()


# Pattern of the names below ``samples/bring`` -> reader, or why it is not read.
READERS = (
    (
        f"{_TRACKING}/delivered.json",
        tracked(
            "TESTPACKAGEDELIVERED",
            ("in_transit", "2010-09-30T06:27:08"),
            ("out_for_delivery", "2010-09-30T14:48:57"),
            ("delivered", "2010-09-30T15:45:25"),
        ),
    ),
    (
        f"{_TRACKING}/successful.json",
        tracked(
            "TESTPACKAGEATPICKUPPOINT",
            ("in_transit", "2010-09-30T06:27:08"),
            ("at_pickup_point", "2010-10-01T06:30:25"),
        ),
    ),
    (
        f"{_TRACKING}/notification_received.json",
        tracked("TESTPACKAGEEDI", ("created", "2018-05-24T10:44:12")),
    ),
    (
        f"{_TRACKING}/successfulWithEta.json",
        tracked("TESTPARCELWITHETA", ("out_for_delivery", "2021-04-19T07:56:58")),
    ),
    (f"{_TRACKING}/unsuccessful.json", not_found),
    (f"{_TRACKING}/bad_request.json", failed(errors.CarrierRejected, "400")),
    (f"{_TRACKING}/service_unavailable.json", failed(errors.CarrierUnavailable, "503")),
    (f"{_TRACKING}/unspecified.json", failed(errors.CarrierUnavailable, "500")),
    (f"{_EXAMPLES}/successfulResponse.json", read_booking),
    (f"{_EXAMPLES}/customers.json", read_customers),
    (f"{_EXAMPLES}/pickuporder_response.json", read_pickup),
    (f"{_EXAMPLES}/errors.json", "a list of codes, which errors.csv of the adapter has"),
    ("pickup-point/examples/by_id.json", read_point),
    ("pickup-point/examples/.*", read_points),
    ("event-cast/examples/(batch-)?create-webhook-request.json", _REQUEST),
    ("event-cast/examples/create-webhook-invalid.json", read_refused_subscription),
    ("event-cast/examples/.*", read_subscriptions),
    ("current/shipping-guide_2/examples/.*_response_200.json", read_prices),
    ("minimal-requests/event-cast-callback.json", read_event),
    (f"(current/)?{_EXAMPLES}/.*|minimal-requests/.*|current/shipping-guide_2/.*_request.json", _REQUEST),
    ("(current/shipment|modify-delivery|postal-code)/.*", _OTHER_API),
    ("shipping-guide/examples/.*", "answers of version 1, which the adapter does not call"),
)
