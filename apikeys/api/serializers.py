"""What the door's endpoints take and answer."""

from __future__ import annotations

import ipaddress
from datetime import date, datetime, timedelta
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from apikeys.db.tenancy import Mode
from apikeys.http.fields import MomentField, TextField
from apikeys.http.pagination import PageSerializer, PaginationSerializer
from apikeys.models import ApiKey, Store, scopes

MAX_OVERLAP_S = 7 * 24 * 3600
MAX_USAGE_DAYS = 366


class NetworkField(TextField):
    """An IP address or network (``203.0.113.7``, ``203.0.113.0/24``, ``2001:db8::/32``)."""

    default_error_messages = {"network": _("An IP address or network is expected, like 203.0.113.0/24.")}

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        try:
            return str(ipaddress.ip_network(text, strict=False))
        except ValueError:
            self.fail("network")


class FutureField(MomentField):
    """A moment that has not passed yet."""

    default_error_messages = {"past": _("This lies in the past; to end a key now, revoke it.")}

    def to_internal_value(self, data: Any) -> datetime:
        moment = super().to_internal_value(data).at
        if moment <= timezone.now():
            self.fail("past")
        return moment


class ApiKeyChangeSerializer(serializers.Serializer):
    """What may be changed of a key; fields that are not named keep their value."""

    name = TextField(max_length=100, required=False)
    scopes = serializers.ListField(
        child=serializers.ChoiceField(choices=scopes.OF_KEYS), min_length=1, max_length=20, required=False
    )
    store_id = serializers.UUIDField(allow_null=True, required=False, help_text="Bind the key to one store.")
    allowed_ips = serializers.ListField(
        child=NetworkField(max_length=50), max_length=100, required=False, help_text="Empty: from anywhere."
    )
    per_minute = serializers.IntegerField(min_value=1, max_value=1_000_000, allow_null=True, required=False)
    per_hour = serializers.IntegerField(min_value=1, max_value=100_000_000, allow_null=True, required=False)
    expires_at = FutureField(allow_null=True, required=False)

    def validate_scopes(self, value: list[str]) -> list[str]:
        return sorted(set(value))

    def validate_store_id(self, value: Any) -> Any:
        tenant = self.context["tenant"]
        mine = Store.objects.filter(merchant_id=tenant.merchant_id, id=value, is_active=True)
        if value and not mine.exists():
            raise serializers.ValidationError(_("No such store."))
        if tenant.store_id and value != tenant.store_id:
            raise serializers.ValidationError(_("Your own key is bound to a store; its keys are bound to the same."))
        return value

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """A merchant lowers its keys' limits; raising them above the plan is for operations staff."""
        rates = self.context["plan_rates"]
        over = {
            name: _("Your plan allows %(limit)d.") % {"limit": allowed}
            for name, allowed in rates.items()
            if (attrs.get(name) or 0) > allowed
        }
        if over:
            raise serializers.ValidationError(over)
        return attrs


class ApiKeyRequestSerializer(ApiKeyChangeSerializer):
    """A new key."""

    name = TextField(max_length=100)
    scopes = serializers.ListField(
        child=serializers.ChoiceField(choices=scopes.OF_KEYS),
        min_length=1,
        max_length=20,
        default=list(scopes.DEFAULT),
        help_text="Default: everything but managing keys, credentials and webhooks.",
    )


class RegenerateSerializer(serializers.Serializer):
    """How long the old key goes on working beside the new one."""

    overlap_seconds = serializers.IntegerField(min_value=0, max_value=MAX_OVERLAP_S, default=0)


class RevokeSerializer(serializers.Serializer):
    """Why a key ends: a leaked one raises an alarm when somebody tries it."""

    reason = serializers.ChoiceField(choices=ApiKey.Revocation.choices, default=ApiKey.Revocation.REVOKED)


class KeyListSerializer(PageSerializer):
    """``?state=``"""

    state = serializers.ChoiceField(choices=["active", "expired", "revoked"], required=False)


