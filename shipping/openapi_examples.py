"""Examples of requests and answers in the OpenAPI document. Tests send the requests."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample

BROOKLYN = {
    "company": "My Store",
    "contact_name": "Ann Lee",
    "contact_phone": "+12125550100",
    "street": "456 Warehouse Ave",
    "city": "Brooklyn",
    "state": "NY",
    "postal_code": "11201",
    "country": "US",
}
MANHATTAN = {
    "contact_name": "Jane Smith",
    "street": "789 Customer St",
    "city": "Manhattan",
    "state": "NY",
    "postal_code": "10001",
    "country": "US",
}
BERLIN = {
    "contact_name": "Erika Mustermann",
    "contact_phone": "+493012345678",
    "street": "Unter den Linden 1",
    "city": "Berlin",
    "postal_code": "10117",
    "country": "DE",
    "residential": True,
}
_ROUTE = {"carrier": "UPS", "origin": BROOKLYN, "destination": MANHATTAN, "packages": [{"weight_kg": 2.5}]}
_SIZES = {"length_cm": 30, "width_cm": 20, "height_cm": 15}
_ITEM = {
    "name": "Cup",
    "quantity": 4,
    "unit_price": 10,
    "weight_kg": 0.5,
    "hs_code": "691110",
    "origin_country": "US",
    "description": "Porcelain cups",
    "parcel": 1,
}


def request_example(name: str, value: dict[str, Any]) -> OpenApiExample:
    """Return an example of a request."""
    return OpenApiExample(name, value=value, request_only=True)


def answer_example(name: str, value: dict[str, Any]) -> OpenApiExample:
    """Return an example of a successful answer."""
    return OpenApiExample(name, value=value, response_only=True, status_codes=["200"])


LABEL = [
    request_example(
        "One parcel",
        {
            "carrier": "Pickit",
            "order_id": "ORDER-1001",
            "additional": True,
            "origin": BROOKLYN,
            "destination": MANHATTAN,
            "packages": [{"weight_kg": 2.5, **_SIZES}],
        },
    ),
    request_example(
        "Two parcels abroad",
        {
            "carrier": "UPS",
            "order_id": "ORDER-1002",
            "additional": True,
            "service_type": "07",
            "currency": "USD",
            "origin": BROOKLYN,
            "destination": BERLIN,
            "packages": [
                {"weight_kg": 2.5, **_SIZES, "description": "Cups"},
                {"weight_kg": 1, **_SIZES, "description": "Cups"},
            ],
            "items": [_ITEM],
            "customs": {"contents": "merchandise", "incoterm": "DAP", "invoice_number": "INV-7"},
            "options": {"signature": "adult", "carrier": {"eu_de_minimis": True}},
        },
    ),
]
TRANSIT_TIMES = [
    request_example("Within a country", _ROUTE),
    answer_example(
        "Two services",
        {
            "carrier": "UPS",
            "transit_times": [
                {
                    "service_type": "01",
                    "service_name": "UPS Next Day Air",
                    "days": 1,
                    "delivers_at": "2026-12-02T15:30:00Z",
                    "book_until": "2026-12-01T22:00:00Z",
                },
                {
                    "service_type": "03",
                    "service_name": "UPS Ground",
                    "days": 2,
                    "delivers_at": None,
                    "book_until": None,
                },
            ],
        },
    ),
]
ADDRESS_CHECK = [
    request_example("An address", {"carrier": "UPS", "address": MANHATTAN}),
    answer_example(
        "A better address",
        {
            "carrier": "UPS",
            "ok": False,
            "residential": True,
            "suggestions": [{**MANHATTAN, "street": "789 Customer Street", "postal_code": "10001-0001"}],
            "warnings": [],
        },
    ),
]
PICKUP_WINDOWS = [
    request_example("A day", {"carrier": "UPS", "pickup_date": "2026-12-01", "address": BROOKLYN, "packages_count": 3}),
    answer_example(
        "One window",
        {
            "carrier": "UPS",
            "pickup_windows": [
                {"day": "2026-12-01", "start": "09:00", "end": "17:00", "book_until": "2026-12-01T15:00:00Z"}
            ],
        },
    ),
]
MANIFESTS = [
    request_example("A day", {"carrier": "UPS", "day": "2026-12-01"}),
    answer_example(
        "A closed day",
        {
            "manifest_id": "019ad0c2-7a1e-7000-8000-0123456789ab",
            "carrier": "UPS",
            "day": "2026-12-01",
            "shipment_ids": ["019ad0c2-6b0f-7000-8000-0123456789ab"],
            "documents": [
                {
                    "id": "019ad0c2-7a1f-7000-8000-0123456789ab",
                    "kind": "manifest",
                    "format": "PDF",
                    "url": "https://api.example.com/api/v1/manifests/019ad0c2-7a1e-7000-8000-0123456789ab/documents/"
                    "019ad0c2-7a1f-7000-8000-0123456789ab",
                }
            ],
            "created_at": "2026-12-01T17:05:00Z",
        },
    ),
]
DOCUMENTS = [
    answer_example(
        "A label and an invoice",
        {
            "documents": [
                {
                    "id": f"019ad0c2-7a1f-7000-8000-00000000000{number}",
                    "kind": kind,
                    "format": "PDF",
                    "parcel": parcel,
                    "copies": copies,
                    "source": "carrier",
                    "available": True,
                    "url": "https://api.example.com/api/v1/shipments/019ad0c2-6b0f-7000-8000-0123456789ab/documents/"
                    f"019ad0c2-7a1f-7000-8000-00000000000{number}",
                }
                for number, kind, parcel, copies in ((1, "label", 1, 1), (2, "invoice", None, 3))
            ]
        },
    )
]
