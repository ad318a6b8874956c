"""Each fault on the connection to a carrier ends in its documented error, is logged, and causes no second purchase.

``carriers/http/faults.py`` has the expected results. One operation of each kind is tested over HTTP with all faults.
That every other operation belongs to its kind, and passes the transport's errors on, is tested without HTTP in
``carriers/tests/contract.py``; ``make test-full`` tests all operations here. A new carrier extends ``SAMPLES``.
"""

import io
import os
import time
import uuid
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from carriers.adapters.base import CarrierAdapter
from carriers.adapters.operations import OPERATIONS, Effect, is_read
from carriers.adapters.registry import ADAPTERS
from carriers.credentials import opening, storage
from carriers.http.faults import FAULTS
from carriers.models import CarrierCall, Credential, CredentialToken
from carriers.sandbox.testing import SandboxProcess
from carriers.tests import bring, pickit, ups, velocity
from carriers.tests.samples import pickup_ref, shipment_ref
from carriers.types import Order, ShipmentRef, WarehouseRequest

RELIABILITY = Path(__file__).resolve().parents[2] / "docs" / "reliability.md"
LONGEST_S = 15.0
CLOSED_PORT = "http://127.0.0.1:9"


@dataclass(frozen=True)
class Samples:
    """A request for each operation: ``(adapter, values of the purchase before) -> anything``."""

    fields: Mapping[str, str]
    calls: Mapping[str, Callable[[CarrierAdapter, Mapping[str, str]], Any]]
    buy: Callable[[CarrierAdapter], Mapping[str, str]]
    # Steps of the simulator without which the operation cannot succeed.
    prepare: Mapping[str, Callable[[SandboxProcess, str], Any]] = field(default_factory=dict)
    # Operations that the simulator calls otherwise.
    names: Mapping[str, str] = field(default_factory=dict)
    # Faults that an operation cannot have, such as an answer without content that is cut.
    impossible: Mapping[str, Collection[str]] = field(default_factory=dict)
    # Operations that end with another call: a redirect, or a file.
    with_files: Collection[str] = ()


def _reference() -> str:
    return f"WB-{uuid.uuid4().hex[:12]}"


def _ref(has: Mapping[str, str], **fields: str) -> ShipmentRef:
    state = {name: value for name, value in has.items() if name == "label_url"}
    return shipment_ref(tracking_number=has["number"], carrier_state=state, **fields)


def _pickit_order() -> Any:
    home = replace(pickit.WAREHOUSE, contact_name="Jane Smith", street="789 Customer St", company="")
    parcel = replace(pickit.PARCEL, width_cm=Decimal(20), height_cm=Decimal(15))
    order = replace(pickit.ORDER, reference=_reference(), destination=home, packages=(parcel,))
    return replace(order, pickup_point=pickit.point("PP-12345"))  # one that the simulator knows


def _pickit_route() -> Any:
    order = _pickit_order()
    return replace(
        pickit.QUOTE,
        destination=order.destination,
        packages=order.packages,
        pickup_point=order.pickup_point,
    )


def _pickit_pickup(number: str) -> Any:
    tomorrow = timezone.now() + timedelta(days=1)
    return replace(pickit.PICKUP, reference=_reference(), pickup_date=tomorrow, tracking_numbers=(number,))


def _pickit_bought(it: CarrierAdapter) -> dict[str, str]:
    number = it.create_label(_pickit_order()).tracking_number
    return {"number": number, "pickup": it.schedule_pickup(_pickit_pickup(number)).carrier_pickup_id}


def _velocity_bought(it: CarrierAdapter) -> dict[str, str]:
    """Buy a label for a registered warehouse; Velocity requires one."""
    warehouse = replace(velocity.KOCHI, name=f"Depot {uuid.uuid4().hex[:8]}")
    known = it.register_warehouse(WarehouseRequest(warehouse=warehouse)).carrier_id
    bought = it.create_label(_velocity_order({"warehouse": known}))
    return {"number": bought.tracking_number, "warehouse": known, "label_url": bought.carrier_state["label_url"]}


def _velocity_order(has: Mapping[str, str], order: Order = velocity.ORDER) -> Any:
    warehouse = replace(velocity.KOCHI, carrier_id=has["warehouse"])
    return replace(order, reference=_reference(), warehouse=warehouse)


def _velocity_return(has: Mapping[str, str]) -> Any:
    return replace(_velocity_order(has, velocity.RETURN), return_of=_ref(has, reference="WB-1"))


