"""Requests about credentials that several test modules send."""

import pytest

FIELDS = {"client_id": "test-client-id", "client_secret": "test-secret"}
NEW = {"carrier": "Pickit", "environment": "sandbox", "credentials": FIELDS}
VELOCITY = {"username": "+910000000000", "password": "test-secret"}
MOUNTS = pytest.mark.parametrize("mount", ["/api/v1", "/api/week3-integrations"])
