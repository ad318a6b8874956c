"""Deletion of expired rows: idempotency keys, refresh tokens, invitations and sessions."""

from __future__ import annotations

import logging

from django.conf import settings
from django.contrib.sessions.backends.db import SessionStore
from django.utils import timezone
from rest_framework_simplejwt.token_blacklist.models import OutstandingToken

from apikeys.access import idempotency
from apikeys.models import Invitation

log = logging.getLogger(__name__)


def delete_expired() -> None:
    """Delete expired rows. The worker calls this every hour."""
    now = timezone.now()
    deleted = {
        "idempotency_keys": idempotency.delete_expired(),
        "refresh_tokens": OutstandingToken.objects.filter(expires_at__lte=now).delete()[0],
        "invitations": Invitation.objects.filter(
            accepted_at=None, expires_at__lte=now - settings.INVITATION_KEEP
        ).delete()[0],
    }
    SessionStore.clear_expired()
    log.info("expired rows deleted", extra=deleted)
