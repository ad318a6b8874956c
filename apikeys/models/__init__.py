"""Who calls, how often they may, what they may not repeat, and what happened."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.core.validators import MinValueValidator, RegexValidator
from django.db import models
from django.utils import timezone

from apikeys.models import scopes
from apikeys.db.leases import Claimable
from apikeys.db.tenancy import Mode
from apikeys.db.tenancy import Row
from apikeys.db.tenancy import Tenant
from apikeys.db.tenancy import TenantQuerySet
from apikeys.db.tenancy import TenantRow
from apikeys.db.tenancy import new_id


class Plan(models.Model):
    """What a merchant pays for: how often each of its API keys may call. Operations staff edit the figures.

    Without a figure of its own it goes by the installation's RATE_LIMIT_PER_MINUTE and RATE_LIMIT_PER_HOUR.
    """

    code = models.SlugField(max_length=16, primary_key=True)
    name = models.CharField(max_length=40)
    per_minute = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text="Requests a minute with each key; empty: RATE_LIMIT_PER_MINUTE.",
    )
    per_hour = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text="Requests an hour with each key; empty: RATE_LIMIT_PER_HOUR.",
    )

    class Meta:
        ordering = [models.F("per_minute").asc(nulls_first=True)]

    def __str__(self) -> str:
        return self.name

    @property
    def rates(self) -> tuple[int, int]:
        """Requests a minute and an hour."""
        return (self.per_minute or settings.RATE_LIMIT_PER_MINUTE, self.per_hour or settings.RATE_LIMIT_PER_HOUR)


# code: (name, requests a minute, requests an hour); made by each migrate where they are missing, never overwritten.
STANDARD_PLANS = {
    "free": ("Free", None, None),
    "starter": ("Starter", 300, 10_000),
    "pro": ("Pro", 1_000, 50_000),
    "enterprise": ("Enterprise", 5_000, 250_000),
}


def _limit_field(whose: str) -> models.PositiveIntegerField:
    return models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text=f"Requests a minute {whose}; empty: no limit.",
    )


class User(AbstractUser):
    """A person: staff in the admin, or a member of merchants."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    email = models.EmailField(unique=True, null=True, blank=True)

    def clean(self) -> None:
        """Several people may have no address: none is NULL, not a blank that is taken already."""
        super().clean()
        self.email = self.email or None


class Merchant(Row):
    """A tenant."""

    name = models.CharField(max_length=200)
    slug = models.SlugField(max_length=64, unique=True)
    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, default="free", db_column="plan", related_name="+")
    per_minute = _limit_field("over all keys and people of the merchant")
    language = models.CharField(max_length=5, choices=[("en", "English"), ("es", "Spanish")], default="en")
    mute_warnings = models.BooleanField(
        default=False, help_text="Quotes and labels tell of no odd addresses and parcels."
    )
    default_country = models.CharField(
        max_length=2, blank=True, validators=[RegexValidator(r"^[A-Z]{2}$", "An ISO 3166-1 alpha-2 code, like US.")]
    )
    is_active = models.BooleanField(default=True)
    members = models.ManyToManyField(User, through="Membership", related_name="merchants")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Membership(Row):
    """What a person may do for a merchant."""

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
    per_minute = _limit_field("over all keys of the store")
    is_active = models.BooleanField(default=True)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["merchant", "code"], name="store_code_per_merchant")]

    def __str__(self) -> str:
        return self.name


class ApiKey(TenantRow):
    """A way in for a merchant's program; the key itself is shown once and kept only as digest and bcrypt hash."""

    class Revocation(models.TextChoices):
        REVOKED = "revoked", "revoked"
        LEAKED = "leaked", "leaked"

    name = models.CharField(max_length=100)
    prefix = models.CharField(max_length=16, help_text="The first characters, to tell keys apart.")
    digest = models.CharField(max_length=64, unique=True, editable=False)
    hash = models.CharField(max_length=72, editable=False)
    store = models.ForeignKey(Store, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    scopes = models.JSONField(default=scopes.of_every_key, help_text="What the key may do.")
    allowed_ips = models.JSONField(
        default=list, blank=True, help_text="Addresses or networks that the key works from; empty: from anywhere."
    )
    per_minute = _limit_field("with this key, instead of the plan's")
    per_hour = models.PositiveIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1)], help_text="The same for an hour."
    )
    is_demo = models.BooleanField(default=False, editable=False, help_text="Works only with DEBUG=true.")
    use_count = models.PositiveBigIntegerField(default=0, editable=False)
    first_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    revoked_for = models.CharField(max_length=8, choices=Revocation.choices, blank=True, editable=False)
    replaces = models.OneToOneField(
        "self", null=True, blank=True, editable=False, on_delete=models.PROTECT, related_name="replaced_by"
    )

    class Meta:
        verbose_name = "API key"
        ordering = ["-created_at"]
        indexes = [models.Index(fields=["merchant", "mode", "id"], name="api_key_by_tenant")]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    @property
    def tenant(self) -> Tenant:
        return Tenant(self.merchant_id, self.mode, self.store_id, self.id)


