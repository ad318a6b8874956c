"""Users."""

from __future__ import annotations

from django.contrib.auth.models import AbstractUser
from django.db import models

from apikeys.db.search import CaseKey
from apikeys.db.tenancy import new_id
from apikeys.models.rates import rate_field


class User(AbstractUser):
    """A person: staff in the admin, or a member of merchants."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    email = models.EmailField(unique=True, null=True, blank=True)
    per_minute = rate_field("Requests per minute with the person's access tokens, at all merchants. Empty: USER_RATES.")

    class Meta(AbstractUser.Meta):
        indexes = [
            models.Index(CaseKey(name), name=f"user_{name}_prefix")
            for name in ("username", "email", "first_name", "last_name")
        ]

    def clean(self) -> None:
        """Store a missing e-mail address as NULL. Only one person could have an empty text."""
        super().clean()
        self.email = self.email or None
