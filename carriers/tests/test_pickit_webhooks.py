"""Pickit's webhooks: signatures, and recorded bodies (``fixtures/pickit/event_*``)."""

import hashlib
import hmac
import json
import uuid
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apikeys.http.errors import NotAuthenticated
from carriers.tests.pickit import NOW, NUMBER, SECRET, fixture, open_adapter, run
from carriers.tests.replay import answer
from carriers.types import Status, WebhookReport


def parse(event):
    return open_adapter(answer({})).parse_webhook(event if isinstance(event, bytes) else json.dumps(event).encode())


def only_scan(event):
    (reported,) = parse(event).scans
    return reported.scan


def sign(body, sent_at, secret=SECRET):
    text = hmac.new(secret.encode(), sent_at.encode() + b"." + body, hashlib.sha256).hexdigest()
    return {"x-pickit-signature": text, "x-pickit-timestamp": sent_at, "x-pickit-event": "shipment.delivered"}


def verify(headers, body=b"{}", now=NOW, **fields):
    return open_adapter(answer({}), **fields).verify_webhook(headers=headers, body=body, now=now)


class TestSignature:
    @pytest.mark.parametrize(
        "sent_at",
        [
            "2024-03-17T15:00:00Z",
            "2024-03-17T15:00:00",
            "2024-03-17T15:00:00.123Z",
            "2024-03-17T14:59:59.123456789+00:00",
            "2024-03-17T10:00:00-05:00",
            "2024-03-17T07:00:00Z",
            "2024-03-17T15:05:00Z",
        ],
    )
    def test_signed_webhook_within_its_age_limit_is_accepted(self, sent_at):
        verify(sign(b'{"a": 1}', sent_at), b'{"a": 1}')

    @pytest.mark.parametrize("sent_at", ["2024-03-17T06:59:59Z", "2024-03-17T15:05:01Z"])
    def test_webhook_older_than_eight_hours_or_five_minutes_ahead_is_refused(self, sent_at):
        with pytest.raises(NotAuthenticated):
            verify(sign(b"{}", sent_at))

    @pytest.mark.parametrize("sent_at", ["", "now", "1705503600", "2024-13-40T00:00:00Z", "0001-01-01T00:00:00+14:00"])
    def test_invalid_signed_time_is_refused(self, sent_at):
        with pytest.raises(NotAuthenticated):
            verify(sign(b"{}", sent_at))

    @pytest.mark.parametrize(
        "change",
        [
            {"x-pickit-signature": ""},
            {"x-pickit-signature": "ü" * 64},
            {"x-pickit-signature": "\udcff"},
            {"x-pickit-signature": "0" * 64},
            {"x-pickit-timestamp": "2024-03-17T15:00:01Z"},
            {"x-pickit-timestamp": "\udcff"},
            {"x-pickit-timestamp": ""},
        ],
    )
    def test_other_signature_or_time_is_refused(self, change):
        with pytest.raises(NotAuthenticated):
            verify(sign(b"{}", "2024-03-17T15:00:00Z") | change)

    def test_changed_byte_or_another_secret_is_refused(self):
        sent_at = "2024-03-17T15:00:00Z"
        for headers, body in ((sign(b"{}", sent_at), b"{ }"), (sign(b"{}", sent_at, "another"), b"{}")):
            with pytest.raises(NotAuthenticated):
                verify(headers, body)

    @pytest.mark.parametrize("secret", ["", None])
    def test_webhook_is_refused_without_a_stored_secret(self, secret):
        with pytest.raises(NotAuthenticated):
            verify(sign(b"{}", "2024-03-17T15:00:00Z", ""), webhook_secret=secret)


