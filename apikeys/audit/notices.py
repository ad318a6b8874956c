"""Notices of security events: by e-mail, and to a URL that operations staff configure.

A notice is a row, written together with its event and deleted after it is sent. One e-mail contains all waiting
notices, so a burst of events is one e-mail. Delivery is at least once: a process killed between sending and deleting
leaves the notice to be sent again.
"""

from __future__ import annotations

import logging
import uuid
from collections import defaultdict
from collections.abc import Iterable
from datetime import timedelta

import requests
from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.utils import timezone

from apikeys.db.leases import Leases
from apikeys.http.rendering import rfc3339, to_json
from apikeys.models import Event, Membership, SecurityNotice

log = logging.getLogger(__name__)
LEASES = Leases(SecurityNotice, lasts=lambda: timedelta(seconds=120))
_BATCH = 100
_MAX_ATTEMPTS = 720  # one per lease: a day


def send_due() -> int:
    """Send the waiting notices and return their number. Failed ones are sent again when their lease ends."""
    ids = [lease.pk for lease in LEASES.claim(SecurityNotice.objects.order_by("event_id"), limit=_BATCH)]
    if not ids:
        return 0
    events = list(Event.objects.select_related("merchant").filter(id__in=ids).order_by("id"))
    try:
        _post_to_webhook(events)
        _send_mails(events)
    except (OSError, requests.RequestException):  # smtplib's errors are OSErrors
        log.exception("security notices: not sent, will be sent again")
        _delete_exhausted(ids)
        return 0
    SecurityNotice.objects.filter(event_id__in=ids).delete()
    return len(ids)


def _post_to_webhook(events: Iterable[Event]) -> None:
    """POST ``{"events": [{id, type, merchant, …}]}`` to ``SECURITY_WEBHOOK_URL``, if it is set."""
    if not settings.SECURITY_WEBHOOK_URL:
        return
    rows = [
        {
            "id": event.id,
            "type": event.type,
            "merchant": event.merchant.slug if event.merchant else None,
            "mode": event.mode,
            "subject_id": event.subject_id,
            "actor": event.actor,
            "address": event.address,
            "data": event.data,
            "correlation_id": event.correlation_id,
            "created_at": event.created_at,
        }
        for event in events
    ]
    response = requests.post(
        settings.SECURITY_WEBHOOK_URL,
        data=to_json({"events": rows}),
        headers={"Content-Type": "application/json"},
        timeout=(5, 10),
        allow_redirects=False,
    )
    response.raise_for_status()


def _send_mails(events: list[Event]) -> None:
    """Send one e-mail per address: all events to operations staff, a merchant's events to its owners."""
    by_address: dict[str, list[Event]] = defaultdict(list)
    owners = _owner_addresses({event.merchant_id for event in events if event.merchant_id})
    for event in events:
        for address in {*settings.SECURITY_EMAILS, *owners.get(event.merchant_id, ())}:
            by_address[address].append(event)
    if by_address:
        get_connection().send_messages([_build_mail(address, about) for address, about in by_address.items()])


def _owner_addresses(merchants: set[uuid.UUID]) -> dict[uuid.UUID, set[str]]:
    found: dict[uuid.UUID, set[str]] = defaultdict(set)
    rows = Membership.objects.filter(
        merchant_id__in=merchants, role=Membership.Role.OWNER, user__is_active=True, user__email__isnull=False
    )
    for merchant_id, email in rows.values_list("merchant_id", "user__email"):
        found[merchant_id].add(email)
    return found


def _build_mail(address: str, events: list[Event]) -> EmailMessage:
    types = sorted({event.type for event in events})
    lines = [
        f"{rfc3339(event.created_at)}  {event.type}  {event.merchant or 'platform'}"
        f"  subject {event.subject_id or '-'}  by {event.actor or 'Waybill'}  from {event.address or '-'}"
        f"\n    {to_json(event.data).decode()}"
        for event in events
    ]
    text = "These events concern the security of your account:\n\n" + "\n".join(lines) + "\n"
    return EmailMessage(f"Waybill security: {', '.join(types)[:150]}", text, to=[address])


def _delete_exhausted(ids: list[uuid.UUID]) -> None:
    """Delete the notices that were tried for a day, and log each. The events themselves stay."""
    exhausted = SecurityNotice.objects.filter(event_id__in=ids, fence__gte=_MAX_ATTEMPTS)
    for event_id in exhausted.values_list("event_id", flat=True):
        log.error("security notice deleted unsent", extra={"event_id": str(event_id), "at": rfc3339(timezone.now())})
    exhausted.delete()
