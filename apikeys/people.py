"""People: how they prove who they are, and what they may do for a merchant."""

from __future__ import annotations

from typing import Any

import django_otp
from django.contrib.auth import authenticate
from django.contrib.auth.backends import ModelBackend
from django.http import HttpRequest

from apikeys.errors import NotAuthenticated
from apikeys.models import User


class EmailBackend(ModelBackend):
    """Django's own, which also takes the e-mail address in any case for the user name."""

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **kwargs: Any
    ) -> Any:
        if username and "@" in username:
            known = User.objects.filter(email__iexact=username).values_list("username", flat=True).first()
            username = known or username
        return super().authenticate(request, username=username, password=password, **kwargs)


def sign_in(request: HttpRequest, *, email: str, password: str, otp: str = "") -> User:
    """The person with this e-mail (or user name) and password; ``otp`` where they have a second factor.

    Raises ``NotAuthenticated``, the same for an unknown person, a wrong password and a wrong code.
    """
    user = authenticate(request, username=email, password=password)
    if user is None:
        raise NotAuthenticated
    if django_otp.user_has_device(user) and django_otp.match_token(user, otp) is None:
        raise NotAuthenticated
    return user