class ApiKeySerializer(serializers.Serializer):
    """A key as it is shown: never what opens."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    prefix = serializers.CharField(help_text="The first characters, to tell keys apart.")
    mode = serializers.ChoiceField(choices=Mode.choices)
    state = serializers.ChoiceField(choices=["active", "expired", "revoked", "leaked"])
    scopes = serializers.ListField(child=serializers.CharField())
    store_id = serializers.UUIDField(allow_null=True)
    allowed_ips = serializers.ListField(child=serializers.CharField())
    per_minute = serializers.IntegerField(help_text="The key's own limit, else the plan's.")
    per_hour = serializers.IntegerField()
    use_count = serializers.IntegerField()
    last_used_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(allow_null=True)
    revoked_at = serializers.DateTimeField(allow_null=True)
    replaces = serializers.UUIDField(allow_null=True, help_text="The key that this one was regenerated from.")


class NewApiKeySerializer(ApiKeySerializer):
    key = serializers.CharField(
        allow_null=True, help_text="Shown this once; null when the request is repeated under its Idempotency-Key."
    )


class ApiKeyPageSerializer(serializers.Serializer):
    api_keys = ApiKeySerializer(many=True)
    pagination = PaginationSerializer()


class TokenRequestSerializer(serializers.Serializer):
    """A person signs in for one merchant and mode."""

    email = TextField(max_length=254, help_text="Or the user name.")
    password = serializers.CharField(max_length=1000, trim_whitespace=False)
    otp = TextField(max_length=20, default="", allow_blank=True, help_text="The code of the second factor, if any.")
    merchant = TextField(max_length=64, default="", allow_blank=True, help_text="The slug, for members of several.")
    mode = serializers.ChoiceField(choices=Mode.choices, default=Mode.TEST)


class RefreshSerializer(serializers.Serializer):
    refresh = TextField(max_length=4000)


class TokenSerializer(serializers.Serializer):
    access = serializers.CharField()
    refresh = serializers.CharField(help_text="For one use.")
    token_type = serializers.CharField()
    expires_in = serializers.IntegerField(help_text="Seconds that the access token lives.")
    merchant = serializers.CharField()
    role = serializers.CharField()
    mode = serializers.ChoiceField(choices=Mode.choices)
    scopes = serializers.ListField(child=serializers.CharField())


class EventListSerializer(PageSerializer):
    """``?type=&subject_id=&since=&until=``"""

    type = TextField(max_length=500, required=False, help_text="Types, several with commas; shipment.* takes a family.")
    subject_id = serializers.UUIDField(required=False)
    since = MomentField(required=False)
    until = MomentField(required=False, help_text="Not included.")

    def validate_type(self, value: str) -> list[str]:
        return [name.strip() for name in value.split(",") if name.strip()][:20]


class EventSerializer(serializers.Serializer):
    id = serializers.UUIDField()
    type = serializers.CharField()
    visibility = serializers.ChoiceField(choices=["public", "audit"])
    subject_id = serializers.UUIDField(allow_null=True)
    data = serializers.DictField()
    actor = serializers.CharField(allow_blank=True)
    address = serializers.CharField(allow_null=True)
    correlation_id = serializers.CharField(allow_blank=True)
    created_at = serializers.DateTimeField()


class EventPageSerializer(serializers.Serializer):
    events = EventSerializer(many=True)
    pagination = PaginationSerializer()


class UsageQuerySerializer(serializers.Serializer):
    """``?from=2026-01-01&to=2026-01-31``, both included; the last thirty days unless said otherwise."""

    def get_fields(self) -> dict[str, serializers.Field]:
        """``from`` cannot be the name of an attribute."""
        return {
            "from": serializers.DateField(required=False),
            "to": serializers.DateField(required=False),
        }

    def validate(self, attrs: dict[str, date]) -> dict[str, date]:
        until = attrs.get("to") or timezone.now().date()
        since = attrs.get("from") or date.fromordinal(max(1, until.toordinal() - 29))
        if not timedelta(0) <= until - since < timedelta(days=MAX_USAGE_DAYS):
            raise serializers.ValidationError(
                {"from": _("A period of 1 to %(days)d days is expected.") % {"days": MAX_USAGE_DAYS}}
            )
        return {"since": since, "until": until}


class UsedSerializer(serializers.Serializer):
    id = serializers.UUIDField()
    requests = serializers.IntegerField()
    failures = serializers.IntegerField()
    last_used_at = serializers.DateTimeField()


class UsageDaySerializer(serializers.Serializer):
    date = serializers.DateField()
    requests = serializers.IntegerField(help_text="Over all keys.")
    failures = serializers.IntegerField()
    keys = UsedSerializer(many=True)
    credentials = UsedSerializer(many=True)


class UsageSerializer(serializers.Serializer):
    days = UsageDaySerializer(many=True)
