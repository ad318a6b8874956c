"""Helpers for tests that buy labels from Pickit's sandbox."""

from datetime import timedelta

import pytest
from django.utils import timezone

from apikeys.models import Event
from shipping.labels import reconciliation
from shipping.models import Shipment


def buy(api, order, key=None, **changes):
    return api.post("/api/v1/labels", order | changes, headers={"Idempotency-Key": key} if key else None)


def purchases(sandbox):
    return sandbox.calls(operation="create_label")


def fault(sandbox, kind, operation="create_label", **more):
    sandbox.control("POST", "/_sandbox/faults", {"carrier": "pickit", "operation": operation, "kind": kind} | more)


@pytest.fixture
def short_timeout(settings):
    """Let calls to carriers time out after one second."""
    settings.CARRIER_TIMEOUT_S = 1.0


def reconcile_now():
    Shipment.objects.filter(reconcile_at__isnull=False).update(reconcile_at=timezone.now() - timedelta(seconds=1))
    return reconciliation.reconcile()


def count_events(kind, shipment):
    return Event.objects.filter(type=f"shipment.{kind}", subject_id=shipment.id).count()


def label_statuses(sandbox, shipment):
    found = sandbox.control("GET", f"/_sandbox/pickit/shipments?reference={shipment.reference}")
    return sorted(label["status"] for label in found)
