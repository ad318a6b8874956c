"""Events, the outbox and security notices."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.utils import timezone

from apikeys.db.leases import Claimable
from apikeys.db.positions import CurrentPosition
from apikeys.db.tenancy import Mode, Row, TenantQuerySet
from apikeys.models.merchants import Merchant


class EventQuerySet(TenantQuerySet):
    """An append-only queryset. Triggers in the database also refuse changes made in other ways."""

    def update(self, **kwargs: Any) -> int:
        raise TypeError("Events are never changed.")

    def delete(self) -> tuple[int, dict[str, int]]:
        raise TypeError("Events are never deleted.")


class Event(Row):
    """An event: ids and facts, no personal data. Events without a merchant belong to the platform."""

    class Visibility(models.TextChoices):
        PUBLIC = "public", "public: is sent to the merchant's endpoints"
        AUDIT = "audit", "audit: the merchant may read it"
        INTERNAL = "internal", "internal: for operations staff"

    # ``event_by_tenant`` serves lookups by merchant alone.
    merchant = models.ForeignKey(
        Merchant, null=True, blank=True, on_delete=models.PROTECT, db_index=False, related_name="+"
    )
    mode = models.CharField(max_length=4, choices=Mode.choices, blank=True)
    type = models.CharField(max_length=64)
    visibility = models.CharField(max_length=8, choices=Visibility.choices)
    subject_id = models.UUIDField(null=True, blank=True)
    data = models.JSONField(default=dict)
    actor = models.CharField(
        max_length=64, blank=True, help_text="key:<id>, person:<id> or staff:<id>. Empty: Waybill itself."
    )
    address = models.GenericIPAddressField(null=True, blank=True, help_text="The actor's IP address.")
    correlation_id = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    position = models.BigIntegerField(
        null=True, editable=False, db_default=CurrentPosition(), help_text="The order of feeds (apikeys.audit.feeds)."
    )

    objects: Any = EventQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["type", "id"], name="event_by_type_alone"),
            models.Index(fields=["correlation_id", "id"], name="event_by_correlation"),
            models.Index(fields=["actor", "id"], name="event_by_actor"),
            models.Index(fields=["subject_id", "id"], name="event_by_subject"),
            models.Index(fields=["merchant", "mode", "id"], name="event_by_tenant"),
            models.Index(fields=["merchant", "mode", "type", "id"], name="event_by_type"),
            models.Index(fields=["merchant", "mode", "position", "id"], name="event_feed_of_tenant"),
            models.Index(
                fields=["position", "id"], condition=~models.Q(visibility="public"), name="event_feed_of_audit"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.subject_id or ''}"


class Outbox(models.Model):
    """A public event without deliveries yet.

    A trigger inserts the row in the event's transaction. The fan-out creates the deliveries and deletes it.
    """

    event = models.OneToOneField(Event, primary_key=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        verbose_name_plural = "outbox"

    def __str__(self) -> str:
        return str(self.event_id)


class SecurityNotice(Claimable):
    """A notice of a security event to send. Inserted in the event's transaction, deleted after it is sent."""

    event = models.OneToOneField(Event, primary_key=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        verbose_name = "security notice"

    def __str__(self) -> str:
        return str(self.event_id)