def _ups_order(order: Order = ups.ORDER) -> Any:
    return replace(order, reference=_reference())


def _ups_pickup(**fields: Any) -> Any:
    tomorrow = timezone.now() + timedelta(days=1)
    return replace(ups.PICKUP, reference=_reference(), pickup_date=tomorrow, **fields)


def _ups_bought(it: CarrierAdapter) -> dict[str, str]:
    order = _ups_order()
    number, pickup = it.create_label(order).tracking_number, it.schedule_pickup(_ups_pickup()).carrier_pickup_id
    (point, *_others) = it.pickup_points(ups.NEAR)
    it.subscribe([], "", "")
    return {"number": number, "reference": order.reference, "pickup": pickup, "point": point.id}


def _ups_ref(has: Mapping[str, str]) -> Any:
    return ups.ref_of(replace(ups.ORDER, reference=has["reference"]), has["number"])


def _bring_order(order: Order = bring.ORDER) -> Any:
    return replace(order, reference=_reference())


def _bring_bought(it: CarrierAdapter) -> dict[str, Any]:
    bought = it.create_label(_bring_order())
    return {"number": bought.tracking_number, "state": bought.carrier_state, "reference": bought.reference}


def _bring_ref(has: Mapping[str, Any]) -> ShipmentRef:
    return replace(bring.REF, reference=has["reference"], tracking_number=has["number"], carrier_state=has["state"])


def _bring_subscription(it: CarrierAdapter, has: Mapping[str, Any]) -> Any:
    return it.subscribe([has["number"]], bring.HOOK, bring.SECRET)


