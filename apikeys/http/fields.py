"""Serializer fields that accept their own type only, not values that convert to it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeVar

from babel.numbers import list_currencies
from django.core.validators import RegexValidator
from django.utils.dateparse import parse_datetime
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.utils.formatting import lazy_format

_CURRENCIES = list_currencies()
Serializer = TypeVar("Serializer", bound=serializers.Serializer)


class TextField(serializers.CharField):
    """A JSON string, without surrounding blanks. A number or boolean is an error."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


def make_reusable(serializer: Serializer) -> Serializer:
    """Prepare a flat serializer for use by many requests, since creating its fields costs more than a validation.

    DRF's lazy messages keep the language of their first use. They are replaced by ones that follow each request's.
    """
    for field in serializer.fields.values():
        for validator in field.validators:
            message = getattr(validator, "message", None)
            if isinstance(message, lazy_format) and message.result is None:
                validator.message = format_lazy(message.format_string, *message.args, **message.kwargs)
    return serializer


class CountryField(TextField):
    """An ISO 3166-1 alpha-2 code, accepted in any case, returned in upper case."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=2, **kwargs)
        self.validators.append(RegexValidator(r"^[A-Z]{2}$", _("An ISO 3166-1 alpha-2 code is expected, like US.")))

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        return text.upper() if text.isascii() else text  # "ß".upper() is SS, South Sudan


class CurrencyField(TextField):
    """An ISO 4217 code, accepted in any case, returned in upper case."""

    default_error_messages = {"unknown": _("An ISO 4217 code is expected, like USD.")}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(min_length=3, max_length=3, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        if not text.isascii() or text.upper() not in _CURRENCIES:
            self.fail("unknown")
        return text.upper()


class Moment(NamedTuple):
    """An instant in UTC, its original text, and whether its offset was assumed."""

    at: datetime
    text: str
    tz_assumed: bool


@extend_schema_field(OpenApiTypes.DATETIME)
class MomentField(serializers.Field):
    """An ISO 8601 time, as a ``Moment``. Without an offset, UTC is assumed."""

    default_error_messages = {"invalid": _("An ISO 8601 date and time is expected, like 2024-01-15T10:30:00Z.")}

    def to_internal_value(self, data: Any) -> Moment:
        try:
            parsed = parse_datetime(data.strip()) if isinstance(data, str) and len(data) <= 64 else None
            if parsed is None:
                self.fail("invalid")
            assumed = parsed.tzinfo is None
            at = (parsed.replace(tzinfo=UTC) if assumed else parsed).astimezone(UTC)
        except (ValueError, OverflowError):
            self.fail("invalid")
        return Moment(at, data.strip(), assumed)

    def to_representation(self, value: Any) -> Any:
        return value
