"""The status of a shipment of several parcels: each is folded from its own scans and the shipment's."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from carriers.types import Status
from shipping.checkpoints.fold import FINAL, CheckpointFacts, read_statuses, sort_checkpoints, summarize

START = datetime(2027, 1, 15, 10, tzinfo=UTC)
PARCELS = ["P1", "P2"]


def at(hours, status, parcel=None, source="carrier", location="", suspect_time=False):
    moment = START + timedelta(hours=hours, days=9 * suspect_time)
    return CheckpointFacts(moment, status, str(status), location, suspect_time, parcel, source)


def fold(*points, parcels=PARCELS):
    summary = summarize(points, parcels)
    return summary.status, summary.delivered_at and (summary.delivered_at - START) // timedelta(hours=1)


CREATED, MOVING = at(0, Status.CREATED), at(2, Status.IN_TRANSIT, "P2")


def test_shipment_is_final_once_all_parcels_are():
    first = at(3, Status.DELIVERED, "P1")
    assert fold(CREATED, MOVING) == ("in_transit", None)
    assert fold(CREATED, MOVING, first) == ("in_transit", None)
    cases = [
        (at(5, Status.DELIVERED, "P2"), ("delivered", 5)),
        (at(5, Status.DELIVERED), ("delivered", 5)),  # of the whole shipment
        (at(5, Status.RETURNED, "P2"), ("returned", None)),
        (at(5, Status.CANCELLED, "P2"), ("delivered", 3)),
        (at(5, Status.DELIVERED, "P9"), ("in_transit", None)),  # no parcel of the shipment
        (at(5, Status.EXCEPTION, "P9"), ("exception", None)),
        (at(5, Status.INFO, "P2"), ("in_transit", None)),
    ]
    for last, expected in cases:
        assert fold(CREATED, MOVING, first, last) == expected, last
    cancelled = [at(1, Status.CANCELLED, name) for name in PARCELS]
    assert fold(CREATED, cancelled[0]) == ("created", None)
    assert fold(CREATED, *cancelled) == ("cancelled", None)
    assert fold(CREATED, at(4, Status.DELIVERED), parcels=[*PARCELS, "P3"]) == ("delivered", 4)


def test_return_of_one_parcel_does_not_return_the_other():
    back = [CREATED, MOVING, at(3, Status.RTO, "P1"), at(9, Status.DELIVERED, "P1")]
    assert fold(*back) == ("rto", None)
    other = at(10, Status.DELIVERED, "P2")
    assert read_statuses(sort_checkpoints([*back, other]))[-2:] == ["returned", "delivered"]
    assert fold(*back, other) == ("returned", None)
    whole = [CREATED, at(3, Status.RTO), at(9, Status.DELIVERED, "P1"), at(10, Status.DELIVERED, "P2")]
    assert read_statuses(whole)[-2:] == ["returned", "returned"]
    assert fold(*whole) == ("returned", None)


def test_location_is_that_of_the_parcels_on_their_way():
    points = [replace(MOVING, location="Oslo"), at(3, Status.DELIVERED, "P1", location="At the door")]
    assert summarize(points, PARCELS).location == "Oslo"
    assert summarize(points, PARCELS).last_at == points[1].occurred_at
    points.append(at(4, Status.DELIVERED, "P2", location="At the garage"))
    assert summarize(points, PARCELS).location == "At the garage"


def test_own_cancellation_holds_until_the_carrier_has_the_parcel():
    cancelled = at(2, Status.CANCELLED, source="waybill")
    for parcels in ([], PARCELS):
        own = None if not parcels else "P1"
        idle = [at(3, Status.CREATED, own), at(3, Status.INFO, own), at(3, Status.UNKNOWN, own)]
        assert fold(CREATED, cancelled, *idle, parcels=parcels) == ("cancelled", None)
        wrong = at(9, Status.DELIVERED, own, suspect_time=True)
        assert fold(CREATED, cancelled, wrong, parcels=parcels) == ("cancelled", None)
        for hours in (1, 3):  # also a scan from before the cancellation that arrives after it
            assert fold(CREATED, cancelled, at(hours, Status.PICKED_UP, own), parcels=parcels) == ("picked_up", None)
        assert fold(CREATED, cancelled, at(3, Status.DELIVERED), parcels=parcels) == ("delivered", 3)
        assert fold(CREATED, cancelled, at(3, Status.CANCELLED), parcels=parcels) == ("cancelled", None)


points = st.builds(
    at,
    st.integers(0, 4),
    st.sampled_from(list(Status)),
    st.sampled_from([None, "P1", "P2", "P9"]),
    st.sampled_from(["carrier"] * 4 + ["waybill"]),
    st.sampled_from(["", "here"]),
    st.booleans(),
).map(lambda one: one if one.source == "carrier" else replace(one, status=Status.CANCELLED, parcel=None))


@given(st.lists(points, max_size=8).flatmap(lambda items: st.tuples(st.just(items), st.permutations(items))))
def test_any_set_in_any_order_gives_the_same_summary(pair):
    one, other = pair
    assert summarize(one, PARCELS) == summarize(other, PARCELS[::-1])
    assert sort_checkpoints(one) == sort_checkpoints(other)


@given(st.lists(points.filter(lambda one: one.source == "carrier"), max_size=8))
def test_final_status_follows_from_the_parcels_own(items):
    own = [summarize([replace(one, parcel=None) for one in items if one.parcel in (None, name)]) for name in PARCELS]
    statuses = {summary.status for summary in own}
    summary = summarize(items, PARCELS)
    assert (summary.status in FINAL) == (statuses <= FINAL)
    if summary.status in FINAL:
        order = [Status.RETURNED, Status.DELIVERED, Status.CANCELLED]
        assert summary.status == next(status for status in order if status in statuses)
    times = [one.delivered_at for one in own if one.delivered_at]
    assert summary.delivered_at == (max(times) if summary.status == Status.DELIVERED else None)


@given(st.lists(points.map(lambda one: replace(one, parcel=None)), max_size=8))
def test_scans_of_the_whole_shipment_fold_as_those_of_one_parcel(items):
    assert summarize(items, PARCELS) == summarize(items)
