"""Who calls, what they may not repeat, and what happened."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import AbstractUser
from django.core.validators import RegexValidator
from django.db import models
from django.utils import timezone

from apikeys.tenancy import Mode, Row, Tenant, TenantQuerySet, TenantRow, new_id


class Plan(models.TextChoices):
    """What a merchant pays for; ``apikeys.limits`` holds each plan's limits."""

    FREE = "free", "Free"
    STARTER = "starter", "Starter"
    PRO = "pro", "Pro"
    ENTERPRISE = "enterprise", "Enterprise"


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
    plan = models.CharField(max_length=12, choices=Plan.choices, default=Plan.FREE)
    language = models.CharField(max_length=5, choices=[("en", "English"), ("es", "Spanish")], default="en")
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
    is_active = models.BooleanField(default=True)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["merchant", "code"], name="store_code_per_merchant")]

    def __str__(self) -> str:
        return self.name


class ApiKey(TenantRow):
    """A way in for a merchant's program; the key itself is shown once and kept only as digest and bcrypt hash."""

    name = models.CharField(max_length=100)
    prefix = models.CharField(max_length=16, help_text="The first characters, to tell keys apart.")
    digest = models.CharField(max_length=64, unique=True, editable=False)
    hash = models.CharField(max_length=72, editable=False)
    store = models.ForeignKey(Store, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    is_demo = models.BooleanField(default=False, editable=False, help_text="Works only with DEBUG=true.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "API key"
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    def is_usable(self) -> bool:
        """Neither revoked nor expired, and its merchant and store are active."""
        if self.revoked_at or (self.expires_at and self.expires_at <= timezone.now()):
            return False
        return self.merchant.is_active and (self.store is None or self.store.is_active)

    @property
    def tenant(self) -> Tenant:
        return Tenant(self.merchant_id, self.mode, self.store_id, self.id)


class IdempotencyRecord(TenantRow):
    """A creating request with an Idempotency-Key (``apikeys.idempotency``)."""

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
        PUBLIC = "public", "public"
        INTERNAL = "internal", "internal"

    merchant = models.ForeignKey(Merchant, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    mode = models.CharField(max_length=4, choices=Mode.choices, blank=True)
    type = models.CharField(max_length=64)
    visibility = models.CharField(max_length=8, choices=Visibility.choices)
    subject_id = models.UUIDField(null=True, blank=True)
    data = models.JSONField(default=dict)
    correlation_id = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects: Any = EventQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["subject_id", "id"], name="event_by_subject"),
            models.Index(fields=["merchant", "mode", "id"], name="event_by_tenant"),
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
