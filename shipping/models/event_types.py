"""Event types of this app. Only public ones are sent to merchants' endpoints."""

from apikeys.audit.events import EventType

SHIPMENT_BOOKED = EventType("shipment.booked", public=True)  # a label was bought
SHIPMENT_FAILED = EventType("shipment.failed", public=True)  # a booking failed finally
SHIPMENT_CANCELLED = EventType("shipment.cancelled", public=True)
# A cancelled shipment is moving: the carrier still has the parcel.
SHIPMENT_SCANNED_AFTER_CANCELLATION = EventType("shipment.scanned_after_cancellation", public=True)
SHIPMENT_CHECKPOINT = EventType("shipment.checkpoint", public=True)  # one new scan or event
SHIPMENT_STATUS_CHANGED = EventType("shipment.status_changed", public=True)
PICKUP_SCHEDULED = EventType("pickup.scheduled", public=True)
PICKUP_COMPLETED = EventType("pickup.completed", public=True)
PICKUP_CANCELLED = EventType("pickup.cancelled", public=True)
MANIFEST_CREATED = EventType("manifest.created", public=True)  # a day was closed at its carrier

SHIPMENT_PENDING = EventType("shipment.pending")  # the carrier did not answer
SHIPMENT_NEEDS_REVIEW = EventType("shipment.needs_review")
ORPHAN_VOIDED = EventType("shipment.orphan_voided")  # an orphaned label was voided
ORPHAN_NOT_VOIDED = EventType("shipment.orphan_not_voided")  # the carrier refused to void it
ORPHAN_SCANNED = EventType("shipment.orphan_scanned")  # a voided label moves all the same
PICKUP_NEEDS_REVIEW = EventType("pickup.needs_review")
SHIPMENT_UPDATED = EventType("shipment.updated", public=True)  # the carrier accepted a change of the order
WAREHOUSE_CHANGED = EventType("warehouse.changed")
STATUS_CODE_PLACED = EventType("status_code.placed")  # operations staff mapped a carrier's code
