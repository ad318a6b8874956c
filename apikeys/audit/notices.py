"""Telling people of security events: by e-mail, and to a URL that operations staff configured.

The notice is a row that was written with its event; it goes away once it is out. A mail holds all that has gathered
since the last one, so a burst of events is one mail. Sent at least once: a process that is killed between sending and
deleting leaves the notice to be sent again.
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
_AT_ONCE = 100
_MAX_ATTEMPTS = 720  # a day of leases


def send_due() -> int:
    """Send the notices that wait; how many went out. What cannot be sent is tried again when its lease ends."""
    ids = [lease.pk for lease in LEASES.claim(SecurityNotice.objects.order_by("event_id"), limit=_AT_ONCE)]
    if not ids:
        return 0
    events = list(Event.objects.select_related("merchant").filter(id__in=ids).order_by("id"))
    try:
        _post(events)
        _mail(events)
    except (OSError, requests.RequestException):  # smtplib's errors are OSErrors
        log.exception("security notices: not sent, tried again later")
        _give_up_hopeless(ids)
        return 0
    SecurityNotice.objects.filter(event_id__in=ids).delete()
    return len(ids)


def _post(events: Iterable[Event]) -> None:
    """To ``SECURITY_WEBHOOK_URL``: ``{"events": [{id, type, merchant, …}]}``."""
    if not settings.SECURITY_WEBHOOK_URL:
        return
    body = to_json({"events": [_wire(event) for event in events]})
    headers = {"Content-Type": "application/json"}
    answer = requests.post(
        settings.SECURITY_WEBHOOK_URL, data=body, headers=headers, timeout=(5, 10), allow_redirects=False
    )
    answer.raise_for_status()


def _mail(events: list[Event]) -> None:
    """One mail to each: operations staff hear of all, a merchant's owners of their merchant's."""
    letters: dict[str, list[Event]] = defaultdict(list)
    owners = _owners({event.merchant_id for event in events if event.merchant_id})
    for event in events:
        for address in {*settings.SECURITY_EMAILS, *owners.get(event.merchant_id, ())}:
            letters[address].append(event)
    if letters:
        mails = [EmailMessage(_subject(about), _text(about), to=[address]) for address, about in letters.items()]
        get_connection().send_messages(mails)


def _owners(merchants: set[uuid.UUID]) -> dict[uuid.UUID, set[str]]:
    found: dict[uuid.UUID, set[str]] = defaultdict(set)
    rows = Membership.objects.filter(
        merchant_id__in=merchants, role=Membership.Role.OWNER, user__is_active=True, user__email__isnull=False
    )
    for merchant_id, email in rows.values_list("merchant_id", "user__email"):
        found[merchant_id].add(email)
    return found


def _subject(events: list[Event]) -> str:
    kinds = sorted({event.type for event in events})
    return f"Waybill security: {', '.join(kinds)[:150]}"


def _text(events: list[Event]) -> str:
    lines = [
        f"{rfc3339(event.created_at)}  {event.type}  {event.merchant or 'platform'}"
        f"  subject {event.subject_id or '-'}  by {event.actor or 'Waybill'}  from {event.address or '-'}"
        f"\n    {to_json(event.data).decode()}"
        for event in events
    ]
    return "These events concern the security of your account:\n\n" + "\n".join(lines) + "\n"


def _wire(event: Event) -> dict[str, object]:
    return {
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


def _give_up_hopeless(ids: list[uuid.UUID]) -> None:
    """The event itself stays on record; only the telling ends, with a line in the log."""
    hopeless = SecurityNotice.objects.filter(event_id__in=ids, fence__gte=_MAX_ATTEMPTS)
    for event_id in hopeless.values_list("event_id", flat=True):
        log.error("security notice given up", extra={"event_id": str(event_id), "at": rfc3339(timezone.now())})
    hopeless.delete()
