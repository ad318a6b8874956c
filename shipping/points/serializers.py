"""Requests for pickup points."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from apikeys.http.fields import CountryField, FloatField, IntegerField, TextField
from shipping.common.request_fields import in_country_form

_ADDRESS = ("street", "city", "postal_code")


class PointSearchSerializer(serializers.Serializer):
    """A search for pickup points near coordinates or near an address, within the documented bounds."""

    latitude = FloatField(min_value=-90, max_value=90, required=False, help_text="With `longitude`, or an address.")
    longitude = FloatField(min_value=-180, max_value=180, required=False)
    country = CountryField(required=False, help_text="Of the address; some carriers also need it with coordinates.")
    postal_code = TextField(max_length=20, required=False, help_text="Of an address, with `country`.")
    city = TextField(max_length=100, required=False)
    street = TextField(max_length=200, required=False)
    radius_km = FloatField(min_value=0.1, max_value=50, default=5.0)
    limit = IntegerField(min_value=1, max_value=100, default=20)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Return the search with ``address`` as an object."""
        required = [_("This field is required.")]
        address = {name: attrs.pop(name) for name in _ADDRESS if name in attrs}
        if "latitude" in attrs or "longitude" in attrs:
            if missing := {name for name in ("latitude", "longitude") if name not in attrs}:
                raise serializers.ValidationError(dict.fromkeys(missing, required))
        elif not address and "country" not in attrs:
            raise serializers.ValidationError({"latitude": required, "longitude": required})
        elif "country" not in attrs:
            raise serializers.ValidationError({"country": required})
        elif not address:
            raise serializers.ValidationError({"postal_code": [_("State a postal code, a city or a street.")]})
        if address and "country" in attrs:
            attrs["address"] = self._with_postal_code({**address, "country": attrs["country"]})
        return attrs

    def _with_postal_code(self, address: dict[str, Any]) -> dict[str, Any]:
        """Return the address with its postal code as its country writes it; a city alone is enough to search."""
        return in_country_form(address) if "postal_code" in address else address


class PointQuerySerializer(serializers.Serializer):
    """The query for one pickup point."""

    country = CountryField(required=False, default="", help_text="Some carriers need it; their ids are per country.")
