"""Requests that post checkpoints."""

from __future__ import annotations

from typing import Any

from django.core.validators import RegexValidator
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from apikeys.http.fields import IdentifierField, MomentField, TextField
from shipping.checkpoints.posting import POSTABLE
from shipping.common.request_fields import StatusField


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
