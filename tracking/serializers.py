"""The documented query of ``/next-tracking-number`` and its response, and those of the list endpoint."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.utils.translation import gettext_lazy as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apikeys.http.fields import make_reusable
from tracking.countries import COUNTRIES

MAX_NUMBERS = 1000  # per request
CODES = tuple(sorted(COUNTRIES))
WEIGHT = re.compile(r"-?[0-9]{1,6}(\.[0-9]{1,3})?")
# RFC 3339, section 5.6. A "+" without percent-encoding arrives as a space, also in the document's own example.
RFC_3339 = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?)"
    r"([Zz]|[+ -](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)
UUID_TEXT = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


@extend_schema_field({"type": "string", "enum": list(CODES), "example": "MY"})
class OfficialCountryField(serializers.Field):
    """An assigned ISO 3166-1 alpha-2 code. Input may be in any case, output is in upper case."""

    default_error_messages = {"invalid": _("An ISO 3166-1 alpha-2 country code is expected, like MY.")}

    def to_internal_value(self, data: str) -> str:
        # upper() turns some other letters into ASCII: "ß" becomes "SS", South Sudan.
        code = data.strip().upper() if isinstance(data, str) and data.isascii() else ""
        if code not in COUNTRIES:
            self.fail("invalid")
        return code


@extend_schema_field({"type": "number", "minimum": 0.001, "maximum": 999999.999, "multipleOf": 0.001, "example": 1.234})
class WeightField(serializers.Field):
    """A weight in kilograms, above zero."""

    default_error_messages = {
        "invalid": _("A weight in kg is expected, at most 6 digits before the point and 3 after it, like 1.234."),
        "not_positive": _("The weight must be greater than zero."),
    }

    def to_internal_value(self, data: Any) -> Decimal:
        text = str(data).strip() if isinstance(data, str | int | float) and not isinstance(data, bool) else ""
        if not WEIGHT.fullmatch(text):
            self.fail("invalid")
        weight = Decimal(text)
        if weight <= 0:
            self.fail("not_positive")
        return weight


@extend_schema_field(OpenApiTypes.DATETIME)
class InstantField(serializers.Field):
    """An RFC 3339 time with an offset, converted to UTC with microseconds."""

    default_error_messages = {
        "invalid": _("An RFC 3339 date and time with an offset is expected, like 2018-11-20T19:29:32+08:00.")
    }

    def to_internal_value(self, data: str) -> datetime:
        found = RFC_3339.fullmatch(data.strip()) if isinstance(data, str) else None
        if found is None:
            self.fail("invalid")
        date, time, offset = found.groups()
        try:
            moment = datetime.fromisoformat(f"{date}T{time}{offset.upper().replace(' ', '+')}")
            return moment.astimezone(UTC)
        except (ValueError, OverflowError):  # no such day or hour, or in UTC outside the years 1 to 9999
            self.fail("invalid")


class CanonicalUuidField(serializers.UUIDField):
    """A UUID in the text form of RFC 9562. Python also accepts braces, and hyphens anywhere."""

    def to_internal_value(self, data: str) -> UUID:
        if not isinstance(data, str) or not UUID_TEXT.fullmatch(data.strip()):
            self.fail("invalid", value=data)
        return super().to_internal_value(data.strip())


class NextNumberSerializer(serializers.Serializer):
    """The seven documented query parameters, all required."""

    origin_country_id = OfficialCountryField(source="origin", help_text="ISO 3166-1 alpha-2.")
    destination_country_id = OfficialCountryField(source="destination", help_text="ISO 3166-1 alpha-2.")
    weight = WeightField(source="weight_kg", help_text="Kilograms, at most 3 decimals.")
    created_at = InstantField(help_text="RFC 3339 with an offset.")
    customer_id = CanonicalUuidField()
    customer_name = serializers.CharField(max_length=200)
    customer_slug = serializers.RegexField(
        re.compile(r"^[a-z0-9]+(-[a-z0-9]+)*\Z"),
        max_length=100,
        error_messages={"invalid": _("Lower-case words joined by hyphens are expected, like redbox-logistics.")},
    )


class NumberQuerySerializer(NextNumberSerializer):
    """The documented parameters and the format of the number."""

    number_format = serializers.ChoiceField(
        choices=["standard", "s10"],
        default="standard",
        help_text="standard: 16 characters; s10: the 13 characters of UPU S10, with the country of origin.",
    )
    service_indicator = serializers.RegexField(
        re.compile(r"^[A-Z]{2}\Z"),
        required=False,
        help_text="For S10 numbers, two letters: CP parcel (the default), RR registered, EE express.",
        error_messages={"invalid": _("Two upper-case letters are expected, like CP.")},
    )


class OneNumberSerializer(NumberQuerySerializer):
    """One number of a list. The same ``correlation_id`` gives the same number."""

    correlation_id = serializers.RegexField(
        re.compile(r"^[A-Za-z0-9._:-]{1,64}\Z"),
        required=False,
        help_text="Default: the request's X-Correlation-ID and the index in the list.",
    )


class NumbersRequestSerializer(serializers.Serializer):
    """The body of ``POST /api/v1/tracking-numbers``."""

    numbers = OneNumberSerializer(many=True, allow_empty=False, max_length=MAX_NUMBERS)


class RequestMetadataSerializer(serializers.Serializer):
    """The request that the number was issued for."""

    origin_country = serializers.CharField()
    destination_country = serializers.CharField()
    weight_kg = serializers.CharField(help_text="With 3 decimals, like 1.234.")
    customer_slug = serializers.CharField()


class TrackingNumberSerializer(serializers.Serializer):
    """An issued number."""

    tracking_number = serializers.RegexField(r"^[A-Z0-9]{1,16}$")
    created_at = serializers.DateTimeField(help_text="When the number was first issued.")
    correlation_id = serializers.CharField()
    request_metadata: Any = RequestMetadataSerializer()


class NumbersSerializer(serializers.Serializer):
    """The issued numbers, in the order of the request."""

    tracking_numbers: Any = TrackingNumberSerializer(many=True)
    count = serializers.IntegerField()


_FIELDS = {field.field_name: field for field in make_reusable(NumberQuerySerializer())._writable_fields}


def validate_query(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Validate parameters with the fields of ``NumberQuerySerializer``, which a serializer would copy per request.

    Raises: ValidationError with the messages of each wrong field.
    """
    data, errors = {}, {}
    for name, field in _FIELDS.items():
        try:
            data[field.source] = field.run_validation(parameters.get(name, serializers.empty))
        except serializers.ValidationError as error:
            errors[name] = error.detail
        except serializers.SkipField:
            continue
    if errors:
        raise serializers.ValidationError(errors)
    return data
