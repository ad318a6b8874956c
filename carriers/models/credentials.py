"""Credentials."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.crypto import salted_hmac

from apikeys.db.crypto import EncryptedField
from apikeys.db.tenancy import Mode, Row, Tenant, TenantQuerySet
from carriers.adapters.registry import adapter_class
from carriers.adapters.webhooks import WebhookProof


class Environment(models.TextChoices):
    """The carrier's environment that a credential is for."""

    SANDBOX = "sandbox", "sandbox"
    PRODUCTION = "production", "production"


ENVIRONMENT_OF_MODE = {Mode.TEST: Environment.SANDBOX, Mode.LIVE: Environment.PRODUCTION}


class Credential(Row):
    """A login at a carrier: a merchant's own, or (without a merchant) the platform's.

    Test rows are for the carrier's sandbox and live rows for production, so a test key never reaches production.
    """

    merchant = models.ForeignKey(
        "apikeys.Merchant",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="Empty for the platform's credential.",
    )
    mode = models.CharField(max_length=4, choices=Mode.choices)
    carrier = models.CharField(max_length=20)
    fields = EncryptedField(null=True, help_text="Values of the adapter's credential fields.")
    is_active = models.BooleanField(default=True)
    is_open = models.BooleanField(
        default=True, help_text="For the platform's credential: merchants without their own may use it."
    )
    account_since = models.DateTimeField(
        null=True,
        editable=False,
        help_text="When the credential last changed to another login at the carrier.",
    )
    last_test = models.JSONField(
        null=True,
        blank=True,
        editable=False,
        help_text="Result of the last test login.",
    )
    replaced = models.JSONField(null=True, editable=False, help_text="Digests of replaced secrets.")
    refused_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="Time since which the carrier has refused the login."
    )
    refusal = models.CharField(max_length=200, null=True, blank=True, editable=False)  # the carrier's code and message
    rotating_until = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    issued_webhook_token = ""  # set on the row that was just saved, if Waybill made the token
    objects: Any = TenantQuerySet.as_manager()

    class Meta:
        ordering = ["carrier", "-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["merchant", "mode", "carrier"],
                condition=models.Q(merchant__isnull=False),
                name="one_own_credential",
            ),
            models.UniqueConstraint(
                fields=["mode", "carrier"], condition=models.Q(merchant__isnull=True), name="one_platform_credential"
            ),
        ]
        indexes = [
            models.Index(fields=["carrier", "id"], name="credential_by_carrier"),
        ]

    def __str__(self) -> str:
        return f"{adapter_class(self.carrier).name} {self.environment}, {self.merchant or 'platform'}"

    @property
    def environment(self) -> str:
        """``sandbox`` or ``production``."""
        return ENVIRONMENT_OF_MODE[Mode(self.mode)]

    @property
    def webhook_url(self) -> str:
        """The address for the carrier's webhooks; without ``CARRIER_CALLBACK_URL`` only its path."""
        path = f"{settings.CARRIER_CALLBACK_URL}/webhooks/{self.carrier}/events/{self.id}"
        is_proved = adapter_class(self.carrier).webhook_proof != WebhookProof.NONE
        return path if is_proved else f"{path}/{self.webhook_key}"

    @property
    def webhook_key(self) -> str:
        """The secret part of the address for webhooks that carry no proof."""
        return salted_hmac("carriers.webhook_key", str(self.id), algorithm="sha256").hexdigest()

    @property
    def tenant(self) -> Tenant | None:
        """The owner; None: the platform."""
        return Tenant(self.merchant_id, self.mode) if self.merchant_id else None


class CredentialToken(Row):
    """An access token of a credential. Carriers with several logins have several kinds (``Bearer.kind``)."""

    credential = models.ForeignKey(Credential, on_delete=models.CASCADE, related_name="tokens")
    kind = models.CharField(max_length=20, default="main")
    token = EncryptedField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True, editable=False)
    fetched_at = models.DateTimeField(null=True, blank=True, editable=False)
    used_at = models.DateTimeField(null=True, editable=False, help_text="Updated once an hour.")
    refusal = models.CharField(
        max_length=200, null=True, blank=True, editable=False, help_text="Code and message of the refused login."
    )
    login_after = models.DateTimeField(null=True, editable=False)  # no login before this time, after a refusal
    lease_until = models.DateTimeField(null=True, blank=True, editable=False)
    fence = models.PositiveIntegerField(default=0, editable=False)

    class Meta:
        verbose_name = "access token"
        constraints = [models.UniqueConstraint(fields=["credential", "kind"], name="one_token")]
        indexes = [
            models.Index(fields=["kind", "id"], name="token_by_kind"),
        ]

    def __str__(self) -> str:
        return f"{self.credential_id} {self.kind}"
