"""Merchants, stores, plans, members and invitations."""

from __future__ import annotations

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models
from django.utils import timezone

from apikeys.db.search import CaseKey
from apikeys.db.tenancy import Row
from apikeys.models.people import User
from apikeys.models.rates import rate_field


class Plan(models.Model):
    """A merchant's plan: the rate limits of its API keys. Operations staff edit the rates.

    An empty rate stands for RATE_LIMIT_PER_MINUTE or RATE_LIMIT_PER_HOUR of the installation.
    """

    code = models.SlugField(max_length=16, primary_key=True)
    name = models.CharField(max_length=40)
    per_minute = rate_field("Requests per minute with each key. Empty: RATE_LIMIT_PER_MINUTE.")
    per_hour = rate_field("Requests per hour with each key. Empty: RATE_LIMIT_PER_HOUR.")

    class Meta:
        ordering = [models.F("per_minute").asc(nulls_first=True)]
        indexes = [
            models.Index(CaseKey("name"), name="plan_name_prefix"),
            models.Index(CaseKey("code"), name="plan_code_prefix"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def rates(self) -> tuple[int, int]:
        """Requests per minute and per hour."""
        return (self.per_minute or settings.RATE_LIMIT_PER_MINUTE, self.per_hour or settings.RATE_LIMIT_PER_HOUR)


# code: (name, requests per minute, requests per hour). ``migrate`` creates missing plans and changes no existing ones.
STANDARD_PLANS = {
    "free": ("Free", None, None),
    "starter": ("Starter", 300, 10_000),
    "pro": ("Pro", 1_000, 50_000),
    "enterprise": ("Enterprise", 5_000, 250_000),
}


class Merchant(Row):
    """A merchant, which is the tenant of its rows."""

    name = models.CharField(max_length=200)
    slug = models.SlugField(max_length=64, unique=True)
    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, default="free", db_column="plan", related_name="+")
    per_minute = rate_field("Requests per minute of all keys and people of the merchant. Empty: no limit.")
    language = models.CharField(max_length=5, choices=[("en", "English"), ("es", "Spanish")], default="en")
    mute_warnings = models.BooleanField(
        default=False, help_text="Leave out warnings about doubtful addresses and parcels in quotes and labels."
    )
    default_country = models.CharField(
        max_length=2, blank=True, validators=[RegexValidator(r"^[A-Z]{2}$", "An ISO 3166-1 alpha-2 code, like US.")]
    )
    is_active = models.BooleanField(default=True)
    members = models.ManyToManyField(User, through="Membership", related_name="merchants")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["name"]
        indexes = [
            models.Index(CaseKey("name"), name="merchant_name_prefix"),
            models.Index(CaseKey("slug"), name="merchant_slug_prefix"),
        ]

    def __str__(self) -> str:
        return self.name


class Membership(Row):
    """A person's role at a merchant."""

    class Role(models.TextChoices):
        OWNER = "owner", "Owner"
        DEVELOPER = "developer", "Developer"
        OPERATOR = "operator", "Operator"
        VIEWER = "viewer", "Viewer"

    merchant = models.ForeignKey(Merchant, on_delete=models.CASCADE)
    user = models.ForeignKey(User, on_delete=models.CASCADE)
    role = models.CharField(max_length=10, choices=Role.choices, default=Role.VIEWER)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["merchant", "user"], name="one_membership_per_merchant")]

    def __str__(self) -> str:
        return f"{self.user} at {self.merchant}: {self.role}"


class Store(Row):
    """A merchant's sales channel."""

    merchant = models.ForeignKey(Merchant, on_delete=models.PROTECT, related_name="stores")
    name = models.CharField(max_length=200)
    code = models.SlugField(max_length=64)
    per_minute = rate_field("Requests per minute of all keys of the store. Empty: no limit.")
    is_active = models.BooleanField(default=True)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["merchant", "code"], name="store_code_per_merchant")]
        indexes = [
            models.Index(CaseKey("name"), name="store_name_prefix"),
            models.Index(CaseKey("code"), name="store_code_prefix"),
        ]

    def __str__(self) -> str:
        return self.name


class Invitation(Row):
    """An invitation by e-mail to join a merchant. The token in the mail is stored only as a digest."""

    merchant = models.ForeignKey(Merchant, on_delete=models.CASCADE, related_name="invitations")
    email = models.EmailField()
    role = models.CharField(max_length=10, choices=Membership.Role.choices)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    invited_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["merchant", "email"], condition=models.Q(accepted_at=None), name="one_open_invitation"
            )
        ]
        indexes = [
            models.Index(CaseKey("email"), name="invitation_email_prefix"),
        ]

    def __str__(self) -> str:
        return f"{self.email} to {self.merchant}: {self.role}"