SAMPLES = {
    "bring": Samples(
        fields={
            "api_uid": "test@bring.example",
            "api_key": "test-secret",
            "customer_number": "5",
            "webhook_token": bring.SECRET,
        },
        buy=_bring_bought,
        calls={
            "check_credential": lambda it, has: it.check_credential(),
            "quote": lambda it, has: it.quote(bring.ANY_SERVICE),
            "transit_times": lambda it, has: it.transit_times(bring.ANY_SERVICE),
            "coverage": lambda it, has: it.coverage(postal_code="5003", city="Bergen", country="NO"),
            "create_label": lambda it, has: it.create_label(_bring_order()),
            "create_return": lambda it, has: it.create_return(_bring_order(bring.RETURN)),
            "find_by_reference": lambda it, has: it.find_by_reference(_bring_ref(has)),
            "documents": lambda it, has: it.documents(_bring_ref(has), ["label"]),
            "track": lambda it, has: it.track([_bring_ref(has)]),
            "proof_of_delivery": lambda it, has: it.proof_of_delivery(_bring_ref(has)),
            "schedule_pickup": lambda it, has: it.schedule_pickup(bring.PICKUP),
            "pickup_points": lambda it, has: it.pickup_points(bring.NEAR_BUYER),
            "pickup_point": lambda it, has: it.pickup_point("205003", "NO"),
            "subscribe": _bring_subscription,
            "unsubscribe": lambda it, has: it.unsubscribe(bring.SUBSCRIPTION),
        },
        prepare={
            "proof_of_delivery": lambda sandbox, number: sandbox.control(
                "POST", f"/_sandbox/bring/shipments/{number}/advance", {"to": "DELIVERED"}
            )
        },
        names={
            **dict.fromkeys(("transit_times", "coverage"), "quote"),
            **dict.fromkeys(("find_by_reference", "proof_of_delivery"), "track"),
            "documents": "label_file",
        },
        impossible={"unsubscribe": ("html", "truncated", "mistyped", "huge"), "documents": ("refused", "cut")},
        with_files=("documents", "proof_of_delivery"),
    ),
    "pickit": Samples(
        fields={"client_id": "test-client-id", "client_secret": "test-secret"},
        buy=_pickit_bought,
        calls={
            "token": lambda it, has: it.tokens.current(),
            "quote": lambda it, has: it.quote(_pickit_route()),
            "create_label": lambda it, has: it.create_label(_pickit_order()),
            "find_by_reference": lambda it, has: it.find_by_reference(shipment_ref(reference="WB-0001")),
            "cancel": lambda it, has: it.cancel(_ref(has), "late"),
            "track": lambda it, has: it.track([_ref(has)]),
            "proof_of_delivery": lambda it, has: it.proof_of_delivery(_ref(has)),
            "schedule_pickup": lambda it, has: it.schedule_pickup(_pickit_pickup(has["number"])),
            "cancel_pickup": lambda it, has: it.cancel_pickup(
                pickup_ref(pickit.PICKUP, has["pickup"]), "no parcels today"
            ),
            "pickup_points": lambda it, has: it.pickup_points(pickit.NEAR),
            "pickup_point": lambda it, has: it.pickup_point("PP-12345", "US"),
            "coverage": lambda it, has: it.coverage(**pickit.CITY),
            "rotate_credentials": lambda it, has: it.rotate_credentials(),
        },
        prepare={
            "proof_of_delivery": lambda sandbox, number: sandbox.control(
                "POST", f"/_sandbox/pickit/shipments/{number}/advance", {"to": "delivered", "force": True}
            )
        },
    ),
    "ups": Samples(
        fields={name: text for name, text in ups.FIELDS.items() if name != "webhook_token"},
        buy=_ups_bought,
        calls={
            "token": lambda it, has: it.tokens.current(),
            "quote": lambda it, has: it.quote(ups.ORDER),
            "transit_times": lambda it, has: it.transit_times(ups.ORDER),
            "check_address": lambda it, has: it.check_address(ups.BUYER),
            "create_label": lambda it, has: it.create_label(_ups_order()),
            "create_return": lambda it, has: it.create_return(_ups_order(ups.RETURN)),
            "find_by_reference": lambda it, has: it.find_by_reference(_ups_ref(has)),
            "documents": lambda it, has: it.documents(_ups_ref(has), ["label"]),
            "upload_document": lambda it, has: it.upload_document(ups.INVOICE, _ups_ref(has)),
            "cancel": lambda it, has: it.cancel(_ups_ref(has), "late"),
            "track": lambda it, has: it.track([_ups_ref(has)]),
            "proof_of_delivery": lambda it, has: it.proof_of_delivery(_ups_ref(has)),
            "schedule_pickup": lambda it, has: it.schedule_pickup(_ups_pickup(window_end="16:00")),
            "find_pickups": lambda it, has: it.find_pickups(ups.PICKUP),
            "cancel_pickup": lambda it, has: it.cancel_pickup(pickup_ref(ups.PICKUP, has["pickup"]), "no parcels"),
            "pickup_points": lambda it, has: it.pickup_points(ups.NEAR),
            "pickup_point": lambda it, has: it.pickup_point(has["point"], "US"),
            "subscribe": lambda it, has: it.subscribe([has["number"]], "", ""),
            "unsubscribe": lambda it, has: it.unsubscribe(ups.WHOLE),
        },
        prepare={
            "proof_of_delivery": lambda sandbox, number: sandbox.control(
                "POST", f"/_sandbox/ups/shipments/{number}/advance", {"to": "delivered", "force": True}
            )
        },
    ),
    "velocity": Samples(
        fields={"username": "+910000000000", "password": "test-secret"},
        buy=_velocity_bought,
        calls={
            "token": lambda it, has: it.tokens.current(),
            "quote": lambda it, has: it.quote(velocity.QUOTE),
            "create_label": lambda it, has: it.create_label(_velocity_order(has)),
            "find_by_reference": lambda it, has: it.find_by_reference(shipment_ref(reference="WB-0049")),
            "cancel": lambda it, has: it.cancel(_ref(has), "late"),
            "track": lambda it, has: it.track([_ref(has)]),
            "documents": lambda it, has: it.documents(_ref(has), ["label"]),
            "register_warehouse": lambda it, has: it.register_warehouse(WarehouseRequest(warehouse=velocity.KOCHI)),
            "create_return": lambda it, has: it.create_return(_velocity_return(has)),
            "update_order": lambda it, has: it.update_order(replace(velocity.MOVED, tracking_number=has["number"])),
            "reports": lambda it, has: it.reports(velocity.MAY),
        },
    ),
}
# The simulator's instructions. ``after``: it performs the operation, and then its response fails.
INJECTED = {
    "refused": None,
    "reset": {"kind": "reset"},
    "reset_after": {"kind": "reset", "after": True},
    "cut": {"kind": "cut"},
    "hang": {"kind": "timeout", "delay_s": 30},
    "hang_after": {"kind": "hang_after", "delay_s": 30},
    "401_once": {"kind": "status", "status": 401, "count": 1},
    "401_always": {"kind": "status", "status": 401},
    "429_once": {"kind": "status", "status": 429, "retry_after": 1, "count": 1},
    "429_long": {"kind": "status", "status": 429, "retry_after": 600},
    "429_without_retry_after": {"kind": "status", "status": 429, "retry_after": None},
    "500": {"kind": "status", "status": 500, "after": True},
    "502": {"kind": "status", "status": 502, "after": True},
    "503": {"kind": "status", "status": 503, "after": True},
    "html": {"kind": "garbage", "after": True},
    "truncated": {"kind": "truncated"},
    "mistyped": {"kind": "mistyped"},
    "huge": {"kind": "huge", "after": True},
}
# One log-in, read, write and purchase. Velocity's purchase takes several calls.
REPRESENTATIVES = [("pickit", name) for name in ("token", "track", "cancel", "create_label")] + [
    ("velocity", "create_label")
]
ALL = [(slug, operation) for slug, samples in SAMPLES.items() for operation in samples.calls]
TESTED = ALL if os.environ.get("WAYBILL_TEST_FULL") == "1" else REPRESENTATIVES
MATRIX = [
    pytest.param(slug, operation, fault, id=f"{slug}-{operation}-{fault.name}")
    for slug, operation in TESTED
    for fault in FAULTS
]


