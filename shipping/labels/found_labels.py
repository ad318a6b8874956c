"""The labels of shipments that a lookup found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from carriers.adapters.base import CarrierAdapter
from carriers.types import BookedShipment
from carriers.types.errors import CarrierNotFound
from shipping.common import refs
from shipping.models import Shipment


def fetch_label(shipment: Shipment, adapter: CarrierAdapter, found: Sequence[BookedShipment]) -> BookedShipment | None:
    """Return the first shipment with a label, fetched if the lookup did not bring it; None if there is no label.

    Without a ``Lookup``, the first shipment is returned: the adapter's lookup has the label, or its URL.
    Raises: what the adapter raises if the carrier cannot be asked for the label now.
    """
    if adapter.lookup is None:
        return found[0]
    for booked in found:
        if any(one.kind == "label" and (one.content or one.url) for one in booked.documents):
            return booked
    for booked in found if "documents" in adapter.capabilities() else ():
        try:
            documents = adapter.documents(refs.found_ref(shipment, booked), ["label"])
        except CarrierNotFound:
            continue
        if any(one.content for one in documents):
            return replace(booked, documents=(*booked.documents, *documents))
    return None
