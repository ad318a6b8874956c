"""What carriers have pushed is forgotten in time."""

from datetime import timedelta

import pytest
from django.utils import timezone

from apikeys.db import batches
from apikeys.db.tenancy import first_id_at
from webhooks.inbound import retention
from webhooks.models import InboundWebhook, UnmatchedNumber

pytestmark = pytest.mark.django_db


@pytest.fixture
def pushed(credential, monkeypatch):
    """``pushed(days_ago, state)`` keeps a body with a number that nobody has."""
    monkeypatch.setattr(batches, "SIZE", 2)

    def one(days, state="processed"):
        at = timezone.now() - timedelta(days=days)
        name, account = f"{state} {days}", {"credential": credential}
        kept = {"id": first_id_at(at), "carrier": "pickit", "digest": name, "body": b"{}", "received_at": at}
        row = InboundWebhook.objects.create(**account, **kept, state=state)
        UnmatchedNumber.objects.create(id=first_id_at(at), inbound=row, tracking_number=name, **account)

    return one


def test_bodies_go_after_the_set_time_but_for_those_that_were_not_read(pushed, settings):
    settings.INBOUND_WEBHOOK_KEEP = timedelta(days=30)
    for days in (29, 31, 400, 500):
        pushed(days)
    pushed(32, "unmatched")
    pushed(33, "failed")
    pushed(366, "failed")
    pushed(367, "received")
    retention.clean()
    left = set(InboundWebhook.objects.values_list("digest", flat=True))
    assert left == {"processed 29", "failed 33", "received 367"}


def test_nothing_goes_while_its_shipment_is_looked_out_for(pushed, settings):
    settings.INBOUND_WEBHOOK_KEEP = timedelta(days=1)
    pushed(2, "unmatched")
    retention.clean()
    assert (InboundWebhook.objects.count(), UnmatchedNumber.objects.count()) == (1, 1)


def test_numbers_go_when_nobody_looks_out_for_them_any_more(pushed):
    for days in (6, 8, 9, 10):
        pushed(days, "unmatched")
    retention.clean()
    assert list(UnmatchedNumber.objects.values_list("tracking_number", flat=True)) == ["unmatched 6"]
    assert InboundWebhook.objects.count() == 4
