"""A carrier in a path: any known one, by slug or display name, in any case."""

from __future__ import annotations

import re

from django.urls import register_converter

from carriers.adapters.registry import ADAPTERS, adapter_class


class CarrierConverter:
    """Gives the slug; a path with an unknown carrier does not exist."""

    regex = "(?i:" + "|".join(re.escape(name) for slug, one in ADAPTERS.items() for name in (slug, one.name)) + ")"

    def to_python(self, value: str) -> str:
        return adapter_class(value).slug

    def to_url(self, value: str) -> str:
        return value


register_converter(CarrierConverter, "carrier")
