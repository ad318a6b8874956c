"""Helpers for tests of shipments at Pickit's sandbox."""

import pytest


@pytest.fixture
def number(api, order):
    return api.post("/api/v1/labels", order).json()["tracking_number"]


def advance(sandbox, number, **body):
    return sandbox.control("POST", f"/_sandbox/pickit/shipments/{number}/advance", body)
