"""Retention of the call log."""

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
    """One call from each of these days ago."""
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


def remaining():
    return set(CarrierCall.objects.values_list("operation", flat=True))


def test_worker_deletes_calls_after_the_configured_time(calls, settings):
    settings.CARRIER_CALL_KEEP = timedelta(days=90)
    retention.delete_old_calls()
    assert remaining() == {"1 days", "29 days", "31 days", "89 days"}


def test_command_deletes_older_calls_and_counts_them_in_a_dry_run(calls):
    output = io.StringIO()
    call_command("forget_carrier_calls", days=30, dry_run=True, stdout=output)
    assert (output.getvalue(), len(remaining())) == ("5 calls would be deleted.\n", 7)
    call_command("forget_carrier_calls", days=30, stdout=output, stderr=io.StringIO())
    assert remaining() == {"1 days", "29 days"}
    with pytest.raises(CommandError):
        call_command("forget_carrier_calls", days=0)
