"""Requests that post checkpoints."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.validators import RegexValidator
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from apikeys.http.fields import IdentifierField, MomentField, TextField
from shipping.checkpoints.posting import POSTABLE
from shipping.common.request_fields import StatusField

_LONGEST_DELIVERY = timedelta(days=731)


class TrackingNumberField(IdentifierField):
    """A tracking number, stored without the blanks that group its characters on labels."""

    def to_internal_value(self, data: Any) -> str:
        return super().to_internal_value(data).replace(" ", "")


class CheckpointRequestSerializer(serializers.Serializer):
    """``POST /api/v1/checkpoints``"""

    tracking_id = TrackingNumberField(
        min_length=6,
        max_length=50,
        validators=[RegexValidator(r"^[^\s/\\?#%]+$", _("It must not contain slashes, ?, # or percent signs."))],
        error_messages={"min_length": _("The tracking ID must have at least {min_length} characters.")},
    )
    status = StatusField(states=POSTABLE)
    location = TextField(max_length=200)
    description = TextField(max_length=500)
    timestamp = MomentField()
    estimated_delivery = MomentField(
        required=False,
        allow_null=True,
        help_text="When you expect the delivery. A date ends with its day, in the offset of the timestamp. The unit's "
        "first estimate is the promise in the analytics; the latest is shown as delivery_time until the delivery.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse an estimate that cannot be meant, such as one of 1970."""
        estimate, at = attrs.get("estimated_delivery"), attrs["timestamp"].at
        if estimate and not -_LONGEST_DELIVERY <= estimate.at - at <= _LONGEST_DELIVERY:
            text = _("A time within two years of the timestamp is expected.")
            raise serializers.ValidationError({"estimated_delivery": [text]})
        return attrs
