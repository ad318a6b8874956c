"""UPS's tracking, status table and webhooks, with recorded responses and bodies."""

import json
from datetime import UTC, datetime

import pytest

from apikeys.http.errors import NotAuthenticated
from carriers.adapters.ups.tables import STATUSES, find_meaning
from carriers.tests.replay import answer
from carriers.tests.ups import EVENTS, FIELDS, NUMBER, NUMBERS, ONE, REQUESTS, TWO, open_adapter, replaying, response
from carriers.types import Status
from carriers.types.errors import CarrierShipmentNotFound, ProofNotAvailable


def parse(name):
    return open_adapter(answer({})).parse_webhook(json.dumps(EVENTS[name]).encode())


def track(body):
    return open_adapter(answer(body)).track([TWO])[NUMBERS[0]]


def test_track_has_the_scans_of_all_parcels_with_reason_and_who_must_act():
    found = REQUESTS["track_of_two_parcels"](replaying("track_of_two_parcels"))[NUMBERS[0]]
    scans = [(scan.parcel, scan.code, scan.status, scan.reason) for scan in found.scans if scan.code != "M/MP"]
    assert set(scans) == {
        (NUMBERS[0], "I/PU", Status.PICKED_UP, ""),
        (NUMBERS[1], "I/PU", Status.PICKED_UP, ""),
        (NUMBERS[0], "I/AR", Status.IN_TRANSIT, ""),
        (NUMBERS[1], "X/BW", Status.EXCEPTION, "customs"),
        (NUMBERS[0], "X/48", Status.EXCEPTION, "not_home"),
        (NUMBERS[0], "U/UP", Status.INFO, ""),
    }
    assert list(found.scans) == sorted(found.scans, key=lambda scan: scan.occurred_at)
    assert found.estimated_delivery == datetime(2026, 12, 5, 22, 59, tzinfo=UTC)  # the new day, in Berlin


def test_scan_has_one_code_and_instant_in_tracking_and_event():
    (reported,) = parse("event_receiver_absent").scans
    found = REQUESTS["track_of_two_parcels"](replaying("track_of_two_parcels"))[NUMBERS[0]].scans
    tracked = next(scan for scan in found if scan.code == "X/48")
    names = ("code", "status", "occurred_at", "location", "parcel", "reason", "tz_assumed")
    assert [getattr(reported.scan, name) for name in names] == [getattr(tracked, name) for name in names]
    assert reported.tracking_number == NUMBERS[0]


def test_local_time_without_gmt_is_in_the_zone_of_its_place():
    body = response("track_of_two_parcels")
    package = body["trackResponse"]["shipment"][0]["package"][0]
    activity = {"status": {"type": "I", "code": "OT", "statusCode": "021"}, "date": "20261203", "time": "080000"}
    for address, offset, moment, is_assumed in (
        ({"countryCode": "US", "stateProvince": "WA"}, None, "16:00", True),
        ({"country": "DE"}, None, "07:00", True),
        ({"countryCode": "US", "stateProvince": "WA"}, "-05:00", "13:00", False),
        ({"countryCode": "US"}, "-04.00", "12:00", False),
        ({}, None, "08:00", True),
    ):
        package["activity"] = [activity | {"location": {"address": address}, "gmtOffset": offset}]
        scan = next(scan for scan in track(body).scans if scan.code == "I/OT")
        assert (f"{scan.occurred_at:%H:%M}", scan.tz_assumed) == (moment, is_assumed)


def test_all_pages_of_a_large_shipment_are_read():
    package = response("track_of_two_parcels")["trackResponse"]["shipment"][0]["package"][0]
    pages = [
        {
            "trackResponse": {
                "shipment": [{"package": [package | {"trackingNumber": f"1Z{page}{n:02}"} for n in range(size)]}]
            }
        }
        for page, size in enumerate((50, 50, 3))
    ]
    adapter = open_adapter(*map(answer, pages))
    assert len({scan.parcel for scan in adapter.track([TWO])[NUMBERS[0]].scans}) == 103
    assert [sent["params"]["offset"] for sent in adapter.http.sent] == ["0", "50", "100"]


def test_number_without_information_is_left_out():
    assert REQUESTS["track_without_information"](replaying("track_without_information")) == {}
    body = {"response": {"errors": [{"code": "TW0001", "message": "Tracking Information Not Found"}]}}
    assert open_adapter(answer(body, 404)).track([ONE]) == {}
    with pytest.raises(ProofNotAvailable):
        open_adapter(answer(response("track_without_information"))).proof_of_delivery(ONE)
    with pytest.raises(CarrierShipmentNotFound):
        open_adapter(answer(body, 404)).proof_of_delivery(ONE)


