"""The registry of carriers: each is one package of ``carriers/adapters`` and one line in ``ADAPTERS``."""

from __future__ import annotations

from django.utils.translation import gettext as _

from apikeys.http.errors import ValidationFailed
from carriers.adapters.base import CarrierAdapter
from carriers.adapters.bring import BringAdapter
from carriers.adapters.pickit import PickitAdapter
from carriers.adapters.ups import UpsAdapter
from carriers.adapters.velocity import VelocityAdapter

ADAPTERS: dict[str, type[CarrierAdapter]] = {
    "bring": BringAdapter,
    "pickit": PickitAdapter,
    "ups": UpsAdapter,
    "velocity": VelocityAdapter,
}


def adapter_class(name: str) -> type[CarrierAdapter]:
    """Return the adapter of a carrier, by slug or display name in any case.

    Raises ``ValidationFailed`` naming ``carrier``.
    """
    key = name.strip().lower()
    for slug, adapter in ADAPTERS.items():
        if key in (slug, adapter.name.lower()):
            return adapter
    known = ", ".join(adapter.name for adapter in ADAPTERS.values())
    raise ValidationFailed(details={"carrier": [_("Unknown carrier. Known: %s") % known]})
