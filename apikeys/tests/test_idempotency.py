"""Idempotency keys: replays, refusals, binding, and keys of killed processes."""

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.test import RequestFactory
from django.utils import timezone
from rest_framework.response import Response

from apikeys.access import idempotency
from apikeys.access.idempotency import idempotent
from apikeys.http.errors import BusinessRuleViolated, IdempotencyMismatch, InProgress, ValidationFailed, WaybillError
from apikeys.models import IdempotencyRecord

pytestmark = pytest.mark.django_db


class FakeRequest:
    """The parts of a DRF request that idempotency uses."""

    def __init__(self, tenant, key, data=None, path="/things"):
        self._request = RequestFactory().post(path)
        self._request.tenant = tenant
        self.headers = {"Idempotency-Key": key} if key is not None else {}
        self.method, self.path, self.data = "POST", path, data or {"a": 1}


class View:
    """A view that counts how often it handles a request."""

    def __init__(self, work=None):
        self.handled = 0
        self.work = work or (lambda: Response({"done": True}, status=201))

    def render(self, request, subject):
        return Response({"subject": str(subject)})

    def take_body_warnings(self):
        return ()

    @idempotent(render)
    def create(self, request):
        self.handled += 1
        return self.work()


@pytest.fixture
def send(tenant):
    def send_request(view, key="k", **kwargs):
        return view.create(FakeRequest(tenant, key, **kwargs))

    return send_request


def body(response):
    return response.data if isinstance(response, Response) else response.content


def test_requests_without_a_key_are_all_handled(send):
    view = View()
    send(view, None)
    send(view, None)
    assert view.handled == 2


def test_repeated_request_returns_the_first_response(send):
    view = View()
    first, again = send(view), send(view)
    assert view.handled == 1
    assert again.status_code == first.status_code == 201
    assert again.content == b'{"done":true}'
    assert again["Idempotent-Replayed"] == "true"


def test_quoted_key_is_the_same_key(send):
    view = View()
    send(view, "abc")
    send(view, '"abc"')
    assert view.handled == 1


def test_other_request_with_the_same_key_is_refused(send):
    view = View()
    send(view)
    for change in ({"data": {"a": 2}}, {"path": "/others"}):
        with pytest.raises(IdempotencyMismatch):
            send(view, **change)
    assert view.handled == 1


def test_invalid_key_is_refused(send):
    for key in ("", "x" * 256, "ä", "a\tb"):
        with pytest.raises(ValidationFailed):
            send(View(), key)


def test_error_without_binding_frees_the_key(send):
    def refuse():
        raise BusinessRuleViolated

    for _ in range(2):
        with pytest.raises(BusinessRuleViolated):
            send(view := View(refuse))
        assert view.handled == 1
    assert send(View()).status_code == 201


def test_rolled_back_binding_frees_the_key(send):
    def fail_after_binding():
        with transaction.atomic():
            idempotency.bind(uuid.uuid4())
            raise RuntimeError("the database went away")

    with pytest.raises(RuntimeError):
        send(View(fail_after_binding))
    assert send(View()).status_code == 201


def test_error_after_binding_is_replayed(send):
    def refuse():
        with transaction.atomic():
            idempotency.bind(uuid.uuid4())
        raise BusinessRuleViolated("no")

    view = View(refuse)
    with pytest.raises(BusinessRuleViolated):
        send(view)
    again = send(view)
    assert view.handled == 1
    assert again.status_code == 400
    assert b"business_error" in again.content


def test_retryable_error_frees_the_key(send):
    class Down(WaybillError):
        code, status, retryable = "carrier_unavailable", 503, True

    def fail():
        with transaction.atomic():
            idempotency.bind(uuid.uuid4())
        raise Down

    view = View(fail)
    for _ in range(2):
        with pytest.raises(Down):
            send(view)
    assert view.handled == 2


def test_replay_renders_the_current_state_of_the_subject(send):
    subject = uuid.uuid4()

    def work():
        with transaction.atomic():
            idempotency.bind(subject)
        return Response({"first": True})

    view = View(work)
    send(view)
    assert send(view).data == {"subject": str(subject)}
    assert view.handled == 1


@pytest.mark.django_db(transaction=True)
def test_repeat_of_a_running_request_is_in_progress(send, settings):
    settings.IDEMPOTENCY_WAIT_S = 0.3
    started, proceed = threading.Event(), threading.Event()

    def work():
        started.set()
        assert proceed.wait(10)
        return Response({})

    view = View(work)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(lambda: (send(view), connection.close()))
        assert started.wait(10)
        with pytest.raises(InProgress) as refusal:
            send(view)
        assert refusal.value.retry_after_s
        proceed.set()
        first.result()
    assert view.handled == 1


def leave_killed(tenant, send, view, **state):
    """Leave the record as a process that is killed while it handles the request."""
    send(view)
    row = IdempotencyRecord.objects.get()
    IdempotencyRecord.objects.filter(id=row.id).update(
        state="running", response_status=None, response_body=None, lease_until=timezone.now() - timedelta(1), **state
    )


def test_unbound_key_of_a_killed_process_is_taken_over(tenant, send):
    view = View()
    leave_killed(tenant, send, view)
    assert send(view).status_code == 201
    assert view.handled == 2


def test_bound_request_of_a_killed_process_is_not_handled_again(tenant, send):
    view, subject = View(), uuid.uuid4()
    leave_killed(tenant, send, view, subject=subject)
    assert send(view).data == {"subject": str(subject)}
    assert view.handled == 1


def test_process_that_lost_its_key_cannot_bind(tenant, send):
    def slow():
        IdempotencyRecord.objects.update(fence=7)
        with transaction.atomic():
            idempotency.bind(uuid.uuid4())

    with pytest.raises(InProgress):
        send(View(slow))


def test_keys_are_separate_per_mode(tenant, send):
    view = View()
    send(view)
    live = type(tenant)(tenant.merchant_id, "live")
    view.create(FakeRequest(live, "k"))
    assert view.handled == 2


def test_keys_are_deleted_after_a_day(send):
    view = View()
    send(view)
    IdempotencyRecord.objects.update(created_at=timezone.now() - timedelta(hours=25))
    assert idempotency.delete_expired() == 1
    send(view)
    assert view.handled == 2


@pytest.mark.django_db(transaction=True)
def test_concurrent_requests_are_handled_once(tenant, settings):
    settings.IDEMPOTENCY_WAIT_S = 20
    view = View()

    def create(_):
        try:
            return view.create(FakeRequest(tenant, "k")).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(create, range(64))) == {201}
    assert view.handled == 1
