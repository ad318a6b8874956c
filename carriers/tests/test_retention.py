"""What was said to carriers is forgotten in time."""

import io
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from apikeys.db import batches
from apikeys.db.tenancy import first_id_at
from carriers.http import retention
from carriers.models import CarrierCall

pytestmark = pytest.mark.django_db


@pytest.fixture
def calls(monkeypatch):
    """Of each of these days ago one."""
    monkeypatch.setattr(batches, "SIZE", 2)
    for days in (1, 29, 31, 89, 91, 400, 500):
        at = timezone.now() - timedelta(days=days)
        CarrierCall.objects.create(
            id=first_id_at(at),
            mode="test",
            carrier="pickit",
            operation=f"{days} days",
            method="GET",
            url="https://x",
            outcome="ok",
            duration_ms=1,
            created_at=at,
        )


def left():
    return set(CarrierCall.objects.values_list("operation", flat=True))


def test_the_worker_forgets_calls_after_the_set_time(calls, settings):
    settings.CARRIER_CALL_KEEP = timedelta(days=90)
    retention.delete_old_calls()
    assert left() == {"1 days", "29 days", "31 days", "89 days"}


def test_a_command_forgets_more_and_can_first_say_how_many(calls):
    said = io.StringIO()
    call_command("forget_carrier_calls", days=30, dry_run=True, stdout=said)
    assert (said.getvalue(), len(left())) == ("5 calls would be deleted.\n", 7)
    call_command("forget_carrier_calls", days=30, stdout=said, stderr=io.StringIO())
    assert left() == {"1 days", "29 days"}
    with pytest.raises(CommandError):
        call_command("forget_carrier_calls", days=0)
