"""Retention of webhooks from carriers."""

from datetime import timedelta

import pytest
from django.utils import timezone

from apikeys.db import batches
from apikeys.db.tenancy import first_id_at
from webhooks.inbound import retention
from webhooks.models import InboundWebhook, UnmatchedNumber

pytestmark = pytest.mark.django_db


@pytest.fixture
def store(credential, monkeypatch):
    """Return a function that stores a webhook, received so many days ago, with an unknown number."""
    monkeypatch.setattr(batches, "SIZE", 2)

    def store_webhook(days, state="processed"):
        at = timezone.now() - timedelta(days=days)
        name = f"{state} {days}"
        values = {"id": first_id_at(at), "carrier": "pickit", "digest": name, "body": b"{}", "received_at": at}
        row = InboundWebhook.objects.create(credential=credential, **values, state=state)
        UnmatchedNumber.objects.create(id=first_id_at(at), inbound=row, tracking_number=name, credential=credential)

    return store_webhook


def test_old_webhooks_are_deleted_unless_unprocessed(store, settings):
    settings.INBOUND_WEBHOOK_KEEP = timedelta(days=30)
    for days in (29, 31, 400, 500):
        store(days)
    store(32, "unmatched")
    store(33, "failed")
    store(366, "failed")
    store(367, "received")
    retention.clean()
    remaining = set(InboundWebhook.objects.values_list("digest", flat=True))
    assert remaining == {"processed 29", "failed 33", "received 367"}


def test_webhook_is_kept_while_it_waits_for_its_shipment(store, settings):
    settings.INBOUND_WEBHOOK_KEEP = timedelta(days=1)
    store(2, "unmatched")
    retention.clean()
    assert (InboundWebhook.objects.count(), UnmatchedNumber.objects.count()) == (1, 1)


def test_unknown_numbers_are_deleted_after_the_wait(store):
    for days in (6, 8, 9, 10):
        store(days, "unmatched")
    retention.clean()
    assert list(UnmatchedNumber.objects.values_list("tracking_number", flat=True)) == ["unmatched 6"]
    assert InboundWebhook.objects.count() == 4
