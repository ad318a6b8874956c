"""Carriers' reports: serializers and endpoint."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apikeys.http.errors import PermissionRefused, ValidationFailed
from apikeys.http.fields import DateField, TextField
from apikeys.models import scopes
from carriers.api.base import CARRIER, CarrierViewSet
from carriers.types import ReportRequest

LONGEST_PERIOD = timedelta(days=92)


class ReportSearchSerializer(serializers.Serializer):
    """The kind of report and its period; both days are included."""

    kind = TextField(max_length=40)
    since = DateField()
    until = DateField()

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["until"] < attrs["since"]:
            raise serializers.ValidationError({"until": [_("It ends before it starts.")]})
        if attrs["until"] - attrs["since"] > LONGEST_PERIOD:
            text = _("A report covers at most %d days.") % LONGEST_PERIOD.days
            raise serializers.ValidationError({"until": [text]})
        return attrs


class ReportSerializer(serializers.Serializer):
    carrier = serializers.CharField()
    kind = serializers.CharField()
    since = serializers.DateField()
    until = serializers.DateField()
    rows = serializers.ListField(child=serializers.DictField())
    totals = serializers.DictField()


class ReportViewSet(CarrierViewSet):
    """Reports that carriers provide."""

    scopes: ClassVar = {"retrieve": scopes.REPORTS_READ}

    @extend_schema(
        parameters=[CARRIER, ReportSearchSerializer],
        responses={200: ReportSerializer},
        tags=["carriers"],
    )
    def retrieve(self, request: Request, carrier: str = "") -> Response:
        """Return one of the carrier's reports, with rows and totals as the carrier writes them."""
        credential, adapter = self.open_carrier(request, carrier)
        query = self.validate(ReportSearchSerializer, request.query_params)
        adapter.need("reports")
        # A report covers everything that was booked with the credential, so the caller must own all of that.
        if credential.merchant_id is None or self.tenant.store_id is not None:
            raise PermissionRefused(
                _("Only with a credential of your own and an API key that is not bound to a store.")
            )
        if query["kind"] not in adapter.report_kinds:
            text = _("One of these is expected: %s") % ", ".join(adapter.report_kinds)
            raise ValidationFailed(details={"kind": [text]})
        report = adapter.reports(ReportRequest(kind=query["kind"], since=query["since"], until=query["until"]))
        return Response(
            {
                "carrier": adapter.name,
                "kind": report.kind,
                "since": query["since"].isoformat(),
                "until": query["until"].isoformat(),
                "rows": list(report.rows),
                "totals": report.totals,
            }
        )
