"""Issuing numbers: an equal request gets the same number, another request never does."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier
from uuid import UUID

import pytest
from django.db import connection, transaction

from tracking import numbers, services
from tracking.models import IssuedNumber
from tracking.tests.test_numbers import REQUEST

THREADS = 8


def issue_concurrently(correlation_ids):
    """Issue a number per correlation id, in threads that start together."""
    start = Barrier(len(correlation_ids))

    def issue(correlation_id):
        try:
            start.wait()
            return services.issue(REQUEST, correlation_id=correlation_id)
        finally:
            connection.close()

    with ThreadPoolExecutor(len(correlation_ids)) as pool:
        return list(pool.map(issue, correlation_ids))


@pytest.mark.django_db(transaction=True)
def test_threads_with_one_correlation_id_get_one_number():
    issued = issue_concurrently(["same"] * THREADS)
    assert len({(row.number, row.created_at) for row in issued}) == 1
    assert IssuedNumber.objects.get().number == issued[0].number


@pytest.mark.django_db(transaction=True)
def test_threads_with_different_ids_get_different_numbers():
    issued = issue_concurrently([str(i) for i in range(THREADS)])
    assert len({row.number for row in issued}) == THREADS
    assert IssuedNumber.objects.count() == THREADS


@pytest.mark.django_db(transaction=True)
def test_threads_get_different_numbers_when_few_are_left(monkeypatch):
    monkeypatch.setattr(numbers, "SPACE", THREADS)
    issued = issue_concurrently([str(i) for i in range(THREADS)] * 2)
    assert len({row.number for row in issued}) == THREADS
    assert all(one.number == other.number for one, other in zip(issued, issued[THREADS:], strict=False))


@pytest.mark.django_db
def test_stored_row_equals_the_issued_number():
    issued = services.issue(REQUEST, correlation_id="c")
    stored = IssuedNumber.objects.get(number=issued.number)
    assert (stored.created_at, stored.correlation_id) == (issued.created_at, "c")
    assert (stored.secret_version, len(stored.fingerprint)) == ("1", 64)
    assert stored.customer_id == REQUEST.customer_id


@pytest.mark.django_db
def test_repeated_request_gets_the_first_row():
    first = services.issue(REQUEST, correlation_id="c")
    again = services.issue(REQUEST, correlation_id="c")
    assert (again.number, again.created_at) == (first.number, first.created_at)


@pytest.mark.django_db
def test_taken_number_leads_to_the_next_derivation():
    first_choice = numbers.make(origin="MY", destination="ID", message=REQUEST.message("c"), secret=secret())
    IssuedNumber.objects.create(number=first_choice, fingerprint="of another", customer_id=UUID(int=1))
    expected = numbers.make(origin="MY", destination="ID", message=REQUEST.message("c"), secret=secret(), derivation=1)
    first = services.issue(REQUEST, correlation_id="c")
    assert first.number == expected
    assert services.issue(REQUEST, correlation_id="c").number == expected


def secret():
    return numbers.first_secret(services.settings.TRACKING_NUMBER_SECRETS).value


@pytest.mark.django_db
def test_exhausted_numbers_raise_an_error(monkeypatch):
    monkeypatch.setattr(numbers, "SPACE", 1)
    services.issue(REQUEST, correlation_id="first")
    with pytest.raises(services.NumbersExhausted):
        services.issue(REQUEST, correlation_id="second")
    assert IssuedNumber.objects.count() == 1


@pytest.mark.django_db
def test_conflict_leaves_the_transaction_usable():
    with transaction.atomic():
        first = services.issue(REQUEST, correlation_id="c")
        again = services.issue(REQUEST, correlation_id="c")
        other = services.issue(REQUEST, correlation_id="d")
    assert first.number == again.number != other.number


def version(issued):
    return IssuedNumber.objects.get(number=issued.number).secret_version


@pytest.mark.django_db
def test_new_secret_makes_other_numbers_and_repeats_the_old_ones(settings):
    settings.TRACKING_NUMBER_SECRETS = "1:old"
    old = services.issue(REQUEST, correlation_id="before")
    settings.TRACKING_NUMBER_SECRETS = "2:new,1:old"
    again = services.issue(REQUEST, correlation_id="before")
    new = services.issue(REQUEST, correlation_id="after")
    assert again.number == old.number
    assert [version(one) for one in (again, new)] == ["1", "2"]
    assert new.number != numbers.make(origin="MY", destination="ID", message=REQUEST.message("after"), secret=b"old")


@pytest.mark.django_db
def test_new_number_needs_one_query_and_a_repeated_one_two(django_assert_num_queries):
    with django_assert_num_queries(1):
        services.issue(REQUEST, correlation_id="c")
    with django_assert_num_queries(2):
        services.issue(REQUEST, correlation_id="c")
    with django_assert_num_queries(1):
        services.issue(replace(REQUEST, customer_name="Other"), correlation_id="c")


@pytest.mark.django_db
def test_1000_numbers_need_one_query_and_keep_their_order(django_assert_num_queries):
    pairs = [(REQUEST, str(index)) for index in range(1000)]
    with django_assert_num_queries(1):
        issued = services.issue_all(pairs)
    assert [one.correlation_id for one in issued] == [name for _request, name in pairs]
    assert len({one.number for one in issued}) == 1000


@pytest.mark.django_db
def test_equal_requests_in_a_list_share_a_number():
    first, second, third = services.issue_all([(REQUEST, "a"), (REQUEST, "b"), (REQUEST, "a")])
    assert first == third != second


@pytest.mark.django_db
def test_colliding_requests_in_a_list_get_the_next_derivation(monkeypatch):
    monkeypatch.setattr(numbers, "SPACE", 50)
    issued = services.issue_all([(REQUEST, str(index)) for index in range(30)])
    assert len({one.number for one in issued}) == 30
    assert services.issue_all([(REQUEST, str(index)) for index in range(30)]) == issued


@pytest.mark.django_db(transaction=True)
def test_concurrent_overlapping_lists_share_equal_requests():
    start = Barrier(4)

    def issue(order):
        try:
            start.wait()
            return services.issue_all([(REQUEST, str(index)) for index in order])
        finally:
            connection.close()

    orders = [range(100), range(99, -1, -1), range(50, 150), range(149, 49, -1)]
    with ThreadPoolExecutor(4) as pool:
        lists = list(pool.map(issue, orders))
    numbers_of = {one.correlation_id: set() for issued in lists for one in issued}
    for issued in lists:
        for one in issued:
            numbers_of[one.correlation_id].add(one.number)
    assert {len(found) for found in numbers_of.values()} == {1}
    assert IssuedNumber.objects.count() == 150


@pytest.mark.django_db
def test_s10_numbers_are_issued_in_the_same_way(monkeypatch):
    parcel = replace(REQUEST, indicator="CP")
    issued = services.issue(parcel, correlation_id="c")
    assert numbers.parse_s10(issued.number)[::3] == ("CP", "MY")
    assert services.issue(parcel, correlation_id="c") == issued
    assert services.issue(replace(REQUEST, indicator="RR"), correlation_id="c").number[2:10] != issued.number[2:10]
    monkeypatch.setattr(numbers, "S10_SPACE", 20)
    few = services.issue_all([(parcel, str(index)) for index in range(15)])
    assert len({one.number for one in few}) == 15
