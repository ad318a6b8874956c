"""What each sample of UPS gives."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC
from typing import Any

from carriers import types
from carriers.tests.conformance.sample_readers import REFERENCE, Sample, expect_refusal, expect_scans, refer
from carriers.tests.conformance.ups_trip import DOMESTIC, RECIPIENT, SENDER

NUMBER = "1Z12345E8791315413"
GIF, ZPL = (base64.b64encode(content).decode() for content in (b"GIF89a\x01\x00\x01\x00\x00\x00\x00;", b"^XA^FDx^XZ"))
PICKUP = types.PickupRequest(
    reference="WB-1",
    pickup_date=DOMESTIC.ship_at,
    window_start="09:00",
    window_end="17:00",
    address=SENDER,
    packages_count=1,
    shipments=(refer(DOMESTIC, NUMBER),),
)
_REQUEST = "a request of ours: the documents have its names and types"
_OTHER_API = "an API or operation that the adapter does not call"


def read_booking(sample: Sample) -> None:
    """The sample has texts such as "TrackingNumber" for all values; file and context must be real."""
    response = sample.content["ShipmentResponse"]
    response["Response"]["TransactionReference"]["CustomerContext"] = REFERENCE
    response["ShipmentResults"]["PackageResults"]["ShippingLabel"]["GraphicImage"] = GIF
    booked = sample.open().create_label(replace(DOMESTIC, reference=REFERENCE))
    assert booked.tracking_number.upper() == "SHIPMENTIDENTIFICATIONNUMBER"
    assert [one.tracking_number.upper() for one in booked.parcels] == ["TRACKINGNUMBER"]
    assert [(one.kind, one.format, one.parcel) for one in booked.documents] == [("label", "GIF", 1)]
    assert (booked.total_price, booked.currency) == (0, "USD")


def read_recovered_label(sample: Sample) -> None:
    sample.content["LabelRecoveryResponse"]["LabelResults"]["LabelImage"]["GraphicImage"] = ZPL  # cut in the sample
    found = sample.open().documents(refer(DOMESTIC, NUMBER), ("label",))
    assert [(one.kind, one.format, one.parcel) for one in found] == [("label", "ZPL", 1)]


def read_prices(sample: Sample) -> None:
    (offer,) = sample.open().quote(DOMESTIC)
    assert (offer.service_type, offer.service_name, offer.price_kind) == ("03", "UPS Ground", "list")
    assert (str(offer.total_price), offer.currency) == ("15.54", "USD")
    assert sum(offer.breakdown.values()) == offer.total_price


def read_void(sample: Sample) -> None:
    assert sample.open().cancel(refer(DOMESTIC, NUMBER), "Ordered twice").tracking_number == NUMBER


def read_address(sample: Sample) -> None:
    check = sample.open().check_address(RECIPIENT)
    assert check.ok is True
    (found,) = check.suggestions
    assert (found.street, found.city, found.state) == ("12380 MORRIS RD", "ALPHARETTA", "GA")
    assert (found.postal_code, found.country) == ("30005-4616", "US")


def read_upload(sample: Sample) -> None:
    document = types.Document(kind="invoice", format="PDF", content=b"%PDF-1.4")
    number = sample.open().upload_document(document, refer(DOMESTIC, NUMBER))
    assert number == "2016-01-18-11.01.07.589501"


def pickup(number: str) -> Any:
    def check(sample: Sample) -> None:
        assert sample.open().schedule_pickup(PICKUP).confirmation_number == number

    return check


def read_pending_pickups(sample: Sample) -> None:
    """Its only pickup has no reference, so it is not ours."""
    assert sample.open().find_pickups(PICKUP) == []


def read_cancelled_pickup(sample: Sample) -> None:
    ref = types.PickupRef(carrier_pickup_id="2930O2BER9R", request=PICKUP, confirmation_number="2930O2BER9R")
    assert sample.open().cancel_pickup(ref, "No parcels").tzinfo is not None


def subscribed(*numbers: str) -> Any:
    def check(sample: Sample) -> None:
        found = sample.open().subscribe([*numbers, "1Z1234567$8"] if numbers else [], "https://example.com", "secret-1")
        assert tuple(number for one in found for number in one.numbers) == numbers
        assert all(one.expires_at is not None for one in found) == bool(numbers)

    return check


def read_unsubscribed(sample: Sample) -> None:
    sample.open().unsubscribe(types.Subscription(carrier_id="A1B2C3"))


def event(code: str, status: str, moment: str, **details: str) -> Any:
    def check(sample: Sample) -> None:
        (found,) = sample.open().parse_webhook(sample.path.read_bytes()).scans
        scan = found.scan
        assert found.tracking_number == "1Z204W4R0308071865"
        assert (scan.code, str(scan.status), scan.tz_assumed) == (code, status, False)
        assert scan.occurred_at.astimezone(UTC).isoformat() == f"{moment}+00:00"
        assert scan.details.items() >= details.items()

    return check


def read_error(content: Mapping[str, Any]) -> tuple[str, str]:
    error = content["response"]["errors"][0]
    return error["code"], error["message"]


def tracked(sample: Sample) -> None:
    """Both scans are of one day, with local times of New Jersey and of the United States."""
    check = expect_scans("1Z1442YY7229014688", ("created", "2022-01-26T20:16:41"), ("delivered", "2022-01-26T21:30:00"))
    check(sample, DOMESTIC)


_ALERT = "from-specs/UPSTrackAlert__"
# Pattern of the names below ``samples/ups`` -> reader, or why it is not read.
READERS = (
    (f"{_ALERT}post-TrackingEvent__request__1.json", event("I/OT", "out_for_delivery", "2024-04-23T13:15:19")),
    (
        f"{_ALERT}post-TrackingEvent__request__2.json",
        event("D/FS", "delivered", "2024-04-23T13:50:04", signed_by="John"),
    ),
    (f"{_ALERT}post-subscription-type-package__response-200__.*", subscribed("1Z1234567891234556")),
    (f"{_ALERT}post-subscription-type-account__response-200__.*", subscribed()),
    (f"{_ALERT}delete-subscription-type-account__response-200__.*", read_unsubscribed),
    (f"{_ALERT}delete.*__response-[45].*", expect_refusal("unsubscribe", read_error)),
    (f"{_ALERT}post.*__response-[45].*", expect_refusal("subscribe", read_error)),
    ("from-specs/.*__response-[45].*", expect_refusal("track", read_error)),
    ("from-specs/Pickup__post-pickupcreation.*__response-200__1.json", pickup("stringstrin")),
    ("from-specs/(Pickup|DeliveryIntercept|PickupNotificationPreferences)__.*__response-200.*", _OTHER_API),
    ("(from-specs/.*__request__|minimal-requests/).*|postman/.*__request.json", _REQUEST),
    ("postman/UPS-Tracking-.*", tracked),
    ("postman/UPS-Shipping-Shipping-.*", read_booking),
    ("postman/UPS-Shipping-Label-Recovery-.*", read_recovered_label),
    ("postman/UPS-Shipping-Void-.*", read_void),
    ("postman/UPS-Rating-.*", read_prices),
    ("postman/UPS-Address-.*", read_address),
    ("postman/UPS-Paperless-Documents-Upload-.*", read_upload),
    ("postman/UPS-Pickup-Pickup-Creation-.*", pickup("2930O2BER9R")),
    ("postman/UPS-Pickup-Pickup-Pending-.*", read_pending_pickups),
    ("postman/UPS-Pickup-Pickup-Cancel-.*", read_cancelled_pickup),
    ("postman/UPS-(Pickup|Paperless)-.*", _OTHER_API),
)
OPTIONAL = "postman/"  # a folder that states no licence, so that copies may lack it
