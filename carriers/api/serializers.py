"""What merchants send to the carriers' part of the API, and how a credential is shown."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from apikeys.http.fields import CountryField, TextField
from apikeys.http.pagination import PaginationSerializer
from carriers.adapters.registry import adapter_class
from carriers.credentials.fields import decrypt_fields
from carriers.models import Credential, Environment

MOST_DAYS = timedelta(days=92)


class CarrierQuerySerializer(serializers.Serializer):
    """``?carrier=``"""

    carrier = TextField(max_length=40)


class CredentialRequestSerializer(serializers.Serializer):
    """``{"environment": "sandbox", "credentials": {…}}``; which fields there are is the carrier's affair."""

    environment = serializers.ChoiceField(choices=Environment.choices)
    credentials = serializers.DictField(child=TextField(max_length=500), allow_empty=False)


class NewCredentialSerializer(CredentialRequestSerializer):
    """The same for an account of a carrier that is named beside."""

    carrier = TextField(max_length=40)


class CredentialChangeSerializer(serializers.Serializer):
    """Fields that are not named keep their value."""

    credentials = serializers.DictField(child=TextField(max_length=500), allow_empty=False)


class LastTestSerializer(serializers.Serializer):
    """How the account's last trial went."""

    ok = serializers.BooleanField()
    error = serializers.CharField(allow_null=True)
    message = serializers.CharField(allow_null=True, help_text="In the carrier's words.")
    latency_ms = serializers.IntegerField()
    at = serializers.DateTimeField()


class CredentialSerializer(serializers.ModelSerializer):
    """A stored credential without its secrets."""

    status = serializers.SerializerMethodField()
    carrier = serializers.SerializerMethodField()
    environment = serializers.ChoiceField(choices=Environment.choices)
    stored_fields = serializers.SerializerMethodField(help_text="The names of the stored fields.")
    last_test = LastTestSerializer(allow_null=True)

    class Meta:
        model = Credential
        fields = [
            "status",
            "id",
            "carrier",
            "environment",
            "mode",
            "is_active",
            "stored_fields",
            "last_test",
            "refused_at",
            "refusal",
            "created_at",
            "updated_at",
        ]

    def get_status(self, row: Credential) -> str:
        return "success"

    def get_carrier(self, row: Credential) -> str:
        return adapter_class(row.carrier).name

    def get_stored_fields(self, row: Credential) -> list[str]:
        return sorted(decrypt_fields(row) or {})


class CredentialPageSerializer(serializers.Serializer):
    """The merchant's own accounts."""

    credentials = CredentialSerializer(many=True)
    pagination = PaginationSerializer()


class CoverageSearchSerializer(serializers.Serializer):
    """A place whose coverage is asked."""

    postal_code = TextField(max_length=20)
    city = TextField(max_length=100)
    country = CountryField(default="US")


class ReportSearchSerializer(serializers.Serializer):
    """Which of the carrier's reports, over which days (both included)."""

    kind = TextField(max_length=40)
    since = serializers.DateField()
    until = serializers.DateField()

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["until"] < attrs["since"]:
            raise serializers.ValidationError({"until": [_("It ends before it starts.")]})
        if attrs["until"] - attrs["since"] > MOST_DAYS:
            raise serializers.ValidationError({"until": [_("A report covers at most %d days.") % MOST_DAYS.days]})
        return attrs
