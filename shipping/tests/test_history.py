"""A shipment's status is a function of its set of checkpoints, in every order of arrival."""

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carriers.types import Status
from shipping.checkpoints.fold import FINAL, RANK, CheckpointFacts, read_statuses, sort_checkpoints, summarize

START = datetime(2024, 1, 15, 10, tzinfo=UTC)


def at(hours, status, code=None, location="", suspect_time=False):
    moment = START + timedelta(hours=hours, days=9 * suspect_time)
    return CheckpointFacts(moment, status, code or str(status), location, suspect_time)


SIX_SCANS = [
    at(0, Status.CREATED, location="Brooklyn, NY"),
    at(4, Status.PICKED_UP, location="Brooklyn, NY"),
    at(22, Status.IN_TRANSIT, location="New York, NY"),
    at(26, Status.EXCEPTION),
    at(30, Status.AT_PICKUP_POINT, location="Downtown Locker Station"),
    at(52, Status.DELIVERED, location="Downtown Locker Station"),
]
RETURNED = [
    at(0, Status.CREATED),
    at(4, Status.PICKED_UP),
    at(22, Status.IN_TRANSIT),
    at(26, Status.DELIVERED),
    at(30, Status.RTO),
    at(40, Status.IN_TRANSIT),
    at(60, Status.RETURNED),
]


@pytest.mark.parametrize("history", [SIX_SCANS, RETURNED], ids=["delivered", "returned"])
def test_all_orders_of_arrival_give_the_same_summary(history):
    expected = summarize(history)
    for order in itertools.permutations(history):
        assert summarize(order) == expected
    assert expected.status == history[-1].status


def test_summary_has_last_location_and_first_and_last_times():
    summary = summarize(SIX_SCANS)
    assert summary.location == "Downtown Locker Station"
    assert (summary.first_at, summary.last_at) == (START, START + timedelta(hours=52))
    assert summary.delivered_at == START + timedelta(hours=52)
    assert summary.count == 6


def test_late_scan_does_not_undo_a_delivery():
    assert summarize([at(1, Status.DELIVERED), at(2, Status.IN_TRANSIT)]).status == Status.DELIVERED


def test_return_opens_a_new_leg_after_delivery():
    summary = summarize([at(1, Status.DELIVERED), at(2, Status.RTO), at(3, Status.IN_TRANSIT)])
    assert summary.status == Status.IN_TRANSIT
    assert summary.delivered_at is None


def test_return_with_a_suspect_time_changes_no_later_status():
    wrong = replace(at(0, Status.RTO), suspect_time=True)
    assert read_statuses([wrong, at(1, Status.DELIVERED)]) == [Status.RTO, Status.DELIVERED]
    assert read_statuses([at(0, Status.RTO), at(1, Status.DELIVERED)]) == [Status.RTO, Status.RETURNED]


def test_unknown_code_is_stored_but_decides_nothing():
    summary = summarize([at(1, Status.IN_TRANSIT), at(2, Status.UNKNOWN, "customs_xyz")])
    assert summary.status == Status.IN_TRANSIT
    assert summary.count == 2
    assert summarize([at(2, Status.UNKNOWN, "customs_xyz")]).status == Status.UNKNOWN


def test_higher_status_decides_between_scans_at_the_same_time():
    assert summarize([at(1, Status.PICKED_UP), at(1, Status.CREATED)]).status == Status.PICKED_UP


def test_no_checkpoints_give_no_status():
    assert summarize([]).status == ""


points = st.builds(
    at,
    st.integers(0, 5),
    st.sampled_from(list(Status)),
    st.sampled_from(["a", "b"]),
    st.sampled_from(["", "here"]),
    st.booleans(),
)


@given(st.lists(points, max_size=8).flatmap(lambda items: st.tuples(st.just(items), st.permutations(items))))
def test_any_set_in_any_order_gives_the_same_summary(pair):
    one, other = pair
    assert summarize(one) == summarize(other)
    assert sort_checkpoints(one) == sort_checkpoints(other)


@given(st.lists(points, min_size=1, max_size=8))
def test_status_is_one_of_the_reported_statuses_with_a_time_that_can_be_right(items):
    summary = summarize(items)
    right = [point for point in items if not point.suspect_time]
    assert summary == replace(summarize(right), count=len(items), status=summary.status)
    assert summary.status in {point.status for point in right} | {Status.UNKNOWN, Status.RETURNED}
    assert (summary.delivered_at is not None) == (summary.status == Status.DELIVERED)
    returning = min((point.occurred_at for point in right if point.status == Status.RTO), default=None)
    if returning and summary.delivered_at:
        assert summary.delivered_at < returning


def test_every_status_has_a_rank():
    assert set(RANK) == set(Status)
    assert set(RANK) > FINAL
