"""Pickit's adapter with recorded responses: tracking, paths, cancellation, proofs, pickups, points and coverage."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from carriers.adapters.operations import OPERATIONS, Effect
from carriers.tests.pickit import BASE, NEAR, NUMBER, ORDER, REF, fixture, open_adapter, run
from carriers.tests.replay import answer
from carriers.tests.samples import shipment_ref
from carriers.types import Status
from carriers.types.errors import CarrierNotFound, CarrierRejected, CarrierUnavailable

HOSTILE = "PKT/../1?x=ü#y"
HOSTILE_ENCODED = "PKT%2F..%2F1%3Fx%3D%C3%BC%23y"


def ref(number):
    """Return a reference to a shipment with this tracking number."""
    return shipment_ref(ORDER, tracking_number=number)


class TestTracking:
    def test_track_is_read(self):
        tracks, _sent = run("tracking_in_transit")
        track = tracks[NUMBER]
        assert [(scan.code, scan.status, scan.location) for scan in track.scans] == [
            ("created", Status.CREATED, "Albany, NY"),
            ("picked_up", Status.PICKED_UP, "Albany, NY"),
            ("in_transit", Status.IN_TRANSIT, "Syracuse, NY"),
        ]
        assert track.scans[2].occurred_at == datetime(2024, 3, 16, 7, 45, tzinfo=UTC)
        assert track.scans[2].occurred_text == "2024-03-16T07:45:00Z"
        assert track.scans[2].details == {"vehicle": "VAN-771", "route": "RTE-042"}
        assert not track.scans[2].tz_assumed
        assert track.estimated_delivery == datetime(2024, 3, 17, 18, 30, tzinfo=UTC)
        assert track.current_location == "Harbour Sorting Hall"
        assert track.extras == {
            "pickup_point": {"id": "PP-70421", "name": "Riverside Lockers"},
            "pickup_code": "PICKUP-330721",
        }

    def test_failed_attempt_and_locker_keep_their_details(self):
        tracks, _sent = run("tracking_failed_at_the_door_then_waiting_at_a_point")
        moving, failed, waiting = tracks[NUMBER].scans[-3:]
        assert moving.details["progress_percentage"] == 97.5
        assert failed.status == Status.EXCEPTION
        assert failed.details["failure_reason"] == "CUSTOMER_NOT_AVAILABLE"
        assert (failed.reason, failed.action_required_by) == ("not_home", "")
        assert (failed.details["attempts"], failed.details["next_action"]) == (2, "RETURN_TO_DEPOT")
        assert waiting.details["locker_number"] == "C-07"
        assert waiting.details["hold_until"] == "2024-03-24T21:00:00Z"
        assert waiting.details["notification_channels"] == ["SMS", "EMAIL"]
        assert tracks[NUMBER].extras["delivery_attempts"] == 2

    def test_scans_are_sorted_and_times_without_offset_are_utc(self):
        tracks, _sent = run("tracking_newest_first_without_offsets")
        created, picked_up = tracks[NUMBER].scans
        assert (created.code, picked_up.code) == ("created", "picked_up")
        assert picked_up.occurred_at == datetime(2024, 3, 15, 13, 5, tzinfo=UTC)
        assert picked_up.tz_assumed
        assert picked_up.occurred_text == "2024-03-15T13:05:00"

    def test_unknown_code_is_kept_with_its_time(self):
        tracks, _sent = run("tracking_with_unknown_code")
        (scan,) = tracks[NUMBER].scans
        assert (scan.code, scan.status, scan.description) == ("held_by_customs", Status.UNKNOWN, "Held by customs")
        assert scan.occurred_at == datetime(2024, 3, 16, 7, tzinfo=UTC)

    def test_each_number_is_one_request_and_unknown_ones_are_left_out(self):
        adapter = open_adapter(answer(fixture("refused_unknown_shipment"), 404), answer(fixture("tracking_in_transit")))
        assert set(adapter.track([ref("PKT-0000000000"), REF])) == {NUMBER}
        assert len(adapter.http.sent) == 2

    def test_missing_page_is_not_an_unknown_number(self):
        with pytest.raises(CarrierRejected):
            open_adapter(answer(b"<html>404</html>", 404)).track([REF])

    def test_track_of_another_number_is_unreadable(self):
        with pytest.raises(CarrierUnavailable):
            open_adapter(answer(fixture("tracking_in_transit"))).track([ref("PKT-5555555555")])


class TestPaths:
    CALLS = {
        "track": (lambda it, name: it.track([ref(name)]), "/shipments/{}/tracking"),
        "cancel": (lambda it, name: it.cancel(ref(name), ""), "/shipments/{}/cancel"),
        "proof": (lambda it, name: it.proof_of_delivery(ref(name)), "/shipments/{}/proof-of-delivery"),
        "point": (lambda it, name: it.pickup_point(name, "US"), "/pickup-points/{}"),
    }

    @pytest.mark.parametrize("kind", list(CALLS))
    def test_number_stays_one_path_segment(self, kind):
        call, path = self.CALLS[kind]
        adapter = open_adapter(answer(fixture("refused_account_suspended"), 403))
        with pytest.raises(CarrierRejected):
            call(adapter, HOSTILE)
        assert adapter.http.sent[0]["url"] == BASE + path.format(HOSTILE_ENCODED)

    @pytest.mark.parametrize("kind", list(CALLS))
    @pytest.mark.parametrize("name", ["", ".", ".."])
    def test_dots_that_would_change_the_path_are_not_sent(self, kind, name):
        call, _path = self.CALLS[kind]
        adapter = open_adapter(answer({}))
        if kind == "track":
            assert call(adapter, name) == {}
        else:
            with pytest.raises(CarrierNotFound):
                call(adapter, name)
        assert adapter.http.sent == []


class TestCancelAndProof:
    def test_cancellation_has_time_and_refund(self):
        cancellation, sent = run("cancelled_at_customers_request", lambda it: it.cancel(REF, "changed my mind"))
        assert (sent["json"], OPERATIONS[sent["operation"]]) == ({"reason": "changed my mind"}, Effect.WRITE)
        assert cancellation.cancelled_at == datetime(2024, 3, 16, 9, 35, tzinfo=UTC)
        assert (cancellation.refund_status, cancellation.refund_amount) == ("pending", Decimal("16.28"))
        assert cancellation.reason == "Bought twice by mistake"

    def test_proof_of_door_delivery(self):
        proof, _sent = run("proof_left_with_the_receptionist")
        assert proof.delivered_at == datetime(2024, 3, 17, 16, 47, tzinfo=UTC)
        assert (proof.signed_by, proof.location, proof.notes) == (
            "Recipient One",
            "Side porch",
            "Handed over at the desk",
        )
        assert proof.signature_image.startswith("data:image/")
        assert proof.delivery_photo.startswith("data:image/")
        assert (proof.delivery_type, proof.pickup_code_used) == ("HOME_DELIVERY", None)
        assert (proof.latitude, proof.longitude) == (42.8864, -78.8784)

    def test_proof_of_collection_without_pictures(self):
        proof, _sent = run("proof_collected_with_code_without_pictures")
        assert (proof.signature_image, proof.delivery_photo, proof.notes) == ("", "", "")
        assert (proof.delivery_type, proof.pickup_code_used) == ("PICKUP_POINT", "PICKUP-330721")
        assert (proof.latitude, proof.longitude) == (None, None)


class TestPickup:
    def test_booked_pickup_has_the_driver(self):
        booked, _sent = run("pickup_scheduled_with_a_driver")
        assert (booked.carrier_pickup_id, booked.confirmation_number) == ("PCK-665544", "CONF-908172")
        assert booked.scheduled_date == datetime(2024, 3, 16, 11, 15, tzinfo=UTC)
        assert (booked.window_start, booked.window_end, booked.status) == ("11:15", "15:45", "scheduled")
        assert booked.extras == {
            "driver_name": "Driver Nine",
            "driver_phone": "+15550100123",
            "estimated_arrival": "2024-03-16T12:40:00Z",
            "tracking_url": "https://track.pickit.net/pickup/PCK-665544",
        }


class TestPointsAndCoverage:
    def test_active_points_are_listed_in_pickits_order(self):
        points, _sent = run("points_near_downtown_one_closed")
        assert [(point.id, point.kind, point.distance_km) for point in points] == [
            ("PP-70421", "LOCKER", 0.62),
            ("PP-54021", "STORE", 1.87),
        ]
        locker, store = points
        assert locker.opening_hours["friday"] == "07:30-23:30"
        assert locker.services == ("PACKAGE_PICKUP", "PACKAGE_DROP")
        assert locker.capacity == {"small": 11, "medium": 6, "large": 3}
        assert (store.code, store.services, store.opening_hours) == ("", (), {})

    def test_points_are_limited_and_may_be_none(self):
        few, _sent = run("points_near_downtown_one_closed", lambda it: it.pickup_points(replace(NEAR, limit=1)))
        assert len(few) == 1
        assert run("points_none_nearby")[0] == []

    def test_single_point_is_read_in_full(self):
        point, _sent = run("point_downtown_locker_in_full")
        assert point.services == ("PACKAGE_PICKUP", "PACKAGE_DROP", "RETURNS")
        assert point.accessibility == {"wheelchair": True, "parking": True, "public_transport": True}
        assert len(point.images) == 2
        assert point.instructions.startswith("Behind the ticket hall")
        assert (point.latitude, point.longitude, point.distance_km) == (41.5683, -73.9432, None)
        assert point.address.street == "8 Quay Road"

    def test_coverage_of_served_and_unserved_cities(self):
        served, _sent = run("coverage_of_a_city")
        assert served.service_available
        assert served.estimated_transit_days == {"STANDARD": 3, "EXPRESS": 2, "PICKUP_POINT": 4}
        assert served.surcharges == {"residential": False, "extended_area": False}
        unserved, _sent = run("coverage_of_an_unserved_city")
        assert (unserved.service_available, unserved.service_types) == (False, ())
