"""The demo data of ``make run``."""

import pytest
from django.core.management import call_command

from apikeys.models import ApiKey, Event, Membership, Merchant
from carriers.adapters.registry import ADAPTERS
from carriers.models import Credential
from shipping.models import Checkpoint, Shipment
from webhooks.models import WebhookEndpoint

pytestmark = [pytest.mark.django_db, pytest.mark.once]
MODELS = (ApiKey, Checkpoint, Credential, Event, Membership, Merchant, Shipment, WebhookEndpoint)


def seed():
    """Run the command and return all rows."""
    call_command("seed_demo", verbosity=0)
    return {model: list(model.objects.order_by("pk").values()) for model in MODELS}


def test_second_run_keeps_the_data_and_adds_the_credential_of_a_new_carrier():
    first = seed()
    platform = Credential.objects.filter(merchant=None)
    assert set(platform.values_list("carrier", flat=True)) == set(ADAPTERS)
    assert seed() == first
    platform.get(carrier="bring").delete()
    added = seed()
    kept = [row for row in first[Credential] if row["merchant_id"] or row["carrier"] != "bring"]
    (new,) = [row for row in added[Credential] if row not in kept]
    assert (new["carrier"], len(added[Credential])) == ("bring", len(first[Credential]))
    assert added | {Credential: kept, Event: []} == first | {Credential: kept, Event: []}
