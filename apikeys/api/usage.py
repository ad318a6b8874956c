"""Usage statistics: serializers and endpoint."""

from __future__ import annotations

from datetime import date, timedelta
from typing import ClassVar

from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apikeys.access import usage
from apikeys.access.views import ApiViewSet
from apikeys.http.fields import DateField
from apikeys.models import scopes

MAX_USAGE_DAYS = 366


class UsageQuerySerializer(serializers.Serializer):
    """Period ``?from=2026-01-01&to=2026-01-31``, both days inclusive. Default: the last 30 days."""

    def get_fields(self) -> dict[str, serializers.Field]:
        # A class attribute cannot be named ``from``.
        return {
            "from": DateField(required=False),
            "to": DateField(required=False),
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
    requests = serializers.IntegerField(help_text="The sum of all keys.")
    failures = serializers.IntegerField()
    keys = UsedSerializer(many=True)
    credentials = UsedSerializer(many=True)


class UsageSerializer(serializers.Serializer):
    days = UsageDaySerializer(many=True)


class UsageViewSet(ApiViewSet):
    """Usage statistics of API keys and credentials."""

    scopes: ClassVar = {"list": scopes.REPORTS_READ}
    merchant_wide = True

    @extend_schema(parameters=[UsageQuerySerializer], responses={200: UsageSerializer}, tags=["usage"])
    def list(self, request: Request) -> Response:
        """List requests, failures and last use per day (UTC), key and credential. Days without requests are omitted."""
        period = self.validate(UsageQuerySerializer, request.query_params)
        return Response({"days": usage.by_day(self.tenant, **period)})
