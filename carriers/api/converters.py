"""Path converter ``carrier``: the slug or display name of a registered carrier, in any case."""

from __future__ import annotations

import re

from django.urls import register_converter

from carriers.adapters.registry import ADAPTERS, adapter_class


class CarrierConverter:
    """Convert to the slug. A path with an unknown carrier is 404."""

    regex = "(?i:" + "|".join(re.escape(name) for slug, one in ADAPTERS.items() for name in (slug, one.name)) + ")"

    def to_python(self, value: str) -> str:
        return adapter_class(value).slug

    def to_url(self, value: str) -> str:
        return value


register_converter(CarrierConverter, "carrier")
