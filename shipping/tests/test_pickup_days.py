"""The day of a pickup, and shipments that an open pickup collects already."""

import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from apikeys.db.tenancy import Mode, Tenant
from apikeys.http.errors import Conflict, ValidationFailed
from apikeys.http.fields import MomentField
from shipping.models import Pickup, Shipment
from shipping.pickups import pickups

pytestmark = [pytest.mark.django_db, pytest.mark.once]


def check_date(text, country="US", mode=Mode.LIVE):
    order = {"address": {"country": country}, "pickup_date": MomentField().run_validation(text)}
    return [one["code"] for one in pickups._check_date(Tenant(uuid.uuid4(), mode), order)]


@pytest.mark.parametrize(
    ("country", "text"),
    [
        ("IN", "2026-06-15"),
        ("US", "2026-06-14T23:00:00-10:00"),
        ("XX", "2026-06-14"),
        ("IN", "2026-06-15T00:30:00+05:30"),
    ],
)
def test_day_counts_where_the_parcels_are(clock, country, text):
    clock.move_to("2026-06-15T05:00:00Z", tick=False)  # still the 14th in Hawaii
    assert check_date(text, country) == []


def test_day_in_the_past_is_refused_for_a_live_key_and_a_warning_for_a_test_key(clock):
    clock.move_to("2026-06-15T12:00:00Z", tick=False)
    for text in ("2024-01-16T10:00:00Z", "2026-06-14"):
        assert check_date(text, "IN", Mode.TEST) == ["date_in_past"]
        with pytest.raises(ValidationFailed) as refused:
            check_date(text, "IN")
        assert list(refused.value.details) == ["pickup_date"]


@pytest.mark.usefixtures("credential")
def test_shipment_is_in_one_open_pickup_unless_it_is_additional(tenant, credential):
    made = {"merchant_id": tenant.merchant_id, "mode": tenant.mode, "carrier": "pickit", "credential": credential}
    shipment = Shipment.objects.create(**made, tracking_number="PKT-1", reference="R1")
    pickup = Pickup.objects.create(
        **made, scheduled_date=timezone.now() + timedelta(1), window_start="10:00", window_end="12:00", packages_count=1
    )
    pickup.shipments.set([shipment])
    live = Tenant(tenant.merchant_id, Mode.LIVE)

    def check(owner, additional=False):
        return [one["field"] for one in pickups._check_open_pickups(owner, {"additional": additional}, [shipment])]

    with pytest.raises(Conflict) as refused:
        check(live)
    assert refused.value.details["pickup_id"] == [str(pickup.id)]
    assert check(live, additional=True) == []
    assert check(Tenant(tenant.merchant_id, Mode.TEST)) == ["shipment_ids"]
    Pickup.objects.update(state="cancelled")
    assert check(live) == []