class TestEvents:
    @pytest.mark.parametrize(
        ("name", "code", "status", "at", "location"),
        [
            ("shipment_created", "created", Status.CREATED, (15, 9, 20), ""),
            ("picked_up_a_minute_earlier", "picked_up", Status.PICKED_UP, (15, 13, 5), "Albany, NY"),
            ("in_transit_to_a_hub", "in_transit", Status.IN_TRANSIT, (16, 7, 45), "Harbour Sorting Hall"),
            (
                "waiting_in_a_locker",
                "at_pickup_point",
                Status.AT_PICKUP_POINT,
                (17, 10, 40),
                "Riverside Lockers",
            ),
            (
                "collected_a_minute_earlier",
                "delivered",
                Status.DELIVERED,
                (17, 16, 47),
                "Riverside Lockers",
            ),
            ("nobody_at_the_door", "exception", Status.EXCEPTION, (17, 17, 25), ""),
        ],
    )
    def test_event_is_the_scan_that_tracking_shows(self, name, code, status, at, location):
        event = fixture(f"event_{name}")
        (reported,) = parse(event).scans
        scan = reported.scan
        day, hour, minute = at
        assert reported.tracking_number == NUMBER
        assert (scan.code, scan.status, scan.location) == (code, status, location)
        assert scan.occurred_at == datetime(2024, 3, day, hour, minute, tzinfo=UTC)
        assert scan.description
        assert not scan.tz_assumed
        columns = {"tracking_number", "shipment_id", "pickup_time", "delivered_at", "location", "current_location"}
        assert scan.details == {key: value for key, value in event["data"].items() if key not in columns}

    def test_failed_attempt_has_its_reason_and_the_next_date(self):
        (reported,) = parse(fixture("event_nobody_at_the_door")).scans
        assert reported.scan.description == "Nobody opened, no safe place"
        assert reported.estimated_delivery == datetime(2024, 3, 18, 9, 30, tzinfo=UTC)

    def test_scan_has_one_identity_by_webhook_and_by_tracking(self):
        tracks, _sent = run("tracking_in_transit")
        polled = {(scan.code, scan.occurred_at) for scan in tracks[NUMBER].scans}
        names = ("shipment_created", "picked_up_a_minute_earlier", "in_transit_to_a_hub")
        reported = [only_scan(fixture(f"event_{name}")) for name in names]
        assert {(scan.code, scan.occurred_at) for scan in reported} == polled

    def test_scheduled_pickup_reports_the_pickup_only(self):
        report = parse(fixture("event_pickup_scheduled"))
        (pickup,) = report.pickups
        assert (pickup.carrier_pickup_id, pickup.status) == ("PCK-665544", "scheduled")
        assert pickup.occurred_at == datetime(2024, 3, 15, 8, 10, tzinfo=UTC)
        assert report.scans == ()

    def test_scheduled_pickup_with_parcels_picks_up_nothing(self):
        event = fixture("event_pickup_scheduled")
        event["data"]["shipment_ids"] = [NUMBER]
        assert parse(event).scans == ()

    def test_completed_pickup_picks_up_every_named_parcel(self):
        report = parse(fixture("event_pickup_completed_three_parcels"))
        at = datetime(2024, 3, 16, 12, 40, tzinfo=UTC)
        assert [reported.tracking_number for reported in report.scans] == [NUMBER, "PKT-4081726351", "PKT-4081726352"]
        assert {(item.scan.code, item.scan.status, item.scan.occurred_at) for item in report.scans} == {
            ("picked_up", Status.PICKED_UP, at)
        }
        assert report.scans[0].scan.details["driver"] == {"name": "Driver Nine", "id": "DRV-904"}
        assert "shipment_ids" not in report.scans[0].scan.details
        assert (report.pickups[0].status, report.pickups[0].occurred_at) == ("completed", at)

    def test_undocumented_shipment_event_is_kept_as_unknown(self):
        event = {"event_type": "shipment.teleported", "timestamp": "2024-03-17T15:00:00", "data": {}}
        event["data"] = {"tracking_number": NUMBER, "wormhole": 7, "delivered_at": "later", "location": "Mars"}
        scan = only_scan(event)
        assert (scan.code, scan.status, scan.tz_assumed) == ("teleported", Status.UNKNOWN, True)
        assert (scan.location, scan.details) == ("Mars", {"wormhole": 7, "delivered_at": "later"})

    @pytest.mark.parametrize(
        "event",
        [
            {"event_type": "account.updated", "timestamp": "2024-03-17T15:00:00Z", "data": {"plan": "gold"}},
            {"event_type": "ping"},
            {"event_type": "ping", "data": []},
            {"event_type": "shipment.", "data": {"tracking_number": NUMBER}},
            {"event_type": "shipment.daily_summary", "data": {"count": 3}},
            {"event_type": "pickup.rescheduled", "data": {"pickup_id": "PCK-1"}},
        ],
    )
    def test_other_event_reports_nothing(self, event):
        assert parse(event) == WebhookReport(event_type=event["event_type"])

    @pytest.mark.parametrize(
        "changes",
        [
            {"pickup_point": ["PP-70421"]},
            {"location": {"city": "Troy"}},
            {"estimated_delivery": "N/A"},
            {"rescheduled_for": 7},
        ],
    )
    def test_unreadable_optional_field_does_not_lose_the_scan(self, changes):
        event = fixture("event_collected_a_minute_earlier")
        before, after = (
            open_adapter(answer({})).parse_webhook(json.dumps(one).encode()).scans[0]
            for one in (event, event | {"data": event["data"] | changes})
        )
        assert (after.scan.code, after.scan.occurred_at) == (before.scan.code, before.scan.occurred_at)

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"tracking_number": None}, "data.tracking_number is missing"),
            ({"tracking_number": ""}, "data.tracking_number is not a text"),
            ({"tracking_number": ["PKT-1"]}, "data.tracking_number is not a text"),
            ({"delivered_at": "yesterday"}, "is not a time"),
            ({"delivered_at": [1705501920]}, "data.delivered_at is not a text"),
        ],
    )
    def test_broken_event_names_the_broken_field(self, changes, reason):
        event = fixture("event_collected_a_minute_earlier")
        event["data"] |= changes
        with pytest.raises(ValueError, match=reason):
            parse(event)

    @pytest.mark.parametrize("body", [b"[]", b'"x"', b"7", b"null", b"{}", b'{"event_type": 3}', b"\xff", b""])
    def test_body_that_is_not_an_event_is_refused(self, body):
        with pytest.raises(ValueError, match=r"\w"):
            parse(body)

    def test_long_texts_are_cut_for_columns_and_whole_in_details(self):
        event = fixture("event_nobody_at_the_door")
        event["event_type"] = "shipment." + "x" * 500
        event["data"] |= {"location": "y" * 500, "failure_details": "z" * 500}
        scan = only_scan(event)
        assert (len(scan.code), len(scan.location), len(scan.description)) == (64, 200, 200)
        assert scan.details["failure_details"] == "z" * 500

    @pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
    def test_number_that_no_database_takes_is_null(self, number):
        body = json.dumps(fixture("event_in_transit_to_a_hub")).replace("38", number)
        assert only_scan(body.encode()).details["progress_percentage"] is None

    def test_character_that_no_database_takes_is_replaced(self):
        event = fixture("event_nobody_at_the_door")
        event["data"] |= {"failure_details": "nul\0", "note": ["half \ud800"], "k\0": 1}
        scan = only_scan(event)
        assert scan.description == "nul\N{REPLACEMENT CHARACTER}"
        assert "\0" not in json.dumps(scan.details, ensure_ascii=False)
        json.dumps(scan.details, ensure_ascii=False).encode()


@given(sent_at=st.text(max_size=40), given_signature=st.text(max_size=80))
def test_any_other_headers_are_refused(sent_at, given_signature):
    with pytest.raises(NotAuthenticated):
        verify({"x-pickit-timestamp": sent_at, "x-pickit-signature": given_signature + str(uuid.uuid4())})
