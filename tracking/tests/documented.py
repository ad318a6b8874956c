"""The documented request of the generator."""

from tracking.models import IssuedNumber

PATH = "/next-tracking-number"
QUERY = {
    "origin_country_id": "MY",
    "destination_country_id": "ID",
    "weight": "1.234",
    "created_at": "2018-11-20T19:29:32+08:00",
    "customer_id": "de619854-b59b-425e-9db4-943979e1bd49",
    "customer_name": "RedBox Logistics",
    "customer_slug": "redbox-logistics",
}


def error_details(response):
    """Check a validation error and return its details."""
    body = response.json()
    assert (response.status_code, body["error"]) == (400, "validation_error")
    assert body["correlation_id"] == response["X-Correlation-ID"]
    assert all(isinstance(text, str) for texts in body["details"].values() for text in texts)
    assert not IssuedNumber.objects.exists()
    return body["details"]
