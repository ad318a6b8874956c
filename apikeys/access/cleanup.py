"""What has served its time: keys of repeated requests, expired tokens and sessions, old failures to sign in."""

from __future__ import annotations

import logging

from django.conf import settings
from django.contrib.sessions.backends.db import SessionStore
from django.utils import timezone
from rest_framework_simplejwt.token_blacklist.models import OutstandingToken

from apikeys.access import idempotency
from apikeys.models import Invitation

log = logging.getLogger(__name__)


def clean() -> None:
    """Delete it all; run by the worker once an hour."""
    now = timezone.now()
    gone = {
        "idempotency_keys": idempotency.forget_old(),
        "refresh_tokens": OutstandingToken.objects.filter(expires_at__lte=now).delete()[0],
        "invitations": Invitation.objects.filter(
            accepted_at=None, expires_at__lte=now - settings.INVITATION_KEEP
        ).delete()[0],
    }
    SessionStore.clear_expired()
    log.info("cleaned", extra=gone)
