"""Users."""

from __future__ import annotations

from django.contrib.auth.models import AbstractUser
from django.db import models

from apikeys.db.search import CaseKey
from apikeys.db.tenancy import new_id


class User(AbstractUser):
    """A person: staff in the admin, or a member of merchants."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    email = models.EmailField(unique=True, null=True, blank=True)

    class Meta(AbstractUser.Meta):
        indexes = [
            models.Index(CaseKey(name), name=f"user_{name}_prefix")
            for name in ("username", "email", "first_name", "last_name")
        ]

    def clean(self) -> None:
        """Store a missing e-mail address as NULL. Only one person could have an empty text."""
        super().clean()
        self.email = self.email or None
