"""OpenAPI: what is the same for every operation, said once."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.core.validators import RegexValidator
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers

from apikeys.models.scopes import OF_KEYS

# What any operation may answer besides its success; ``apikeys.http.errors`` and ``carriers.types.errors`` say when.
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

    def get_description(self) -> str:
        """Tells the scope that an operation needs."""
        scope = getattr(self.view, "scopes", {}).get(getattr(self.view, "action", None))
        told = super().get_description()
        return f"{told}\n\nNeeds the scope `{scope}`." if scope else told

    def get_auth(self) -> list[dict[str, Any]]:
        """A key opens nothing whose scope no key can hold."""
        scope = getattr(self.view, "scopes", {}).get(getattr(self.view, "action", None))
        ways = super().get_auth()
        return [way for way in ways if "ApiKey" not in way] if scope and scope not in OF_KEYS else ways

    def _is_list_view(self, serializer: Any = None) -> bool:
        """A list is named so, and answered as an object that holds its page, never as a bare array."""
        return super()._is_list_view() if serializer is None else isinstance(serializer, serializers.ListSerializer)

    def get_override_parameters(self) -> list[Any]:
        handler = getattr(self.view, getattr(self.view, "action", "") or "", None)
        if not getattr(handler, "is_idempotent", False):
            return []
        return [
            OpenApiParameter(
                "Idempotency-Key",
                {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]([ -~]*[!-~])?$"},
                OpenApiParameter.HEADER,
                description="Repeat safely: 1 to 255 printable characters.",
            )
        ]

    def _get_parameters(self) -> list[dict[str, Any]]:
        """Without what the path of an alias says already."""
        found = super()._get_parameters()
        in_path = {parameter["name"] for parameter in found if parameter["in"] == "path"}
        return [one for one in found if one["in"] != "query" or one["name"] not in in_path]

    def _unwrap_list_serializer(self, serializer: Any, direction: str) -> dict[str, Any] | None:
        schema = super()._unwrap_list_serializer(serializer, direction)
        named = {"minItems": "min_length", "maxItems": "max_length"}
        bounds = {name: getattr(serializer, bound, None) for name, bound in named.items()}
        is_list = schema and schema.get("type") == "array"
        return schema | {name: bound for name, bound in bounds.items() if bound} if is_list else schema

    def _map_serializer_field(self, field: Any, direction: str, bypass_extensions: bool = False) -> Any:
        schema = super()._map_serializer_field(field, direction, bypass_extensions)
        return schema | _bounds(field, schema) if direction == "request" and schema and "$ref" not in schema else schema

    def _get_response_bodies(self, direction: str = "response") -> dict[str, Any]:
        bodies = super()._get_response_bodies(direction)
        for status in ERROR_STATUSES:
            bodies.setdefault(status, self._get_response_for_code(ErrorSerializer, status, direction=direction))
        return bodies


def _bounds(field: Any, schema: dict[str, Any]) -> dict[str, Any]:
    """What a field checks and drf-spectacular does not tell of it."""
    if isinstance(field, serializers.ListSerializer):
        return {
            key: value
            for key, value in {
                "minItems": field.min_length if field.allow_empty else max(1, field.min_length or 0),
                "maxItems": field.max_length,
            }.items()
            if value is not None
        }
    if isinstance(field, serializers.ListField | serializers.DictField) and not field.allow_empty:
        return {"minItems" if isinstance(field, serializers.ListField) else "minProperties": 1}
    if isinstance(field, serializers.DecimalField) and schema.get("type") == "number":
        step = Decimal(1).scaleb(-field.decimal_places)
        most = Decimal(1).scaleb(field.max_digits - field.decimal_places) - step
        schema.pop("exclusiveMaximum", None)
        schema.pop("exclusiveMinimum", None)
        highest = most if field.max_value is None else min(most, field.max_value)
        lowest = -most if field.min_value is None else max(-most, field.min_value)
        return {"multipleOf": float(step), "minimum": float(lowest), "maximum": float(highest)}
    if isinstance(field, serializers.CharField) and not field.allow_blank and not _has_pattern(field):
        return {"pattern": r"\S"}  # blanks alone are no text
    return {}


def _has_pattern(field: serializers.CharField) -> bool:
    return any(isinstance(validator, RegexValidator) for validator in field.validators)


class ApiKeyScheme(OpenApiAuthenticationExtension):
    """How the documents name the key's header."""

    target_class = "apikeys.access.authentication.ApiKeyAuthentication"
    name = "ApiKey"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:
        return {"type": "apiKey", "in": "header", "name": "X-API-Key"}


class PersonScheme(OpenApiAuthenticationExtension):
    """Access tokens of people; a key of ours may stand there as well."""

    target_class = "apikeys.access.authentication.PersonAuthentication"
    name = "Bearer"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}


def one_mount(endpoints: list[Any]) -> list[Any]:
    """drf-spectacular's preprocessing hook: describe each view once, not again under its second mount."""
    return [endpoint for endpoint in endpoints if not endpoint[0].startswith("/api/week3-integrations/")]