class Invitation(Row):
    """A person is asked by e-mail to join a merchant; the token in the mail is kept only as a digest."""

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

    def __str__(self) -> str:
        return f"{self.email} to {self.merchant}: {self.role}"


class UsageDay(TenantRow):
    """What one key, or one credential at a carrier, was used for on one day (UTC)."""

    class Kind(models.TextChoices):
        KEY = "key", "API key"
        CREDENTIAL = "credential", "carrier credential"

    kind = models.CharField(max_length=10, choices=Kind.choices)
    subject_id = models.UUIDField()
    day = models.DateField()
    requests = models.PositiveBigIntegerField(default=0)
    failures = models.PositiveBigIntegerField(default=0, help_text="Answered with 400 or above, or not at all.")
    last_used_at = models.DateTimeField()
    is_summarised = models.BooleanField(default=False, editable=False, help_text="The day's event has been written.")

    class Meta:
        ordering = ["-day"]
        constraints = [
            models.UniqueConstraint(fields=["merchant", "kind", "subject_id", "day"], name="one_usage_row_per_day")
        ]
        indexes = [
            models.Index(fields=["merchant", "mode", "day"], name="usage_by_tenant"),
            models.Index(fields=["day"], condition=models.Q(is_summarised=False), name="usage_to_summarise"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject_id} on {self.day}: {self.requests}"


class IdempotencyRecord(TenantRow):
    """A creating request with an Idempotency-Key (``apikeys.access.idempotency``)."""

    class State(models.TextChoices):
        RUNNING = "running", "running"
        DONE = "done", "done"

    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64)
    state = models.CharField(max_length=8, choices=State.choices, default=State.RUNNING)
    lease_until = models.DateTimeField()
    fence = models.PositiveIntegerField(default=1)
    subject = models.UUIDField(null=True, help_text="What the request made; a replay renders its current state.")
    response_status = models.PositiveSmallIntegerField(null=True)
    response_body = models.BinaryField(null=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["merchant", "mode", "key"], name="idempotency_key_per_tenant")]
        indexes = [models.Index(fields=["created_at"], name="idempotency_by_age")]

    def __str__(self) -> str:
        return f"{self.key}: {self.state}"


class EventQuerySet(TenantQuerySet):
    """Append-only: the database's triggers refuse more than this does."""

    def update(self, **kwargs: Any) -> int:
        raise TypeError("Events are never changed.")

    def delete(self) -> tuple[int, dict[str, int]]:
        raise TypeError("Events are never deleted.")


class Event(Row):
    """Something that happened: ids and facts, no personal data. Rows without a merchant are the platform's."""

    class Visibility(models.TextChoices):
        PUBLIC = "public", "public: goes to the merchant's endpoints"
        AUDIT = "audit", "audit: the merchant may read it"
        INTERNAL = "internal", "internal: for operations staff"

    merchant = models.ForeignKey(Merchant, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    mode = models.CharField(max_length=4, choices=Mode.choices, blank=True)
    type = models.CharField(max_length=64)
    visibility = models.CharField(max_length=8, choices=Visibility.choices)
    subject_id = models.UUIDField(null=True, blank=True)
    data = models.JSONField(default=dict)
    actor = models.CharField(
        max_length=64, blank=True, help_text="key:<id>, person:<id> or staff:<id>; empty: Waybill."
    )
    address = models.GenericIPAddressField(null=True, blank=True, help_text="Where the actor called from.")
    correlation_id = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects: Any = EventQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["subject_id", "id"], name="event_by_subject"),
            models.Index(fields=["merchant", "mode", "id"], name="event_by_tenant"),
            models.Index(fields=["merchant", "mode", "type", "id"], name="event_by_type"),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.subject_id or ''}"


class Outbox(models.Model):
    """A public event that merchants' endpoints have not been offered yet.

    Written in the event's transaction, deleted by the fan-out.
    """

    event = models.OneToOneField(Event, primary_key=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        verbose_name_plural = "outbox"

    def __str__(self) -> str:
        return str(self.event_id)


class SecurityNotice(Claimable):
    """A security event that nobody has been told of yet. Written in the event's transaction, deleted once it is out."""

    event = models.OneToOneField(Event, primary_key=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        verbose_name = "security notice"

    def __str__(self) -> str:
        return str(self.event_id)
