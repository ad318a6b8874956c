"""Notices of security events by mail and to a URL, and retries after failures."""

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
    """A server at ``SECURITY_WEBHOOK_URL``: (received bodies, [status to answer with])."""
    received, status = [], [204]

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(status[0])
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    settings.SECURITY_WEBHOOK_URL = f"http://127.0.0.1:{server.server_port}/alarm"
    yield received, status
    server.shutdown()
    thread.join()
    server.server_close()


def test_owners_and_operations_staff_get_one_mail(tenant, owner, settings):
    settings.SECURITY_EMAILS = ["security@example.com"]
    events.record(ALARM, tenant=tenant, data={"carrier": "pickit"})
    assert notices.send_due() == 1
    assert sorted(message.to[0] for message in mail.outbox) == ["owner@example.com", "security@example.com"]
    assert "credential.saved" in mail.outbox[0].subject
    assert "pickit" in mail.outbox[0].body
    assert notices.send_due() == 0
    assert len(mail.outbox) == 2


def test_waiting_notices_are_one_mail(tenant, owner):
    for _ in range(20):
        events.record(ALARM, tenant=tenant)
    assert notices.send_due() == 20
    assert len(mail.outbox) == 1
    assert mail.outbox[0].body.count("credential.saved") == 20


def test_owner_gets_no_notices_of_other_merchants(tenant, owner):
    other = Merchant.objects.create(name="Other", slug="other")
    events.record(ALARM, tenant=Tenant(other.id, "test"))
    events.record(ALARM, tenant=None)
    assert notices.send_due() == 2
    assert mail.outbox == []


def test_other_events_send_no_notice(tenant, owner):
    events.record(EventType("thing.happened", audit=True), tenant=tenant)
    assert notices.send_due() == 0


def test_notice_is_sent_to_the_configured_url(tenant, receiver):
    received, _status = receiver
    event = events.record(ALARM, tenant=tenant, data={"carrier": "pickit"})
    assert notices.send_due() == 1
    (notice,) = received[0]["events"]
    assert (notice["id"], notice["type"], notice["merchant"], notice["data"]) == (
        str(event.id),
        "credential.saved",
        "acme",
        {"carrier": "pickit"},
    )


def test_failed_notice_is_sent_later(tenant, owner, receiver):
    received, status = receiver
    status[0] = 500
    events.record(ALARM, tenant=tenant)
    assert notices.send_due() == 0
    assert mail.outbox == []
    assert SecurityNotice.objects.count() == 1
    status[0] = 204
    SecurityNotice.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert notices.send_due() == 1
    assert len(mail.outbox) == 1


def test_notice_is_dropped_after_a_day_and_the_event_stays(tenant, receiver):
    receiver[1][0] = 500
    events.record(ALARM, tenant=tenant)
    SecurityNotice.objects.update(fence=1000)
    assert notices.send_due() == 0
    assert not SecurityNotice.objects.exists()
    assert Event.objects.filter(type="credential.saved").exists()
