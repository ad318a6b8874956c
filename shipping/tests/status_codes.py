"""Helpers for tests of status codes."""

from datetime import UTC, datetime, timedelta

import pytest

from apikeys.models import Event
from carriers.credentials import storage
from carriers.types import Scan, Status
from shipping.checkpoints import carrier_reports, status_codes
from shipping.models import StatusCode
from shipping.tests.test_admin import make

WHEN = datetime(2024, 1, 15, 10, tzinfo=UTC)


def scan(code="teleported", hours=0, status=Status.UNKNOWN):
    at = WHEN + timedelta(hours=hours)
    return Scan(code=code, status=status, occurred_at=at, occurred_text=str(at), description=f"Text of {code}")


def known(hours=0, status=Status.PICKED_UP):
    return scan(status.value, hours, status)


def create_shipment(credential, number, *scans):
    """Create a booked shipment with these scans."""
    shipment = make(credential, f"{number:010}", status="", carrier=credential.carrier, created_at=WHEN)
    carrier_reports.store_scans(shipment.id, scans)
    shipment.refresh_from_db()
    return shipment


def map_code(status="in_transit", **which):
    for row in StatusCode.objects.filter(**which):
        assert status_codes.map_code(row.id, status)
    while status_codes.apply_mappings():
        pass


def list_events(shipment, kind="shipment.status_changed"):
    # Not by id: a start_process whose tests have travelled in time gives ids of the future.
    rows = Event.objects.filter(subject_id=shipment.pk, type=kind).order_by("created_at", "id")
    return [(row.data["previous_status"], row.data["status"]) for row in rows]


@pytest.fixture
def velocity(tenant):
    fields = {"username": "+910000000000", "password": "test-secret"}
    return storage.save_credential(tenant=tenant, mode="test", carrier="velocity", environment="sandbox", fields=fields)
