"""Leases on the database's clock: one process per row, takeover after the end, late writers refused."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import time_machine
from django.db import connection
from django.utils import timezone

from apikeys.audit.events import EventType, record
from apikeys.db import leases
from apikeys.models import SecurityNotice

MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
WORK = leases.Leases(SecurityNotice, lasts=lambda: MINUTE)
UNNUMBERED = leases.Leases(SecurityNotice, lasts=lambda: MINUTE, fence="")
DUE = leases.Schedule(SecurityNotice, lasts=lambda: MINUTE)
KINDS = pytest.mark.parametrize("kind", [WORK, UNNUMBERED], ids=["fence", "no fence"])
ALARM = EventType("credential.saved", audit=True, security=True)


@pytest.fixture
def rows(tenant):
    for _ in range(6):
        record(ALARM, tenant=tenant)
    return SecurityNotice.objects.order_by("event_id")


@pytest.fixture
def row(tenant):
    event = record(ALARM, tenant=tenant)
    return SecurityNotice.objects.filter(event_id=event.id)


def in_threads(count, function):
    """Return the results of calls that start together, each with its own connection."""
    barrier = threading.Barrier(count)

    def call(_number):
        try:
            barrier.wait(10)
            return function()
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(call, range(count)))


@pytest.mark.django_db(transaction=True)
def test_connections_that_claim_at_once_get_different_rows(rows):
    taken = [lease.pk for some in in_threads(4, lambda: WORK.claim(rows, limit=2)) for lease in some]
    # A connection skips rows that another one is taking, so some may be left.
    taken += [lease.pk for lease in WORK.claim(rows, limit=6)]
    assert sorted(taken) == [one.pk for one in rows]
    assert WORK.claim(rows, limit=6) == []


@pytest.mark.django_db(transaction=True)
@KINDS
def test_one_of_many_connections_acquires_a_row(row, kind):
    taken = [lease for lease in in_threads(8, lambda: kind.acquire(row)) if lease]
    assert len(taken) == 1
    assert taken[0].rows.exists()


@pytest.mark.django_db(transaction=True)
def test_one_of_many_connections_takes_a_due_row(row):
    row.update(lease_until=leases.now())
    taken = in_threads(4, lambda: list(DUE.acquire_each(SecurityNotice.objects.all(), limit=9)))
    assert len(sum(taken, [])) == 1
    row.update(lease_until=leases.now())
    assert len(sum(in_threads(4, lambda: DUE.claim(SecurityNotice.objects.all(), limit=9)), [])) == 1


@pytest.mark.django_db
def test_claim_takes_rows_in_the_given_order_up_to_the_limit(rows):
    assert {lease.pk for lease in WORK.claim(rows, limit=2)} == {one.pk for one in rows[:2]}
    assert {lease.pk for lease in WORK.claim(rows.reverse(), limit=3)} == {one.pk for one in rows[3:]}


@pytest.mark.django_db
def test_claim_keeps_to_the_limit_after_the_table_was_nearly_empty(row, tenant):
    """With such statistics PostgreSQL runs a plain subquery once for each row of the table."""
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE apikeys_securitynotice")
    for _ in range(5):
        record(ALARM, tenant=tenant)
    assert [len(WORK.claim(SecurityNotice.objects.all(), limit=2)) for _ in range(4)] == [2, 2, 2, 0]


@pytest.mark.django_db
@KINDS
def test_expired_lease_is_taken_over_and_its_holder_can_no_longer_write(row, kind):
    first = kind.acquire(row)
    assert kind.acquire(row) is None
    with time_machine.travel(timezone.now() + MINUTE + SECOND):
        second = kind.acquire(row)
    assert second.fence != first.fence
    assert not first.update(lease_until=None)
    assert not first.release()
    assert second.release()
    assert row.get().lease_until is None


@pytest.mark.django_db
@KINDS
def test_lease_that_ended_can_still_write_until_it_is_taken_over(row, kind):
    lease = kind.acquire(row)
    with time_machine.travel(timezone.now() + 2 * MINUTE):
        assert lease.release()


@pytest.mark.django_db
@KINDS
def test_released_row_is_free_at_once(row, kind):
    assert kind.acquire(row).release()
    assert kind.acquire(row)


@pytest.mark.django_db
def test_abandoned_leases_are_those_that_ended_without_release(row):
    assert not row.filter(WORK.abandoned())
    lease = WORK.acquire(row)
    assert not row.filter(WORK.abandoned())
    with time_machine.travel(timezone.now() + MINUTE + SECOND):
        assert row.filter(WORK.abandoned())
        lease.release()
        assert not row.filter(WORK.abandoned())


@pytest.mark.django_db
def test_scheduled_row_is_taken_when_due_and_postponed_by_the_lease(row):
    assert list(DUE.acquire_each(row, limit=1)) == []
    row.update(lease_until=timezone.now() + 10 * MINUTE)
    assert list(DUE.acquire_each(row, limit=1)) == []
    row.update(lease_until=timezone.now())
    (lease,) = DUE.acquire_each(row, limit=1)
    assert lease.rows.get().lease_until > timezone.now() + MINUTE - 5 * SECOND
    assert list(DUE.acquire_each(row, limit=1)) == []
    assert DUE.claim(row, limit=1) == []


@pytest.mark.django_db
@pytest.mark.parametrize("error", [timedelta(days=1), timedelta(days=-1)], ids=["ahead", "behind"])
def test_wrong_clock_of_a_process_does_not_matter(row, monkeypatch, database_clock, error):
    monkeypatch.setattr(leases, "now", database_clock)
    right = timezone.now()
    with time_machine.travel(right + error):
        first = WORK.acquire(row)
    assert right - SECOND < row.get().lease_until - MINUTE < right + MINUTE
    with time_machine.travel(right + error):
        assert WORK.acquire(row) is None
        assert WORK.claim(row, limit=1) == []
    assert WORK.acquire(row) is None
    assert first.release()


@pytest.mark.django_db
def test_lease_stored_before_the_clock_was_set_back_counts_as_ended(row):
    row.update(lease_until=timezone.now() + timedelta(days=1))
    assert WORK.acquire(row)
    row.update(lease_until=timezone.now() + MINUTE + leases.CLOCK_SKEW - 5 * SECOND)
    assert WORK.acquire(row) is None


@pytest.mark.django_db
def test_time_that_python_has_just_stored_is_not_in_the_future(row):
    for _ in range(200):
        row.update(lease_until=timezone.now())
        assert row.filter(lease_until__lte=leases.now()).exists()
        row.update(lease_until=leases.now())
        assert row.filter(lease_until__lte=leases.now()).exists()
