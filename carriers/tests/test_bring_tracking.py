"""Bring's tracking: statuses, refinement by event and cause codes, parcels, times and proofs."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from carriers.adapters.bring import tables
from carriers.tests.bring import NUMBER, PARCELS, REF, REQUESTS, open_adapter, replaying, response
from carriers.tests.replay import answer
from carriers.types import Status
from carriers.types.errors import CarrierError, CarrierUnavailable, ProofNotAvailable

TABLE = Path(tables.__file__).parent / "statuses.csv"
REASONS = {"address_issue", "customs", "damaged", "refused", "not_home", "weather", "delayed", "held", "lost", "other"}


def track(*events, **package):
    """Return the track of one parcel with these events, newest first."""
    body = response("tracking_of_two_parcels")
    consignment = body["consignmentSet"][0]
    sample = consignment["packageSet"][0]
    consignment["packageSet"] = [sample | package | {"eventSet": [sample["eventSet"][0] | event for event in events]}]
    return open_adapter(answer(body)).track([REF])[NUMBER]


def scan(status, event="", cause="", **more):
    return track({"status": status, "lmEventCode": event, "lmCauseCode": cause} | more).scans[0]


# The table


def test_every_published_code_is_mapped_once_and_an_unknown_one_says_why():
    with TABLE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {name: len(codes) for name, codes in tables.STATUSES.items()} == {
        "status": 19,
        "event": 153,
        "cause": 275,
        "measure": 107,
    }
    assert len({(row["list"], row["code"]) for row in rows}) == len(rows)
    for row in rows:
        is_problem = row["status"] in (Status.EXCEPTION, Status.NDR)
        assert (row["reason"] in REASONS) is is_problem, row
        assert row["action"] in (("", "sender", "recipient", "carrier") if is_problem else ("",)), row
        assert row["status"] != Status.UNKNOWN or row["note"], row
        assert row["description"]


def test_event_code_refines_a_vague_status_but_never_to_an_end():
    cases = {
        ("IN_TRANSIT", "R"): Status.PICKED_UP,
        ("IN_TRANSIT", "KO"): Status.IN_TRANSIT,
        ("IN_TRANSIT", "E"): Status.EXCEPTION,
        ("IN_TRANSIT", "I"): Status.IN_TRANSIT,
        ("IN_TRANSIT", "X1"): Status.IN_TRANSIT,
        ("IN_TRANSIT", "NEW"): Status.IN_TRANSIT,
        ("CUSTOMS", "M"): Status.EXCEPTION,
        ("DEVIATION", "5"): Status.DAMAGED,
        ("DEVIATION", "W"): Status.EXCEPTION,
        ("DEVIATION", "FM"): Status.RTO,
        ("DEVIATION", "I"): Status.EXCEPTION,
        ("UNKNOWN", "X1"): Status.INFO,
        ("UNKNOWN", "3"): Status.OUT_FOR_DELIVERY,
        ("UNKNOWN", "I1"): Status.UNKNOWN,
        ("UNKNOWN", ""): Status.UNKNOWN,
        ("DELIVERED", "L"): Status.DELIVERED,
        ("RETURN", "I"): Status.RTO,
        ("HELD_BY_AUTHORITIES", "3"): Status.UNKNOWN,
    }
    assert {pair: scan(*pair).status for pair in cases} == cases


def test_cause_explains_a_problem_with_reason_and_action():
    cases = {
        ("ATTEMPTED_DELIVERY", "H", ""): (Status.EXCEPTION, "not_home", ""),
        ("ATTEMPTED_DELIVERY", "H", "13"): (Status.NDR, "refused", "sender"),
        ("ATTEMPTED_DELIVERY", "", "CG"): (Status.EXCEPTION, "not_home", "recipient"),
        ("ATTEMPTED_DELIVERY", "H", "09"): (Status.EXCEPTION, "not_home", ""),
        ("DEVIATION", "", ""): (Status.EXCEPTION, "delayed", ""),
        ("DEVIATION", "V", "46"): (Status.LOST, "", ""),
        ("DEVIATION", "5", "65"): (Status.DAMAGED, "", ""),
        ("DEVIATION", "VL", "BU"): (Status.EXCEPTION, "delayed", ""),
        ("IN_TRANSIT", "KO", "46"): (Status.IN_TRANSIT, "", ""),
    }
    found = {codes: scan(*codes) for codes in cases}
    assert {codes: (one.status, one.reason, one.action_required_by) for codes, one in found.items()} == cases


def test_code_of_a_scan_has_the_codes_that_are_reported():
    assert scan("DEVIATION", "V", "46").code == "DEVIATION/V/46"
    assert scan("DEVIATION", "", "46").code == "DEVIATION//46"
    assert scan("In transit", "KO").code == "IN_TRANSIT/KO"
    assert scan("DELIVERED").code == "DELIVERED"
    details = scan("DEVIATION", "V", "46", lmMeasureCode="S", insignificant=True).details
    expected = {"event": "ERROR OCCURED IN PROCESSING", "cause": "Item lost", "measure": "Sender notified"}
    assert details == expected | {"unit": "971190", "insignificant": True}
    assert scan("IN_TRANSIT", "NEW").details["event"] == "NEW"


# Parcels, times, texts


def test_scans_of_two_parcels_are_apart_and_oldest_first():
    found = REQUESTS["tracking_of_two_parcels"](replaying("tracking_of_two_parcels"))[NUMBER]
    assert {one.parcel for one in found.scans} == set(PARCELS)
    times = [one.occurred_at for one in found.scans]
    assert times == sorted(times)
    of_first = [(one.status, one.occurred_at.isoformat()) for one in found.scans if one.parcel == PARCELS[0]]
    assert of_first[0] == (Status.CREATED, "2024-02-29T15:00:00+00:00")
    assert of_first[-1] == (Status.NDR, "2024-03-02T13:30:00+00:00")
    damaged = next(one for one in found.scans if one.status == Status.DAMAGED)
    assert (damaged.parcel, damaged.description) == (PARCELS[1], "The parcel is damaged & repacked.")
    assert damaged.location == "5003 BERGEN, NO"
    assert found.estimated_delivery.isoformat() == "2024-03-04T22:59:00+00:00"


def test_event_of_the_whole_consignment_has_no_parcel():
    assert scan("IN_TRANSIT", consignmentEvent=True).parcel == ""
    assert scan("IN_TRANSIT", consignmentEvent=False).parcel == PARCELS[0]


def test_time_without_an_offset_is_norwegian():
    assert scan("IN_TRANSIT", dateIso="2024-07-01T12:00:00").tz_assumed
    assert scan("IN_TRANSIT", dateIso="2024-07-01T12:00:00").occurred_at.isoformat() == "2024-07-01T10:00:00+00:00"
    span = {"startTime": "08:00", "endTime": "16:00"}
    found = track({}, dateOfEstimatedDelivery="20.04.2021", estimatedTimeSpanOfDelivery=span)
    assert found.estimated_delivery.isoformat() == "2021-04-20T14:00:00+00:00"
    for day in ("", "31.02.2024", "soon"):
        assert track({}, dateOfEstimatedDelivery=day).estimated_delivery is None


def test_track_of_another_number_is_unreadable_and_an_unknown_number_is_left_out():
    other = replace(REF, tracking_number="70438109000000024")
    with pytest.raises(CarrierUnavailable):
        open_adapter(answer(response("tracking_of_two_parcels"))).track([other])
    adapter = open_adapter(answer(response("found_nothing")), answer(response("tracking_of_two_parcels")))
    assert set(adapter.track([other, REF])) == {NUMBER}
    by_parcel = replace(REF, tracking_number=PARCELS[1])
    assert set(open_adapter(answer(response("tracking_of_two_parcels"))).track([by_parcel])) == {PARCELS[1]}


def test_errors_inside_a_success_are_errors():
    for code in (500, 503):
        body = {"apiVersion": "2", "consignmentSet": [{"error": {"code": code, "message": "No"}}]}
        with pytest.raises(CarrierError) as problem:
            open_adapter(answer(body)).track([REF])
        assert (type(problem.value), problem.value.carrier_code) == (CarrierUnavailable, str(code))


# Proof of delivery


def test_proof_has_name_and_signature_of_the_last_delivery():
    picture = b"\x89PNG\r\n\x1a\nsignature"
    adapter = open_adapter(answer(response("tracking_of_a_delivery")))
    adapter.http.fetch = lambda *_args, **_kwargs: answer(picture)
    proof = adapter.proof_of_delivery(REF)
    assert (proof.signed_by, proof.delivered_at.isoformat()) == ("Bo Quist", "2024-03-04T11:00:00+00:00")
    assert proof.signature_image.startswith("data:image/png;base64,")
    assert [(one.kind, one.format, one.content) for one in proof.documents] == [("pod", "PNG", picture)]
    without = replaying("tracking_of_a_delivery").proof_of_delivery(REF)
    assert (without.signed_by, without.signature_image, without.documents) == ("Bo Quist", "", ())
    with pytest.raises(ProofNotAvailable):
        open_adapter(answer(response("tracking_of_two_parcels"))).proof_of_delivery(REF)
