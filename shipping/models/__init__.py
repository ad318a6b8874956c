"""Shipments and the tables that belong to them."""

from shipping.models.checkpoints import MAPPED_STATUSES, Checkpoint, CheckpointReport, StatusCode
from shipping.models.documents import DOCUMENT_TYPES, LABEL_TYPES, MANIFEST_TYPE, Document, document_path
from shipping.models.labels import label_path
from shipping.models.manifests import Manifest, ManifestFile
from shipping.models.pickups import Pickup
from shipping.models.quotes import Quote
from shipping.models.search import ShipmentSearch
from shipping.models.shipments import Orphan, Parcel, Shipment
from shipping.models.states import UNIT_STATES, UNSETTLED, BookingState, StatusChoices
from shipping.models.tallies import DeliveryTally, UnitTally
from shipping.models.triggers import COUNTS, FROZEN_CHECKPOINTS, FROZEN_REPORTS, SEARCH_ROWS
from shipping.models.warehouses import Warehouse, WarehouseRegistration

__all__ = [
    "BookingState",
    "COUNTS",
    "Checkpoint",
    "CheckpointReport",
    "DeliveryTally",
    "DOCUMENT_TYPES",
    "Document",
    "FROZEN_CHECKPOINTS",
    "FROZEN_REPORTS",
    "LABEL_TYPES",
    "MANIFEST_TYPE",
    "Manifest",
    "ManifestFile",
    "Orphan",
    "MAPPED_STATUSES",
    "Parcel",
    "Pickup",
    "Quote",
    "SEARCH_ROWS",
    "Shipment",
    "ShipmentSearch",
    "StatusChoices",
    "StatusCode",
    "UNIT_STATES",
    "UNSETTLED",
    "UnitTally",
    "Warehouse",
    "WarehouseRegistration",
    "document_path",
    "label_path",
]