@pytest.fixture
def new_credential(tenant, settings):
    """A function that saves a credential without token, used rate or failures."""
    settings.CARRIER_MAX_RETRIES = 3
    settings.CARRIER_MAX_ANSWER_BYTES = 2_000_000

    def saved(slug: str) -> Credential:
        fields = dict(SAMPLES[slug].fields)
        return storage.save_credential(tenant=tenant, mode="test", carrier=slug, environment="sandbox", fields=fields)

    return saved


@pytest.mark.once
@pytest.mark.django_db
@pytest.mark.parametrize(("slug", "operation", "fault"), MATRIX)
def test_fault_ends_as_documented(sandbox, settings, new_credential, slug, operation, fault):
    samples, credential = SAMPLES[slug], new_credential(slug)
    name, has = samples.names.get(operation, operation), {}
    if fault.name in samples.impossible.get(operation, ()):
        pytest.skip("the operation cannot have this fault")
    if operation != "token":
        has = samples.buy(opening.open_adapter(credential))
        samples.prepare.get(operation, lambda *_: None)(sandbox, has["number"])
        CredentialToken.objects.update(fetched_at=timezone.now() - timedelta(hours=1))
    CarrierCall.objects.all().delete()
    sandbox.clear()
    if fault.name == "refused":
        settings.CARRIER_BASE_URLS = {(slug, "sandbox", "main"): CLOSED_PORT}
    else:
        instruction = {"count": 99, **INJECTED[fault.name]}
        sandbox.control("POST", "/_sandbox/faults", {"carrier": slug, "operation": name, **instruction})
    if fault.name.startswith("hang"):
        settings.CARRIER_TIMEOUT_S = 0.5
    adapter = opening.open_adapter(credential)
    expected = fault.result_of(operation, has_token=adapter.logs_in())

    started, error = time.monotonic(), None
    try:
        samples.calls[operation](adapter, has)
    except Exception as problem:
        error = problem

    assert type(error) is (expected.error or type(None)), error
    assert time.monotonic() - started < LONGEST_S
    files = int(error is None and operation in samples.with_files)
    assert CarrierCall.objects.filter(operation=operation).count() == expected.calls + files
    received = sandbox.calls(carrier=slug, operation=name)
    assert len(received) in ((0,) if fault.name == "refused" else (expected.calls, expected.calls + files))
    done = [call for call in received if call["done"] is not None and call["done"] < 300]
    assert is_read(operation) or len(done) <= 1
    if error is not None:
        assert error.carrier == ADAPTERS[slug].name
        assert error.retryable is False or is_read(operation) or not done


@pytest.mark.parametrize("slug", list(ADAPTERS))
def test_each_operation_has_a_sample(slug):
    calling = {name for name in ADAPTERS[slug].capabilities() if OPERATIONS[name] is not Effect.LOCAL}
    checking = "token" if ADAPTERS[slug].logs_in() else "check_credential"
    assert set(SAMPLES[slug].calls) == calling | {checking}


def test_each_fault_has_an_instruction():
    assert list(INJECTED) == [fault.name for fault in FAULTS]


def test_document_contains_the_table():
    printed = io.StringIO()
    call_command("list_faults", stdout=printed)
    assert printed.getvalue().strip() in RELIABILITY.read_text()
