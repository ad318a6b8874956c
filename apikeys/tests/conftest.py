"""Fixtures of the portal's tests."""

import pytest

from apikeys.models import Membership, User
from apikeys.tests.browser import PASSWORD, Browser


@pytest.fixture
def person(merchant):
    """An owner of the merchant."""
    user = User.objects.create_user("shop@example.com", "shop@example.com", PASSWORD, first_name="Jane")
    Membership.objects.create(merchant=merchant, user=user, role="owner")
    return user


@pytest.fixture
def browser():
    """A browser at the portal, with CSRF checks."""
    return Browser(enforce_csrf_checks=True)
