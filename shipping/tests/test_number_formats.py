"""Tracking numbers of real carriers, written with blanks or in another case, are kept and found."""

import csv
import random
from io import StringIO

import pytest
from django.core.management import call_command

from carriers.adapters.base import CarrierAdapter
from carriers.adapters.registry import ADAPTERS
from shipping.models import Shipment

pytestmark = [pytest.mark.django_db, pytest.mark.once]
# Carrier: pattern (9: a digit, A: a letter, else itself) and the sizes of its groups on labels.
FORMATS = {
    "UPS": ("1ZAA9999999999999A", (2, 3, 3, 2, 4, 4)),
    "UPS freight": ("H9999999999", (4, 4, 3)),
    "S10, USPS international": ("RR999999999US", (2, 3, 3, 3, 2)),
    "S10, Royal Mail": ("AA999999999GB", (2, 4, 4, 3)),
    "S10, PostNord": ("UA999999999SE", (2, 9, 2)),
    "FedEx Express": ("999999999999", (4, 4, 4)),
    "FedEx Ground": ("999999999999999", (7, 8)),
    "FedEx Ground 96": ("96999999999999999999", (4, 4, 4, 4, 4)),
    "FedEx SmartPost": ("9261999999999999999999", (4, 4, 4, 4, 4, 2)),
    "FedEx door tag": ("DT999999999999", (2, 12)),
    "DHL Express": ("9999999999", (2, 4, 4)),
    "DHL Express, leading zero": ("0099999999", (2, 4, 4)),
    "DHL piece": ("JJD019999999999999999", (5, 4, 4, 4, 4)),
    "DHL Paket": ("00349999999999999999", (4, 4, 4, 4, 4)),
    "DHL eCommerce": ("GM9999999999999999", (2, 16)),
    "USPS": ("9499999999999999999999", (4, 4, 4, 4, 4, 2)),
    "USPS 26": ("92999999999999999999999999", (4, 4, 4, 4, 4, 4, 2)),
    "USPS with postal code": ("420999999499999999999999999999", (3, 5, 4, 4, 4, 4, 4, 2)),
    "Bring, Posten": ("70999999999999999", (3, 4, 4, 4, 2)),
    "SSCC": ("379999999999999999", (3, 7, 7, 1)),
    "PostNord": ("00373999999999999999", (5, 5, 5, 5)),
    "PostNL": ("3SAAAA999999999", (2, 4, 9)),
    "GLS": ("99999999999", (4, 4, 3)),
    "GLS Track ID": ("ZAAA9A9A", (4, 4)),
    "DPD": ("99999999999999", (4, 4, 4, 2)),
    "DPD with check letter": ("9999999999999A", (4, 4, 4, 2)),
    "Royal Mail 2D": ("0B999999999A99999999A", (4, 4, 4, 4, 5)),
    "Evri": ("H99AAA9999999999", (4, 4, 4, 4)),
    "Canada Post": ("7999999999999999", (4, 4, 4, 4)),
    "Australia Post": ("33AAA999999901000930209", (5, 9, 9)),
    "Amazon Logistics": ("TBA999999999999", (3, 4, 4, 4)),
    "Delhivery": ("9999999999999", (4, 4, 5)),
    "Correios": ("AA999999999BR", (2, 3, 3, 3, 2)),
    "Coordinadora": ("99999999999", (3, 4, 4)),
    "Pickit": ("PKT-99999", (9,)),
    "with dashes": ("9999-9999-9999", (14,)),
    "with other signs": ("A9:99.9+9_9", (11,)),
}
ROW = {"status": "CREATED", "location": "Bogotá", "description": "-", "timestamp": "2024-01-15T09:00:00Z"}


def numbers():
    """Yield each number and its groups, the same in every run."""
    rng = random.Random(15)
    for name, (pattern, sizes) in FORMATS.items():
        number = "".join({"9": rng.choice("123456789"), "A": rng.choice("BCDFGH")}.get(one, one) for one in pattern)
        starts = [sum(sizes[:position]) for position in range(len(sizes))]
        assert sum(sizes) == len(number), name
        yield number, [number[start : start + size] for start, size in zip(starts, sizes, strict=True)]


def spellings(number, groups):
    return number, " ".join(groups), number.lower(), f"  {' '.join(groups).lower()}\t", "\u00a0".join(groups)


def test_numbers_of_carriers_are_kept_and_found(api, settings):
    settings.RATE_LIMITS_ENABLED = False
    for position, (number, groups) in enumerate(numbers()):
        posted, *others = random.Random(position).sample(spellings(number, groups), 5)
        # The unit keeps its case; blanks are not stored.
        kept = "".join(posted.split())
        answer = api.post("/api/v1/checkpoints", ROW | {"tracking_id": posted})
        assert answer.status_code == 201, (posted, answer.content)
        repeated = api.post("/api/v1/checkpoints/batch", [ROW | {"tracking_id": other} for other in others])
        assert {one["result"] for one in repeated.json()["results"]} == {"repeated"}, number
        for name in (posted, *others):
            assert api.get(f"/api/v1/tracking/{name}").json()["tracking_id"] == kept, name
            assert api.get(f"/api/v1/shipments/{name}").json()["tracking_number"] == kept, name
            found = api.get("/api/v1/shipments", q=name)
            assert [one["tracking_id"] for one in found.json()["units"]] == [kept], name
            # A carrier whose numbers have no form of their own takes every one.
            assert CarrierAdapter.is_number(name)
    assert Shipment.objects.count() == len(FORMATS)


def test_numbers_of_carriers_are_imported_from_spreadsheets(merchant, tmp_path):
    text = StringIO()
    writer = csv.writer(text, delimiter=";", lineterminator="\r\n")
    writer.writerow(["tracking_id", *ROW])
    for number, groups in numbers():
        for written in (*spellings(number, groups), f'="{number}"', f"'{number}"):
            writer.writerow([written, *ROW.values()])
    (tmp_path / "file.csv").write_bytes(text.getvalue().encode("utf-8-sig"))
    out = StringIO()
    call_command(
        "import_checkpoints", str(tmp_path / "file.csv"), merchant="acme", mode="test", stdout=out, stderr=StringIO()
    )
    assert f"{len(FORMATS)} stored, {len(FORMATS) * 6} existing, 0 refused" in out.getvalue()
    assert set(Shipment.objects.values_list("tracking_number", flat=True)) == {number for number, _groups in numbers()}


def test_carriers_take_their_own_numbers_in_any_spelling():
    assert [name for name, adapter in ADAPTERS.items() if adapter.number_pattern] == ["bring", "pickit", "ups"]
    taken = {"PKT-12345": True, "pkt- 12345": True, "PKT12345": False, "1Z999AA10123456784": False}
    for number, is_taken in taken.items():
        assert ADAPTERS["pickit"].is_number(number) == is_taken, number
