"""Serializer fields that accept their own type only, not values that convert to it."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any, NamedTuple, TypeVar

from django.core.validators import RegexValidator
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.utils.formatting import lazy_format

from apikeys.http.currencies import current_currencies
from apikeys.http.text import normalize_identifier, normalize_text

# Python's own numbers also allow "1_000", "+5", "1e5", "Infinity" and digits of other scripts.
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
# A calendar date, alone or with a time (RFC 3339, or the basic form of ISO 8601); no weeks or days of the year. A "+"
# without percent-encoding arrives as a space in a query.
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MOMENT = re.compile(
    r"(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{8})"
    r"(?:[Tt ](?P<time>[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]{1,9})?)?|[0-9]{4}(?:[0-9]{2})?)"
    r"(?P<offset> ?[Zz]|[+ -][0-9]{2}(?::?[0-9]{2})?)?)?"
)
# The error of binary fractions, as in 0.30000000000000004, relative to the number.
_BINARY_ERROR = Decimal("1e-9")
Serializer = TypeVar("Serializer", bound=serializers.Serializer)


class TextField(serializers.CharField):
    """A JSON string in NFC, without surrounding blanks and invisible characters. A number or boolean is an error."""

    def run_validation(self, data: Any = serializers.empty) -> Any:
        """Normalize the text before it is checked, so that an invisible text counts as blank."""
        return super().run_validation(normalize_text(data) if isinstance(data, str) else data)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class IdentifierField(TextField):
    """A number or code that names an object. Invisible characters are refused."""

    INVISIBLE = _("It contains an invisible character.")
    default_error_messages = {"invisible": INVISIBLE}

    def run_validation(self, data: Any = serializers.empty) -> Any:
        """Normalize the identifier before it is checked."""
        try:
            return super().run_validation(normalize_identifier(data) if isinstance(data, str) else data)
        except ValueError:
            self.fail("invisible")


class IntegerField(serializers.IntegerField):
    """A whole number, or its decimal digits as a text."""

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, str) and not _NUMBER.fullmatch(data.strip()):
            self.fail("invalid")
        return super().to_internal_value(data)


class FloatField(serializers.FloatField):
    """A finite number, or its decimal digits as a text."""

    def to_internal_value(self, data: Any) -> float:
        if isinstance(data, bool) or (isinstance(data, str) and not _NUMBER.fullmatch(data.strip())):
            self.fail("invalid")
        value = super().to_internal_value(data)
        if value - value != 0:  # NaN or infinite
            self.fail("invalid")
        return value


class DecimalField(serializers.DecimalField):
    """A decimal number, or its digits as a text. The error of a binary fraction is rounded away."""

    rounds_all: bool = False

    def to_internal_value(self, data: Any) -> Decimal:
        if isinstance(data, str):
            data = data.strip()
            if len(data) <= self.MAX_STRING_LENGTH and not _NUMBER.fullmatch(data):
                self.fail("invalid")
        return super().to_internal_value(self._round(data))

    def _round(self, data: Any) -> Any:
        """Return the number in the field's precision if it is to be rounded, else the data."""
        if isinstance(data, bool) or not isinstance(data, str | int | float) or len(str(data)) > self.MAX_STRING_LENGTH:
            return data
        try:
            value = Decimal(str(data))
            rounded = value.quantize(Decimal(1).scaleb(-self.decimal_places), ROUND_HALF_UP)
        except InvalidOperation:  # infinite, or too large for any field
            return data
        is_error = abs(value - rounded) <= _BINARY_ERROR * max(abs(value), 1)
        return rounded if self.rounds_all or is_error else data


class MeasureField(DecimalField):
    """A weight or length, rounded to the field's precision: a scale or a conversion of units may report more digits."""

    rounds_all = True


class MoneyField(DecimalField):
    """An amount of money with up to three decimals. ``shipping.common.amounts`` checks it against its currency."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"max_digits": 13, "decimal_places": 3, **kwargs})

    def quantize(self, value: Decimal) -> Decimal:
        """Return the amount with three decimals only if it needs them."""
        amount = super().quantize(value)
        short = amount.quantize(Decimal("0.01"), ROUND_HALF_UP)
        return short if short == amount else amount


class DateField(serializers.DateField):
    """A calendar date, ``2024-01-15``."""

    def to_internal_value(self, value: Any) -> date:
        if isinstance(value, str) and not _DATE.fullmatch(value):
            self.fail("invalid", format="YYYY-MM-DD")
        return super().to_internal_value(value)


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
    """An ISO 4217 code of today's legal tender, accepted in any case, returned in upper case."""

    default_error_messages = {"unknown": _("An ISO 4217 code is expected, like USD.")}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(min_length=3, max_length=3, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        if not text.isascii() or text.upper() not in current_currencies():
            self.fail("unknown")
        return text.upper()


class Moment(NamedTuple):
    """An instant in UTC, its original text, and whether its offset was assumed."""

    at: datetime
    text: str
    tz_assumed: bool

    @property
    def day(self) -> date:
        """The calendar day as it was written, not converted to UTC."""
        return date.fromisoformat(self.text[: 10 if self.text[4] == "-" else 8])

    @property
    def is_day(self) -> bool:
        """Whether it was written as a calendar date without a time."""
        return len(self.text) <= 10

    @property
    def local(self) -> datetime:
        """The instant with the offset that it was written with."""
        parsed = _parse_moment(self.text)
        return self.at if parsed is None or parsed.tzinfo is None else parsed


def _parse_moment(text: str) -> datetime | None:
    """Return a time as it is written, or None if it has another form. Raises ``ValueError`` for a 13th month."""
    found = _MOMENT.fullmatch(text)
    if found is None:
        return None
    day, time, offset = found.groups()
    offset = (offset or "").upper()
    offset = offset.strip() if offset.endswith("Z") else offset.replace(" ", "+")
    return datetime.fromisoformat(f"{day}T{time}{offset}" if time else day)


@extend_schema_field(OpenApiTypes.DATETIME)
class MomentField(serializers.Field):
    """An ISO 8601 time, as a ``Moment``. Without an offset, UTC is assumed."""

    default_error_messages = {
        "invalid": _("An ISO 8601 date and time is expected, like 2024-01-15T10:30:00Z."),
        "impossible": _("There is no such date or time."),
    }

    def to_internal_value(self, data: Any) -> Moment:
        text = data.strip() if isinstance(data, str) and len(data) <= 64 else ""
        try:
            parsed = _parse_moment(text)
            if parsed is None:
                self.fail("invalid")
            at = (parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed).astimezone(UTC)
        except (ValueError, OverflowError):
            self.fail("impossible")
        return Moment(at, text, parsed.tzinfo is None)

    def to_representation(self, value: Any) -> Any:
        return value
