"""E-mails to single people: plain text from ``templates/mail``. The first line of a template is the subject."""

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
# One thread. It starts with the first mail, so after gunicorn has forked. At exit it first sends the queued mails.
_sender = ThreadPoolExecutor(1, thread_name_prefix="mail")


def absolute_url(request: HttpRequest, path: str) -> str:
    """Return the URL of a path under ``PUBLIC_URL``, else under the request's host."""
    return settings.PUBLIC_URL.rstrip("/") + path if settings.PUBLIC_URL else request.build_absolute_uri(path)


def render_mail(template: str, to: str, **context: Any) -> EmailMessage:
    """Render a template to a message, without sending it."""
    subject, _newline, body = render_to_string(f"mail/{template}.txt", context).partition("\n")
    return EmailMessage(subject.strip(), body.lstrip("\n"), to=[to])


def send_in_background(message: EmailMessage) -> None:
    """Send a message in the background thread.

    So the response time of a password reset does not reveal whether there is an account.
    """
    _sender.submit(_send, message)


def notify_person(user: User, template: str) -> None:
    """Send a mail about a person's account after the current transaction commits."""
    if user.email:
        message = render_mail(template, user.email, person=user)
        transaction.on_commit(lambda: send_in_background(message))


def wait_until_sent() -> None:
    """Wait until all queued messages are sent."""
    _sender.submit(lambda: None).result()


def _send(message: EmailMessage) -> None:
    try:
        message.send()
    except OSError:  # smtplib's errors are OSErrors
        log.exception("a mail was not sent", extra={"subject": message.subject})
