"""Bring's limits: what it would cut, drop or take wrongly is refused before anything is reserved."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

from carriers.tests.bring import CARGO, COD, CUSTOMS, EXPORT, ORDER, POINT, REF, RETURN, SHOP, TO_POINT, open_adapter
from carriers.tests.replay import answer
from carriers.types import Document, Options, Payer, TaxId

LONG = "A very long name of thirty-six signs"
CHANGES = (
    ({"origin": replace(SHOP, company=LONG)}, {"origin.company"}),
    (
        {"destination": replace(SHOP, company="", contact_name=LONG, city=LONG)},
        {"destination.contact_name", "destination.city"},
    ),
    ({"destination": replace(SHOP, street=f"{LONG} {LONG} 7")}, {"destination.street"}),
    ({"packages": (replace(ORDER.packages[0], description=LONG),)}, {"packages[0].description"}),
    ({"pickup_point": POINT, "packages": (replace(ORDER.packages[0], length_cm=Decimal(61)),)}, {"packages[0]"}),
    ({"ship_at": datetime(2024, 1, 1, tzinfo=UTC)}, {"ship_at"}),
    ({"label_format": "ZPL"}, {"label_format"}),
    ({"service_type": "3570"}, {"label_format"}),
    ({"return_of": REF}, {"service_type"}),
    ({"wanted_documents": ("qr",)}, {"wanted_documents"}),
    ({"attachments": (Document(kind="invoice", format="PDF"),)}, {"attachments"}),
    ({"options": Options(min_age=16)}, {"options.min_age"}),
    ({"options": Options(insured_value=Decimal(100_001))}, {"options.insured_value"}),
    (
        {"options": replace(CARGO.options), "packages": (replace(ORDER.packages[0], description=""),)},
        {"options.dangerous_goods[0].parcel"},
    ),
    ({"customs": CUSTOMS, "destination": EXPORT.destination}, {"customs"}),
    ({"service_type": "PICKUP_PARCEL", "destination": EXPORT.destination}, {"customs"}),
)
CUSTOMS_CHANGES = (
    ({"signer": ""}, {"customs.signer"}),
    ({"incoterm": "DDP"}, {"customs.incoterm"}),
    ({"mrn": "1", "invoice_number": "1"}, {"customs.mrn", "customs.invoice_number"}),
    ({"tax_ids": (TaxId(kind="gst", number="1"),)}, {"customs.tax_ids[0]"}),
    (
        {"tax_ids": tuple(TaxId(kind=kind, number="1") for kind in ("vat", "eori", "ioss", "ioss"))},
        {"customs.tax_ids[1]", "customs.tax_ids[3]"},
    ),
    ({"tax_ids": (TaxId(kind="vat", number="1", party="importer"),)}, {"customs.tax_ids[0]"}),
    ({"duties": Payer(who="third_party", account_number="7")}, {"customs.duties"}),
    ({"export_reason": "Sold", "invoice_date": date(2026, 11, 30)}, {"customs.export_reason", "customs.invoice_date"}),
    ({"contents": "gift", "tax_ids": (TaxId(kind="ioss", number="IM1234567890"),)}, {"customs.contents"}),
)


def test_order_that_bring_would_cut_or_take_wrongly_is_refused_by_field():
    adapter = open_adapter(answer({}))
    for order in (ORDER, TO_POINT, COD, EXPORT, CARGO, RETURN):
        assert adapter.problems(order) == {}
    for changes, fields in CHANGES:
        assert set(adapter.problems(replace(ORDER, **changes))) == fields, changes
    for changes, fields in CUSTOMS_CHANGES:
        assert set(adapter.problems(replace(EXPORT, customs=replace(CUSTOMS, **changes)))) == fields, changes
    item = replace(EXPORT.items[0], hs_code="1", weight_kg=None)
    assert set(adapter.problems(replace(EXPORT, items=(item,)))) == {"items[0].hs_code", "items[0].weight_kg"}
    assert set(adapter.problems(replace(EXPORT, items=()))) == {"items"}
    poor = open_adapter(answer({}), cod_account_number="")
    assert set(poor.problems(COD)) == {"payment_method"}
    assert set(adapter.problems(replace(COD, currency=""))) == {"currency"}
    assert adapter.http.sent == []
