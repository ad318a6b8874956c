"""Security events reach people: by mail and at a URL, gathered, and none is lost when the mail server is down."""

import json
import threading
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from django.core import mail
from django.utils import timezone

from apikeys.audit import events, notices
from apikeys.audit.events import EventType
from apikeys.db.tenancy import Tenant
from apikeys.models import Event, Membership, Merchant, SecurityNotice, User

pytestmark = pytest.mark.django_db
ALARM = EventType("credential.saved", audit=True, security=True)


@pytest.fixture
def owner(merchant):
    user = User.objects.create(username="owner", email="owner@example.com")
    Membership.objects.create(merchant=merchant, user=user, role="owner")
    return user


@pytest.fixture
def receiver(settings):
    """A server at ``SECURITY_WEBHOOK_URL``: what it was sent, and the status that it answers with."""
    seen, status = [], [204]

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            seen.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(status[0])
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    settings.SECURITY_WEBHOOK_URL = f"http://127.0.0.1:{server.server_port}/alarm"
    yield seen, status
    server.shutdown()
    thread.join()
    server.server_close()


def test_owners_and_operations_staff_hear_of_it_once(tenant, owner, settings):
    settings.SECURITY_EMAILS = ["security@example.com"]
    events.record(ALARM, tenant=tenant, data={"carrier": "pickit"})
    assert notices.send_due() == 1
    assert sorted(letter.to[0] for letter in mail.outbox) == ["owner@example.com", "security@example.com"]
    assert "credential.saved" in mail.outbox[0].subject
    assert "pickit" in mail.outbox[0].body
    assert notices.send_due() == 0
    assert len(mail.outbox) == 2


def test_what_gathers_is_one_mail(tenant, owner):
    for _ in range(20):
        events.record(ALARM, tenant=tenant)
    assert notices.send_due() == 20
    assert len(mail.outbox) == 1
    assert mail.outbox[0].body.count("credential.saved") == 20


def test_nobody_hears_of_another_merchants_affairs(tenant, owner):
    other = Merchant.objects.create(name="Other", slug="other")
    events.record(ALARM, tenant=Tenant(other.id, "test"))
    events.record(ALARM, tenant=None)
    assert notices.send_due() == 2
    assert mail.outbox == []


def test_other_events_tell_nobody(tenant, owner):
    events.record(EventType("thing.happened", audit=True), tenant=tenant)
    assert notices.send_due() == 0


def test_the_configured_url_is_told(tenant, receiver):
    seen, _status = receiver
    event = events.record(ALARM, tenant=tenant, data={"carrier": "pickit"})
    assert notices.send_due() == 1
    (told,) = seen[0]["events"]
    assert (told["id"], told["type"], told["merchant"], told["data"]) == (
        str(event.id),
        "credential.saved",
        "acme",
        {"carrier": "pickit"},
    )


def test_what_cannot_be_told_waits_and_is_told_later(tenant, owner, receiver):
    seen, status = receiver
    status[0] = 500
    events.record(ALARM, tenant=tenant)
    assert notices.send_due() == 0
    assert mail.outbox == []
    assert SecurityNotice.objects.count() == 1
    status[0] = 204
    SecurityNotice.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert notices.send_due() == 1
    assert len(mail.outbox) == 1


def test_after_a_day_of_failures_the_telling_ends_and_the_event_stays(tenant, receiver):
    receiver[1][0] = 500
    events.record(ALARM, tenant=tenant)
    SecurityNotice.objects.update(fence=1000)
    assert notices.send_due() == 0
    assert not SecurityNotice.objects.exists()
    assert Event.objects.filter(type="credential.saved").exists()
