"""Velocity's tracking and webhooks, with recorded responses and bodies."""

import hashlib
import hmac
import json
from copy import deepcopy
from datetime import UTC, datetime, timedelta

import pytest

from apikeys.http.errors import NotAuthenticated
from carriers.adapters.velocity import VelocityAdapter
from carriers.tests.replay import answer
from carriers.tests.samples import shipment_ref
from carriers.tests.velocity import (
    AWB,
    EVENTS,
    NOW,
    ORDER,
    REF,
    REQUESTS,
    SECRET,
    UNKNOWN,
    open_adapter,
    replaying,
    response,
)
from carriers.types.errors import CarrierUnavailable


def test_unreadable_track_is_skipped():
    (good,) = response("tracking_of_one_in_transit")
    bad = good | {"awb": UNKNOWN.tracking_number, "tracking_history": [{"status": "IT", "timestamp": "yesterday"}]}
    for answers in ([good, bad], [bad, good]):
        assert list(open_adapter(answer(answers)).track([REF, UNKNOWN])) == [AWB]
    with pytest.raises(CarrierUnavailable):
        open_adapter(answer([bad])).track([REF, UNKNOWN])


def test_number_reported_twice_keeps_all_scans_of_its_order():
    tracks = deepcopy(response("tracking_without_unknown_number"))
    known = next(track for track in tracks if track["awb"] == AWB)
    estimate = open_adapter(answer(tracks)).track([REF])[AWB].estimated_delivery
    tracks.append(known | {"tracking_history": [], "estimated_delivery": None})
    track = open_adapter(answer(tracks)).track([REF])[AWB]
    assert (len(track.scans), track.estimated_delivery) == (2, estimate)
    tracks[-1] |= {"order_id": None}
    assert len(open_adapter(answer(tracks)).track([REF])[AWB].scans) == 2
    last_year = {"timestamp": "2025-01-05 10:00:00", "status": "delivered"}
    tracks.append(known | {"tracking_history": [last_year], "order_id": "WB-LAST-YEAR"})
    assert len(open_adapter(answer(tracks)).track([REF])[AWB].scans) == 2
    tracks.append(known | {"tracking_history": [], "order_id": "WB-NEXT-YEAR"})
    assert not open_adapter(answer(tracks)).track([REF])[AWB].scans


def test_times_are_indian_and_their_text_is_kept():
    tracks = REQUESTS["tracking_without_unknown_number"](replaying("tracking_without_unknown_number"))
    assert set(tracks) == {AWB}
    scans = tracks[AWB].scans
    assert [(scan.code, scan.occurred_at.isoformat()) for scan in scans] == [
        ("PKP", "2026-05-20T06:05:00+00:00"),
        ("IT", "2026-05-21T01:20:00+00:00"),
    ]
    assert {(scan.tz_assumed, scan.occurred_text) for scan in scans} == {
        (True, "2026-05-20 11:35:00"),
        (True, "2026-05-21 06:50:00"),
    }
    assert tracks[AWB].estimated_delivery.date().isoformat() == "2026-05-24"
    assert tracks[AWB].estimated_delivery.astimezone(VelocityAdapter.zone).date().isoformat() == "2026-05-24"


def test_more_numbers_than_a_request_takes_are_sent_in_several():
    adapter = open_adapter(answer([]))
    adapter.track([shipment_ref(ORDER, tracking_number=f"AWB{number}") for number in range(120)])
    assert [len(sent["json"]["awbs"]) for sent in adapter.http.sent] == [50, 50, 20]


def test_event_about_money_reports_nothing():
    report = open_adapter(answer({})).parse_webhook(json.dumps(EVENTS["event_cash_remitted"]).encode())
    assert (report.event_type, report.scans) == ("cod_remittance", ())


def test_failed_attempt_has_its_reason_and_count():
    (reported,) = open_adapter(answer({})).parse_webhook(json.dumps(EVENTS["event_nobody_at_the_door"]).encode()).scans
    assert reported.scan.details["ndr_reason"] == "CUSTOMER_NOT_AVAILABLE"
    assert (reported.scan.reason, reported.scan.action_required_by) == ("not_home", "sender")
    assert reported.scan.details["attempts"] == 1
    assert reported.scan.occurred_at == datetime(2026, 5, 22, 12, 10, tzinfo=UTC)


def sign(body, *, secret=SECRET, at=NOW):
    sent_at = at.isoformat()
    signature = hmac.new(secret.encode(), sent_at.encode() + b"." + body, hashlib.sha256).hexdigest()
    return {"x-velocity-signature": signature, "x-velocity-timestamp": sent_at}


def test_signed_webhook_is_accepted_for_eight_hours():
    adapter, body = open_adapter(answer({})), b"{}"
    adapter.verify_webhook(headers=sign(body), body=body, now=NOW + timedelta(hours=7, minutes=59))
    for headers, moment in (
        (sign(body), NOW + timedelta(hours=9)),
        (sign(body, secret="another"), NOW),
        (sign(b"{ }"), NOW),
    ):
        with pytest.raises(NotAuthenticated):
            adapter.verify_webhook(headers=headers, body=body, now=moment)
