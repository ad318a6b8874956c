"""Mails to single people: plain text from ``templates/mail``, whose first line is the subject."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.http import HttpRequest
from django.template.loader import render_to_string

from apikeys.models import User

log = logging.getLogger(__name__)
# One thread: it starts with the first mail, so after gunicorn has forked, and ends when its mails are out.
_post_office = ThreadPoolExecutor(1, thread_name_prefix="mail")


def link(request: HttpRequest, path: str) -> str:
    """A path as people outside reach it."""
    return settings.PUBLIC_URL.rstrip("/") + path if settings.PUBLIC_URL else request.build_absolute_uri(path)


def write(template: str, to: str, **context: Any) -> EmailMessage:
    """The mail, not sent yet."""
    subject, _newline, body = render_to_string(f"mail/{template}.txt", context).partition("\n")
    return EmailMessage(subject.strip(), body.lstrip("\n"), to=[to])


def send_later(message: EmailMessage) -> None:
    """Send without keeping the caller: how long an answer takes does not tell whether somebody was written to."""
    _post_office.submit(_send, message)


def tell(user: User, template: str) -> None:
    """Tell a person of what concerns their account, once the running transaction is through."""
    if user.email:
        message = write(template, user.email, person=user)
        transaction.on_commit(lambda: send_later(message))


def wait() -> None:
    """Until all that was handed in is out."""
    _post_office.submit(lambda: None).result()


def _send(message: EmailMessage) -> None:
    try:
        message.send()
    except OSError:  # smtplib's errors are OSErrors
        log.exception("a mail was not sent", extra={"subject": message.subject})
