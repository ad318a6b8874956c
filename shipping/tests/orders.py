"""A label request with every field."""

import base64

PDF = b"%PDF-1.4\n%%EOF\n"
OSLO = {
    "company": "Verksted AS",
    "contact_name": "Kari Nordmann",
    "contact_phone": "+4722225555",
    "contact_email": "kari@example.com",
    "street": "Storgata",
    "street2": "Oppgang B",
    "street3": "3. etasje",
    "house_number": "12b",
    "city": "Oslo",
    "postal_code": "0150",
    "country": "NO",
    "residential": False,
}
BERLIN = {
    "contact_name": "Erika Mustermann",
    "street": "Unter den Linden 1",
    "city": "Berlin",
    "state": "Berlin",
    "postal_code": "10117",
    "country": "DE",
    "residential": True,
}
ACCOUNT = {"who": "third_party", "account_number": "A1B2C3", "postal_code": "10117", "country": "DE"}
FULL = {
    "carrier": "Pickit",
    "order_id": "ORDER-FULL",
    "waybill_number": "RR473124829US",
    "origin": OSLO,
    "destination": BERLIN,
    "billing_address": BERLIN,
    "return_address": OSLO,
    "warehouse_id": "018f2f62-3c1a-7000-8000-000000000001",
    "packages": [
        {
            "weight_kg": 2.5,
            "length_cm": 30,
            "width_cm": 20,
            "height_cm": 15,
            "declared_value": 80,
            "currency": "NOK",
            "description": "Cups",
            "packaging": "BOX-M",
        },
        {"weight_kg": 1},
    ],
    "items": [
        {
            "name": "Cup",
            "quantity": 4,
            "sku": "CUP-1",
            "gtin": "4006381333931",
            "description": "Porcelain cup",
            "unit_price": 20,
            "unit_value": 18.5,
            "discount": 5,
            "tax": 2,
            "weight_kg": 0.3,
            "hs_code": "6911.10",
            "origin_country": "no",
            "parcel": 2,
        }
    ],
    "customs": {
        "contents": "other",
        "export_reason": "Exhibition",
        "incoterm": "ddp",
        "duties": ACCOUNT,
        "tax_ids": [{"kind": "VOEC", "number": "2012345", "country": "NO", "party": "sender"}],
        "importer": BERLIN,
        "invoice_number": "INV-7",
        "invoice_date": "2026-11-30",
        "freight": 10,
        "insurance": 1.5,
        "mrn": "23DE1234567890ABC1",
        "signer": "Kari Nordmann",
    },
    "options": {
        "signature": "adult",
        "min_age": 18,
        "insured_value": 80,
        "saturday": True,
        "dangerous_goods": [
            {
                "un_number": "UN1263",
                "hazard_class": "3",
                "packing_group": "ii",
                "quantity": 0.5,
                "unit": "l",
                "parcel": 2,
            }
        ],
        "notify": True,
        "payer": ACCOUNT,
        "carrier": {"codes": [{"id": "1288"}]},
    },
    "ship_at": "2026-12-01T09:00:00+01:00",
    "service_type": "express",
    "payment_method": "cod",
    "cod_amount": 80,
    "currency": "NOK",
    "label_format": "ZPL",
    "label_size": "A6",
    "additional": True,
    "wanted_documents": ["invoice", "CN23"],
    "attachments": [{"kind": "invoice", "format": "pdf", "content": base64.b64encode(PDF).decode()}],
    "metadata": {"customer_reference": "PO 7", "pickup_point_id": "PP-1"},
    "mute_warnings": True,
}
