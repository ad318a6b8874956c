"""A purchase without an answer is settled by its adapter's ``Lookup`` and by what the carrier bills; nothing is bought.

The carrier of these tests answers no purchase. Each story sets what its lookup finds, and what it does about a label.
"""

from datetime import timedelta
from io import BytesIO

import pytest
import time_machine
from django.utils import timezone
from pypdf import PdfReader
from reportlab.pdfgen.canvas import Canvas

from carriers.adapters.base import Lookup
from carriers.adapters.registry import ADAPTERS
from carriers.credentials import storage
from carriers.types import BookedShipment, Cancellation, Document, ParcelRef
from carriers.types.errors import CarrierCannotCancel, CarrierNotFound, CarrierUnavailable, OutcomeUnknown
from shipping.labels import documents, reconciliation
from shipping.models import Orphan, Parcel, Shipment
from shipping.tests.kestrel import KestrelAdapter

pytestmark = pytest.mark.django_db
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def draw(text):
    page = BytesIO()
    canvas = Canvas(page, pagesize=(288, 432))
    canvas.drawString(20, 20, text)
    canvas.save()
    return page.getvalue()


LABELS = tuple(Document(kind="label", format="PDF", content=draw(f"box {n}"), parcel=n) for n in (1, 2))


class SilentAdapter(KestrelAdapter):
    """A carrier that sells without an answer."""

    max_parcels = 2
    lookup = Lookup(quiet=10 * MINUTE, every=2 * MINUTE, watch=3 * HOUR)
    found, cancelled, looked_up, bought = [], [], 0, 0
    costs, refusal, labels = False, None, None

    def create_label(self, order):
        type(self).bought += 1
        raise OutcomeUnknown(carrier=self.name)

    def find_by_reference(self, ref):
        type(self).looked_up += 1
        return [one for one in self.found if one.reference == ref.reference]

    def unused_costs(self, order):
        return self.costs


class DrawingAdapter(SilentAdapter):
    def documents(self, ref, kinds):
        if isinstance(self.labels, Exception):
            raise self.labels
        assert ref.carrier_state == {"key": "1"}
        return list(self.labels or ())


class VoidingAdapter(DrawingAdapter):
    def cancel(self, ref, reason, parcels=()):
        if self.refusal:
            raise self.refusal
        type(self).cancelled = [*self.cancelled, ref]
        return Cancellation(tracking_number=ref.tracking_number, cancelled_at=timezone.now())


@pytest.fixture
def silent(monkeypatch, tenant, api, order):
    """A function that buys two parcels at a silent carrier, and returns the pending shipment and the adapter."""

    def buy(kind, **state):
        defaults = {"found": [], "cancelled": [], "looked_up": 0, "bought": 0}
        adapter = type("Adapter", (kind,), defaults | state)
        monkeypatch.setitem(ADAPTERS, "kestrel", adapter)
        storage.save_credential(
            tenant=tenant, mode="test", carrier="kestrel", environment="sandbox", fields={"key": "right-key"}
        )
        body = order | {"carrier": "kestrel", "metadata": {}, "packages": [{"weight_kg": 1}, {"weight_kg": 2}]}
        assert api.post("/api/v1/labels", body).status_code == 202
        return Shipment.objects.get(), adapter

    return buy


def sold(shipment, documents=()):
    return BookedShipment(
        reference=shipment.reference,
        tracking_number="KP1",
        created_at=timezone.now(),
        parcels=tuple(ParcelRef(number=n, tracking_number=f"KP{n}", reference=f"REF-{n}") for n in (1, 2)),
        documents=documents,
        carrier_shipment_id="S-1",
        carrier_state={"key": "1"},
    )


def reconcile_after(passed):
    with time_machine.travel(timezone.now() + passed, tick=True):
        return reconciliation.reconcile()


@pytest.mark.parametrize("is_fetched", [False, True], ids=["found with its label", "label fetched"])
def test_found_shipment_with_a_label_is_booked_with_all_its_parcels(silent, api, is_fetched):
    shipment, adapter = silent(DrawingAdapter, labels=LABELS if is_fetched else None)
    adapter.found = [sold(shipment, () if is_fetched else LABELS)]
    assert reconcile_after(MINUTE) == {"booked": 1}
    shipment.refresh_from_db()
    assert (shipment.booking_state, shipment.carrier_state, adapter.bought) == ("booked", {"key": "1"}, 1)
    parcels = Parcel.objects.values_list("number", "tracking_number", "reference")
    assert set(parcels) == {(1, "KP1", "REF-1"), (2, "KP2", "REF-2")}
    assert set(shipment.documents.values_list("kind", "parcel", "size")) == {("label", 1, "4x6"), ("label", 2, "4x6")}
    file = api.get(f"/api/v1/shipments/{shipment.id}/label").getvalue()
    assert [page.extract_text().strip() for page in PdfReader(BytesIO(file)).pages] == ["box 1", "box 2"]


