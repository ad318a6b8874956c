"""OpenAPI generation: what all operations share, and bounds that drf-spectacular leaves out."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.core.validators import RegexValidator
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers

from apikeys.models.scopes import OF_KEYS

# Error statuses of every operation. The errors are defined in ``apikeys.http.errors`` and ``carriers.types.errors``.
ERROR_STATUSES = ["400", "401", "403", "404", "405", "409", "413", "415", "422", "429", "500", "502", "503", "504"]


class ErrorSerializer(serializers.Serializer):
    """Body of every response with a status of 400 or above."""

    error = serializers.CharField(help_text="The error code; see the table of errors.")
    message = serializers.CharField()
    details = serializers.DictField(help_text="Maps fields of the request to lists of sentences.")
    correlation_id = serializers.CharField()
    carrier = serializers.CharField(required=False)
    carrier_code = serializers.CharField(required=False)
    carrier_message = serializers.CharField(required=False)
    retryable = serializers.BooleanField(required=False)


class WaybillSchema(AutoSchema):
    """Add error responses to every operation, and the Idempotency-Key header to those that accept it."""

    def get_operation_id(self) -> str:
        """Return the default id, with a suffix for aliases under a carrier and for paths of one credential."""
        name = super().get_operation_id()
        if "{credential_id}" in self.path:
            return f"{name}_of_credential" + ("_by_key" if "{key}" in self.path else "")
        return f"{name}_of_carrier" if self.path.startswith("/api/v1/{carrier}/") else name

    def get_description(self) -> str:
        """Add the scope that the operation needs."""
        scope = getattr(self.view, "scopes", {}).get(getattr(self.view, "action", None))
        description = super().get_description()
        return f"{description}\n\nNeeds the scope `{scope}`." if scope else description

    def get_auth(self) -> list[dict[str, Any]]:
        """Leave out API keys where the scope is for people only."""
        scope = getattr(self.view, "scopes", {}).get(getattr(self.view, "action", None))
        schemes = super().get_auth()
        return [scheme for scheme in schemes if "ApiKey" not in scheme] if scope and scope not in OF_KEYS else schemes

    def _is_list_view(self, serializer: Any = None) -> bool:
        """Name list operations as lists, but describe their response as an object: it contains the page."""
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
                description="Makes repeated requests safe. 1 to 255 printable ASCII characters.",
            )
        ]

    def _get_parameters(self) -> list[dict[str, Any]]:
        """Leave out query parameters that are part of an alias's path."""
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
    """Return the bounds that a field validates and drf-spectacular does not describe."""
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
        limit = Decimal(1).scaleb(field.max_digits - field.decimal_places) - step
        schema.pop("exclusiveMaximum", None)
        schema.pop("exclusiveMinimum", None)
        highest = limit if field.max_value is None else min(limit, field.max_value)
        lowest = -limit if field.min_value is None else max(-limit, field.min_value)
        return {"multipleOf": float(step), "minimum": float(lowest), "maximum": float(highest)}
    if isinstance(field, serializers.CharField) and not field.allow_blank:
        has_pattern = any(isinstance(validator, RegexValidator) for validator in field.validators)
        return {} if has_pattern else {"pattern": r"\S"}  # at least one character that is not whitespace
    return {}


class ApiKeyScheme(OpenApiAuthenticationExtension):
    """Security scheme of API keys in ``X-API-Key``."""

    target_class = "apikeys.access.authentication.ApiKeyAuthentication"
    name = "ApiKey"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:
        return {"type": "apiKey", "in": "header", "name": "X-API-Key"}


class PersonScheme(OpenApiAuthenticationExtension):
    """Security scheme of the ``Authorization`` header: a person's access token, or an API key that starts with wb_."""

    target_class = "apikeys.access.authentication.PersonAuthentication"
    name = "Bearer"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}


def drop_second_mount(endpoints: list[Any]) -> list[Any]:
    """Leave out the second mount of each view. This is drf-spectacular's preprocessing hook."""
    return [endpoint for endpoint in endpoints if not endpoint[0].startswith("/api/week3-integrations/")]
