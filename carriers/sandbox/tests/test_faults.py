"""Faults that the control surface injects or an order requests."""

import pytest
import requests

from carriers.sandbox import faults
from carriers.sandbox.tests.pickit_client import ORDER


@pytest.mark.parametrize(("kind", "bought"), [("hang_after", 1), ("timeout", 0), ("close", 0)])
def test_injected_fault_is_simulated_and_recorded(process, pickit, kind, bought):
    fault = {"operation": "create_label", "kind": kind, "delay_s": 0.2}
    process.control("POST", "/_sandbox/faults", fault)
    with pytest.raises(requests.ConnectionError):
        pickit("POST", "/shipments", ORDER | {"reference": f"FAULT-{kind}"})
    assert len(pickit("GET", "/shipments", reference=f"FAULT-{kind}").json()["data"]) == bought
    calls = process.calls(operation="create_label")
    assert [(call["reference"], call["fault"]) for call in calls] == [(f"FAULT-{kind}", kind)]


def test_injected_faults_apply_once_in_order(process, pickit):
    process.control("POST", "/_sandbox/faults", {"operation": "quote", "kind": "garbage"})
    assert pickit("POST", "/shipments/quote", ORDER).text.startswith("<html>")
    process.control("POST", "/_sandbox/faults", {"operation": "quote", "kind": "status", "status": 503})
    assert pickit("POST", "/shipments/quote", ORDER).status_code == 503
    assert pickit("POST", "/shipments/quote", ORDER).status_code == 200


def test_order_requests_its_own_fault(pickit):
    assert pickit("POST", "/shipments", ORDER | {"order_id": "SANDBOX-500"}).status_code == 500
    assert pickit("POST", "/shipments", ORDER | {"order_id": "SANDBOX-REJECT"}).status_code == 400


def test_every_fault_has_a_magic_word():
    assert {fault["kind"] for fault in faults.ORDER_FAULTS.values()} == faults.KINDS - {"echo"}