def test_proof_of_delivery_has_signature_and_letter():
    proof = REQUESTS["proof_of_delivery"](replaying("proof_of_delivery"))
    assert (proof.tracking_number, proof.signed_by, proof.location) == (NUMBER, "Grace Hill", "Front Door")
    assert proof.delivered_at == datetime(2026, 12, 4, 18, 20, tzinfo=UTC)
    assert [(one.kind, one.format, one.parcel) for one in proof.documents] == [("pod", "GIF", 1), ("pod", "HTML", 1)]
    assert proof.signature_image.startswith("data:image/gif;base64,R0lGOD")


# Statuses


def test_every_published_code_is_mapped():
    unknown = {code for code, row in STATUSES.items() if row.status is Status.UNKNOWN}
    texts = {"000", "088", "148", "163", "TYPE/NA", "X/99", "X/J8", "D/8N", "D/EB", "D/FI", "D/FV", "D/PF", "MI/DL"}
    assert unknown == texts | {"MI/PP"}
    counts = {name: sum(code.startswith(f"{name}/") for code in STATUSES) for name in ("X", "D", "I", "M", "U", "MI")}
    assert counts == {"X": 687, "D": 152, "I": 38, "M": 4, "U": 3, "MI": 213}
    problems = [row for row in STATUSES.values() if row.status in (Status.EXCEPTION, Status.NDR)]
    assert all(row.reason for row in problems)
    assert not any(row.reason for row in STATUSES.values() if row not in problems)


@pytest.mark.parametrize(
    ("codes", "status", "reason", "action"),
    [
        (("X", "48", "022"), Status.EXCEPTION, "not_home", ""),
        (("X", "49", "013"), Status.EXCEPTION, "not_home", "recipient"),  # the code has the reason
        (("X", "7W", "046"), Status.EXCEPTION, "weather", ""),
        (("D", "2Q", "011"), Status.AT_PICKUP_POINT, "", ""),  # delivered, but not to the recipient
        (("D", "B0", "011"), Status.RETURNED, "", ""),
        (("D", "P5", "011"), Status.DELIVERED, "", ""),
        (("D", "M1", ""), Status.DELIVERED, "", ""),
        (("I", "M1", ""), Status.IN_TRANSIT, "", ""),  # a place of delivery, of a parcel in transit
        (("D", "FV", ""), Status.DELIVERED, "", ""),  # "Successful": the type decides
        (("X", "99", "000"), Status.EXCEPTION, "other", ""),
        (("I", "2D", ""), Status.IN_TRANSIT, "", ""),  # in the list of deliveries only
        (("D", "", ""), Status.DELIVERED, "", ""),
        (("X", "W9", ""), Status.UNKNOWN, "", ""),  # in no list
        (("X", "48", "999"), Status.EXCEPTION, "not_home", ""),
        (("", "", "999"), Status.UNKNOWN, "", ""),
    ],
)
def test_status_is_of_the_status_code_else_of_the_code_else_of_the_type(codes, status, reason, action):
    assert find_meaning(*codes) == (status, reason, action)


# Webhooks


def test_event_is_applied_with_the_right_token_only():
    adapter = open_adapter(answer({}))
    now = datetime.now(UTC)
    adapter.verify_webhook(headers={"credential": FIELDS["webhook_token"]}, body=b"{}", now=now)
    for headers in ({}, {"credential": "another"}, {"authorization": FIELDS["webhook_token"]}):
        with pytest.raises(NotAuthenticated):
            adapter.verify_webhook(headers=headers, body=b"{}", now=now)
    with pytest.raises(NotAuthenticated):
        open_adapter(answer({}), webhook_token="").verify_webhook(headers={"credential": ""}, body=b"{}", now=now)


def test_event_of_a_delivery_names_who_signed():
    (reported,) = parse("event_delivered").scans
    assert (reported.scan.code, reported.scan.status) == ("D/FS", Status.DELIVERED)
    assert reported.scan.details == {"status_code": "011", "signed_by": "HILL"}
    assert reported.scan.location == "SEATTLE, WA, US"
    assert parse("event_out_for_delivery").scans[0].scan.status == Status.OUT_FOR_DELIVERY


def test_quantum_view_has_its_parcels_tracked_again():
    report = parse("event_quantum_view")
    assert (report.scans, report.reread) == ((), (NUMBERS[0], NUMBER))
