"""Bring's adapter over HTTP with the simulated Bring: what recorded answers cannot show."""

import uuid
from dataclasses import replace

import pytest
from django.utils import timezone

from apikeys.http.errors import NotAuthenticated
from carriers.adapters.bring import tables
from carriers.credentials import opening, storage
from carriers.models import CarrierCall
from carriers.sandbox.tests.receiver import WebhookReceiver
from carriers.tests.bring import EXPORT, FIELDS, ORDER, REF, TO_POINT
from carriers.types import Status
from carriers.types.errors import CarrierRejected, OutcomeUnknown, ProofNotAvailable

pytestmark = [pytest.mark.django_db, pytest.mark.once]

USER = "test@bring.example"
LOGIN = FIELDS | {"api_uid": USER, "api_key": "test-secret"}


@pytest.fixture
def configure(sandbox):
    """A function that changes the user at the simulated Bring."""

    def put(**changes):
        sandbox.control("PUT", f"/_sandbox/accounts/{USER}", {"carrier": "bring"} | changes)

    yield put
    put(storage_host="", forget_tests=False)


@pytest.fixture
def bring(tenant, configure):
    row = storage.save_credential(tenant=tenant, mode="test", carrier="bring", environment="sandbox", fields=LOGIN)
    return opening.open_adapter(row)


@pytest.fixture
def receiver():
    server = WebhookReceiver()
    yield server
    server.close()


def make(order=ORDER):
    return replace(order, reference=f"WB-{uuid.uuid4().hex[:12]}")


def ref_of(order, booked=None):
    fields = {"reference": order.reference, "order": order, "booked_at": timezone.now(), "carrier_state": {}}
    if booked:
        fields |= {"tracking_number": booked.tracking_number, "carrier_state": booked.carrier_state}
    return replace(REF, **fields)


def test_label_is_fetched_from_the_storage_service_without_our_keys(bring, configure):
    configure(storage_host="localhost")
    order = make(TO_POINT)
    booked = bring.create_label(order)
    assert [(file.kind, file.content[:4]) for file in booked.documents] == [("label", b"%PDF")]
    assert len({parcel.tracking_number for parcel in booked.parcels}) == 2
    [again] = bring.documents(ref_of(order, booked), ["label"])
    assert again.content[:4] == b"%PDF"
    assert not any("test-secret" in str(call.__dict__) for call in CarrierCall.objects.all())


def test_export_books_its_customs_lines(bring, sandbox):
    order = make(EXPORT)
    assert bring.problems(order) == {}
    assert bring.create_label(order).tracking_number
    with pytest.raises(CarrierRejected) as refused:
        bring.create_label(make(replace(EXPORT, items=())))
    assert all(field.startswith(("customs", "items")) for field in refused.value.details)


def test_lost_booking_is_found_by_its_reference(bring, sandbox):
    order = make()
    sandbox.control("POST", "/_sandbox/faults", {"operation": "create_label", "kind": "cut"})
    with pytest.raises(OutcomeUnknown):
        bring.create_label(order)
    [found] = bring.find_by_reference(ref_of(order))
    assert found.reference == order.reference
    assert bring.track([ref_of(order, found)])[found.tracking_number].scans[0].status is Status.CREATED
    assert bring.find_by_reference(ref_of(make())) == []


def test_each_status_is_tracked_and_reported(bring, sandbox, receiver):
    order = make()
    booked = bring.create_label(order)
    number, ref = booked.tracking_number, ref_of(order, booked)
    [subscribed] = bring.subscribe([number], receiver.url, LOGIN["webhook_token"])
    [repeated] = bring.subscribe([number], receiver.url, LOGIN["webhook_token"])
    assert repeated.carrier_id != subscribed.carrier_id
    with pytest.raises(ProofNotAvailable):
        bring.proof_of_delivery(ref)
    for status in ("IN_TRANSIT", "DELIVERED"):
        sandbox.control("POST", f"/_sandbox/bring/shipments/{number}/advance", {"to": status})
    events = receiver.wait_for(2)
    assert {event["status"] for event in events} <= set(tables.STATUSES["status"])
    for headers, body in receiver.received:
        bring.verify_webhook(headers={name.lower(): value for name, value in headers.items()}, body=body, now=None)
        assert bring.parse_webhook(body).reread == (number,)
        with pytest.raises(NotAuthenticated):
            bring.verify_webhook(headers={}, body=body, now=None)
    assert bring.track([ref])[number].scans[-1].status is Status.DELIVERED
    proof = bring.proof_of_delivery(ref)
    assert proof.signed_by
    bring.unsubscribe(repeated)
    bring.unsubscribe(repeated)
