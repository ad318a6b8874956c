"""OpenAPI: what is the same for every operation, said once."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers

# What any operation may answer besides its success; ``apikeys.errors`` and ``carriers.errors`` say when.
ERROR_STATUSES = ["400", "401", "403", "404", "405", "409", "413", "415", "422", "429", "500", "502", "503", "504"]


class ErrorSerializer(serializers.Serializer):
    """Every answer of 400 and above."""

    error = serializers.CharField(help_text="The code; see the table of errors.")
    message = serializers.CharField()
    details = serializers.DictField(help_text="Field of the request to a list of sentences.")
    correlation_id = serializers.CharField()
    carrier = serializers.CharField(required=False)
    carrier_code = serializers.CharField(required=False)
    carrier_message = serializers.CharField(required=False)
    retryable = serializers.BooleanField(required=False)


class WaybillSchema(AutoSchema):
    """Adds the error shape to every operation and the Idempotency-Key header to creating ones."""

    def get_operation_id(self) -> str:
        """The neutral path keeps the plain name; its alias under a carrier, or for one credential, says so."""
        name = super().get_operation_id()
        if "{credential_id}" in self.path:
            return f"{name}_of_credential"
        return f"{name}_of_carrier" if self.path.startswith("/api/v1/{carrier}/") else name

    def get_override_parameters(self) -> list[Any]:
        handler = getattr(self.view, getattr(self.view, "action", "") or "", None)
        if not getattr(handler, "is_idempotent", False):
            return []
        return [
            OpenApiParameter(
                "Idempotency-Key",
                str,
                OpenApiParameter.HEADER,
                description="Repeat safely: 1 to 255 printable characters.",
            )
        ]

    def _get_response_bodies(self, direction: str = "response") -> dict[str, Any]:
        bodies = super()._get_response_bodies(direction)
        for status in ERROR_STATUSES:
            bodies.setdefault(status, self._get_response_for_code(ErrorSerializer, status, direction=direction))
        return bodies


class ApiKeyScheme(OpenApiAuthenticationExtension):
    """How the documents name the key's header."""

    target_class = "apikeys.authentication.ApiKeyAuthentication"
    name = "ApiKey"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:
        return {"type": "apiKey", "in": "header", "name": "X-API-Key"}


def one_mount(endpoints: list[Any]) -> list[Any]:
    """drf-spectacular's preprocessing hook: describe each view once, not again under its second mount."""
    return [endpoint for endpoint in endpoints if not endpoint[0].startswith("/api/week3-integrations/")]
