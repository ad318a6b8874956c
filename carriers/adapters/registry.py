"""The carriers that Waybill speaks to: one module each, and one line here."""

from __future__ import annotations

from django.utils.translation import gettext as _

from apikeys.http.errors import ValidationFailed
from carriers.adapters.base import CarrierAdapter
from carriers.adapters.pickit import PickitAdapter
from carriers.adapters.velocity import VelocityAdapter

ADAPTERS: dict[str, type[CarrierAdapter]] = {
    "pickit": PickitAdapter,
    "velocity": VelocityAdapter,
}


def adapter_class(name: str) -> type[CarrierAdapter]:
    """The adapter of a carrier, by slug or display name in any case. Raises ``ValidationFailed`` naming ``carrier``."""
    wanted = name.strip().lower()
    found = ADAPTERS.get(wanted) or next((one for one in ADAPTERS.values() if one.name.lower() == wanted), None)
    if found is None:
        known = ", ".join(adapter.name for adapter in ADAPTERS.values())
        raise ValidationFailed(details={"carrier": [_("Unknown carrier. Known: %s") % known]})
    return found
