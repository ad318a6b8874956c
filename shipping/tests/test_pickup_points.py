"""Pickup points are asked for once an hour, and given from memory while the carrier is asked anew or away."""

from datetime import timedelta

import pytest
from django.core.cache import cache
from django.utils import timezone

from carriers.adapters.pickit import PickitAdapter
from carriers.credentials import opening, storage
from carriers.models import PointAnswer
from carriers.tests.test_pickit_adapter import NEAR
from carriers.types.errors import CarrierNotFound
from shipping.points import points

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("sandbox")]


@pytest.fixture
def near(credential):
    def one(**changes):
        credential.refresh_from_db()
        return points.near(credential, opening.open_adapter(credential), {**NEAR, **changes})

    return one


@pytest.fixture
def asked(sandbox):
    return lambda operation="pickup_points": len(sandbox.calls(operation=operation))


def grown_old(hours):
    """What is remembered was told so long ago, and every process has started since."""
    PointAnswer.objects.update(fetched_at=timezone.now() - timedelta(hours=hours))
    cache.clear()


def test_the_same_question_is_asked_once(near, asked):
    first = near()
    assert first.points
    assert near() == first
    assert near(latitude=NEAR["latitude"] + 0.00001) == first
    assert asked() == 1
    assert near(limit=1).points == first.points[:1]
    assert asked() == 2


def test_another_process_finds_it_in_the_database(near, asked):
    first = near()
    cache.clear()
    again = near()
    assert (again.points, again.as_of) == (first.points, first.as_of)
    assert asked() == 1


def test_a_point_is_remembered_with_everything_known_of_it(credential, asked):
    def one():
        return points.one(credential, opening.open_adapter(credential), "PP-12345").points

    first = one()
    assert first[0].images
    assert one() == first
    cache.clear()
    assert one() == first
    assert asked("pickup_point") == 1


def test_an_old_answer_is_given_at_once_and_renewed_by_the_worker(near, asked):
    first = near()
    grown_old(hours=2)
    old = near()
    assert old.points == first.points
    assert old.as_of < timezone.now() - timedelta(hours=1)
    assert near() == old
    assert asked() == 1
    assert points.refresh() == 1
    assert points.refresh() == 0
    assert asked() == 2
    assert near().as_of > timezone.now() - timedelta(minutes=1)
    assert asked() == 2


def test_what_nobody_asks_for_is_not_renewed(near, asked):
    near()
    grown_old(hours=2)
    assert points.refresh() == 0
    assert asked() == 1


def test_an_answer_of_yesterday_is_not_given(near, asked):
    near()
    grown_old(hours=25)
    assert near().as_of > timezone.now() - timedelta(minutes=1)
    assert asked() == 2


def test_while_the_carrier_is_away_the_old_answer_stays_and_it_is_asked_later(near, asked, sandbox):
    first = near()
    grown_old(hours=2)
    fault = {"operation": "pickup_points", "kind": "status", "status": 500, "count": 99}
    sandbox.control("POST", "/_sandbox/faults", fault)
    assert near().points == first.points
    assert points.refresh() == 0
    assert near().points == first.points
    asked_so_far = asked()
    assert points.refresh() == 0
    assert asked() == asked_so_far
    assert PointAnswer.objects.get().refresh_at > timezone.now() + timedelta(minutes=4)


def test_a_changed_account_knows_nothing_of_what_it_was_told(near, asked, tenant):
    near()
    fields = {"client_id": "test-client", "client_secret": "test-secret"}
    storage.save_credential(tenant=tenant, mode="test", carrier="pickit", environment="sandbox", fields=fields)
    near()
    assert asked() == 2


def test_what_a_changed_account_was_told_is_not_asked_for_anew(near, asked, tenant):
    near()
    grown_old(hours=2)
    near()
    fields = {"webhook_secret": "another-secret"}
    storage.save_credential(tenant=tenant, mode="test", carrier="pickit", environment="sandbox", fields=fields)
    assert points.refresh() == 0
    assert asked() == 1
    assert not PointAnswer.objects.exists()


def test_a_point_that_is_gone_is_forgotten_once_the_carrier_says_so(credential, monkeypatch):
    def one():
        return points.one(credential, opening.open_adapter(credential), "PP-12345").points

    def gone(_adapter, **_question):
        raise CarrierNotFound(carrier="Pickit")

    one()
    grown_old(hours=2)
    monkeypatch.setattr(PickitAdapter, "pickup_point", gone)
    assert one()
    assert points.refresh() == 0
    with pytest.raises(CarrierNotFound):
        one()


def test_no_account_fills_the_database(near, asked, monkeypatch):
    monkeypatch.setattr(points, "MOST_KEPT", 2)
    for limit in (1, 2, 3):
        near(limit=limit)
    assert PointAnswer.objects.count() == 2
    cache.clear()
    assert near(limit=3).points
    assert asked() == 3
    near(limit=1)
    assert asked() == 4


def test_what_is_too_old_to_be_given_is_forgotten(near):
    near()
    assert points.forget_old() == 0
    grown_old(hours=25)
    assert points.forget_old() == 1