def test_label_of_a_parcel_that_a_lookup_lacks_is_fetched_later(silent, api):
    shipment, adapter = silent(DrawingAdapter, labels=LABELS)
    adapter.found = [sold(shipment, LABELS[:1])]
    assert reconcile_after(MINUTE) == {"booked": 1}
    path = f"/api/v1/shipments/{shipment.id}/label"
    assert api.get(path).status_code == 404
    assert shipment.documents.filter(fetch_at__isnull=False).update(fetch_at=timezone.now()) == 1
    assert documents.fetch_missing() == 1
    assert len(PdfReader(BytesIO(api.get(path).getvalue())).pages) == 2


def test_label_that_cannot_be_fetched_now_leaves_the_booking_pending(silent):
    shipment, adapter = silent(VoidingAdapter, labels=CarrierUnavailable(carrier="Kestrel Post"))
    adapter.found = [sold(shipment)]
    assert reconcile_after(MINUTE) == {"error": 1}
    adapter.labels = LABELS
    assert reconcile_after(4 * MINUTE) == {"booked": 1}
    assert not adapter.cancelled


REFUSAL = CarrierCannotCancel(carrier="K")
# Adapter, its state, the outcome, the booking's state, and whether the orphan is void and harmless.
UNLABELLED = [
    (VoidingAdapter, {"costs": True}, "failed", "failed", True, False),
    (VoidingAdapter, {"labels": CarrierNotFound(carrier="K")}, "failed", "failed", True, False),
    (DrawingAdapter, {}, "failed", "failed", False, True),
    (DrawingAdapter, {"costs": True}, "review", "needs_review", False, False),
    (VoidingAdapter, {"refusal": REFUSAL}, "failed", "failed", False, False),
    (
        VoidingAdapter,
        {"refusal": REFUSAL, "costs": True},
        "review",
        "needs_review",
        False,
        False,
    ),
    (VoidingAdapter, {"refusal": CarrierUnavailable(carrier="K")}, "waiting", "pending", False, False),
]


@pytest.mark.parametrize(("kind", "state", "outcome", "booking_state", "is_void", "is_harmless"), UNLABELLED)
def test_found_shipment_without_a_label_is_voided_and_failed(
    silent, kind, state, outcome, booking_state, is_void, is_harmless
):
    shipment, adapter = silent(kind, **state)
    adapter.found = [sold(shipment)]
    assert reconcile_after(MINUTE) == {outcome: 1}
    shipment.refresh_from_db()
    orphan = Orphan.objects.get()
    assert (shipment.booking_state, orphan.voided_at is not None, orphan.is_harmless) == (
        booking_state,
        is_void,
        is_harmless,
    )
    if is_void:
        (ref,) = adapter.cancelled
        assert (ref.tracking_number, ref.carrier_shipment_id, ref.carrier_state) == ("KP1", "S-1", {"key": "1"})
        assert [parcel.tracking_number for parcel in ref.parcels] == ["KP1", "KP2"]


def test_purchase_that_is_not_found_fails_after_the_quiet_period_and_is_watched(silent):
    shipment, adapter = silent(VoidingAdapter, costs=True, refusal=REFUSAL)
    assert reconcile_after(MINUTE) == {"waiting": 1}
    assert reconcile_after(2 * MINUTE) == {}  # not again before ``every``
    assert reconcile_after(4 * MINUTE) == {"waiting": 1}
    assert reconcile_after(11 * MINUTE) == {"failed": 1}
    assert reconcile_after(30 * MINUTE) == {}
    adapter.found = [sold(shipment)]
    assert reconcile_after(2 * HOUR) == {"review": 1}
    shipment.refresh_from_db()
    assert (shipment.booking_state, Orphan.objects.get().voided_at, adapter.bought) == ("needs_review", None, 1)


def test_late_shipment_is_voided_until_the_end_of_the_watch(silent):
    shipment, adapter = silent(VoidingAdapter, costs=True)
    assert reconcile_after(11 * MINUTE) == {"failed": 1}
    adapter.found = [sold(shipment, LABELS)]
    assert reconcile_after(2 * HOUR) == {"orphan": 1}
    assert Orphan.objects.get().voided_at
    assert reconcile_after(3 * HOUR) in ({"orphan": 1}, {"watched": 1})
    shipment.refresh_from_db()
    assert (shipment.booking_state, shipment.reconcile_at) == ("failed", None)


def test_carrier_that_blocks_callers_for_misses_is_asked_at_the_end_of_each_period_only(silent):
    lookup = Lookup(quiet=10 * MINUTE, every=50 * MINUTE, watch=HOUR)
    shipment, adapter = silent(DrawingAdapter, lookup=lookup)
    assert reconcile_after(9 * MINUTE) == {}
    assert reconcile_after(10 * MINUTE) == {"failed": 1}
    assert reconcile_after(59 * MINUTE) == {}
    assert reconcile_after(HOUR) == {"watched": 1}
    shipment.refresh_from_db()
    assert (shipment.reconcile_at, adapter.looked_up, adapter.bought) == (None, 2, 1)
