"""Answers about pickup points are cached for an hour, and used while the carrier is asked again or unavailable."""

from dataclasses import asdict
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.utils import timezone

from carriers.adapters.pickit import PickitAdapter
from carriers.credentials import opening, storage
from carriers.models import PointAnswer
from carriers.tests.pickit import NEAR
from carriers.types.errors import CarrierNotFound
from shipping.points import points

pytestmark = [pytest.mark.django_db, pytest.mark.once, pytest.mark.usefixtures("sandbox")]


@pytest.fixture
def search(credential):
    def search_near(**changes):
        credential.refresh_from_db()
        return points.search_points(credential, opening.open_adapter(credential), {**asdict(NEAR), **changes})

    return search_near


@pytest.fixture
def count_calls(sandbox):
    return lambda operation="pickup_points": len(sandbox.calls(operation=operation))


def age_answers(hours):
    """Make the stored answers this old, and empty the cache as a restart does."""
    PointAnswer.objects.update(fetched_at=timezone.now() - timedelta(hours=hours))
    cache.clear()


def test_repeated_search_uses_the_cached_answer(search, count_calls):
    first = search()
    assert first.points
    assert search() == first
    assert search(latitude=NEAR.latitude + 0.00001) == first
    assert count_calls() == 1
    assert search(limit=1).points == first.points[:1]
    assert count_calls() == 2


def test_answer_in_the_database_is_used_after_the_cache_is_lost(search, count_calls):
    first = search()
    cache.clear()
    again = search()
    assert (again.points, again.as_of) == (first.points, first.as_of)
    assert count_calls() == 1


def test_single_point_is_cached_with_all_its_details(credential, count_calls):
    def get():
        return points.get_point(credential, opening.open_adapter(credential), "PP-12345").points

    first = get()
    assert first[0].images
    assert get() == first
    cache.clear()
    assert get() == first
    assert count_calls("pickup_point") == 1


def test_old_answer_is_returned_at_once_and_refreshed_by_the_worker(search, count_calls):
    first = search()
    age_answers(hours=2)
    old = search()
    assert old.points == first.points
    assert old.as_of < timezone.now() - timedelta(hours=1)
    assert search() == old
    assert count_calls() == 1
    assert points.refresh_answers() == 1
    assert points.refresh_answers() == 0
    assert count_calls() == 2
    assert search().as_of > timezone.now() - timedelta(minutes=1)
    assert count_calls() == 2


def test_unused_answer_is_not_refreshed(search, count_calls):
    search()
    age_answers(hours=2)
    assert points.refresh_answers() == 0
    assert count_calls() == 1


def test_answer_older_than_a_day_is_not_returned(search, count_calls):
    search()
    age_answers(hours=25)
    assert search().as_of > timezone.now() - timedelta(minutes=1)
    assert count_calls() == 2


def test_old_answer_is_kept_and_refreshed_later_if_the_carrier_is_unavailable(search, count_calls, sandbox):
    first = search()
    age_answers(hours=2)
    fault = {"operation": "pickup_points", "kind": "status", "status": 500, "count": 99}
    sandbox.control("POST", "/_sandbox/faults", fault)
    assert search().points == first.points
    assert points.refresh_answers() == 0
    assert search().points == first.points
    before = count_calls()
    assert points.refresh_answers() == 0
    assert count_calls() == before
    assert PointAnswer.objects.get().refresh_at > timezone.now() + timedelta(minutes=4)


def test_changed_credential_does_not_use_earlier_answers(search, count_calls, tenant):
    search()
    fields = {"client_id": "test-client", "client_secret": "test-secret"}
    storage.save_credential(tenant=tenant, mode="test", carrier="pickit", environment="sandbox", fields=fields)
    search()
    assert count_calls() == 2


def test_earlier_answers_of_a_changed_credential_are_not_refreshed(search, count_calls, tenant):
    search()
    age_answers(hours=2)
    search()
    fields = {"webhook_secret": "another-secret"}
    storage.save_credential(tenant=tenant, mode="test", carrier="pickit", environment="sandbox", fields=fields)
    assert points.refresh_answers() == 0
    assert count_calls() == 1
    assert not PointAnswer.objects.exists()


def test_point_that_the_carrier_removed_is_deleted_on_refresh(credential, monkeypatch):
    def get():
        return points.get_point(credential, opening.open_adapter(credential), "PP-12345").points

    def answer_not_found(_adapter, *_question):
        raise CarrierNotFound(carrier="Pickit")

    get()
    age_answers(hours=2)
    monkeypatch.setattr(PickitAdapter, "pickup_point", answer_not_found)
    assert get()
    assert points.refresh_answers() == 0
    with pytest.raises(CarrierNotFound):
        get()


def test_number_of_answers_per_credential_is_limited(search, count_calls, monkeypatch):
    monkeypatch.setattr(points, "MAX_KEPT", 2)
    for limit in (1, 2, 3):
        search(limit=limit)
    assert PointAnswer.objects.count() == 2
    cache.clear()
    assert search(limit=3).points
    assert count_calls() == 3
    search(limit=1)
    assert count_calls() == 4


def test_answers_too_old_to_be_returned_are_deleted(search):
    search()
    assert points.delete_old_answers() == 0
    age_answers(hours=25)
    assert points.delete_old_answers() == 1
