"""Mark the stored scans whose time cannot be right, and decide the status of their shipments again.

The same for shipments that were delivered after RTO: they are back at the sender.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import migrations, transaction
from django.db.models import F, Q
from django.utils import timezone

from apikeys.db.triggers import DropTriggers

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
BATCH = 500
# The fold as it was in this version, since that of the application changes: the statuses by progress.
RANKED = [
    "unknown",
    "created",
    "picked_up",
    "in_transit",
    "out_for_delivery",
    "exception",
    "ndr",
    "damaged",
    "lost",
    "at_pickup_point",
    "rto",
    "cancelled",
    "delivered",
    "returned",
]
RANK = {status: rank for rank, status in enumerate(RANKED)}
FINAL = {"delivered", "returned", "cancelled"}


def mark(apps: Any, schema_editor: Any) -> None:
    alias = schema_editor.connection.alias
    checkpoints = apps.get_model("shipping", "Checkpoint").objects.using(alias).order_by()
    shipments = apps.get_model("shipping", "Shipment").objects.using(alias).order_by()
    is_suspect = (
        Q(occurred_at__lt=EARLIEST)
        | Q(occurred_at__gt=F("created_at") + timedelta(hours=48))
        | Q(occurred_at__lt=F("shipment__created_at") - timedelta(days=60))
    )
    found = list(checkpoints.filter(is_suspect, source="carrier").values_list("id", "shipment_id"))
    for start in range(0, len(found), BATCH):
        ids = [checkpoint_id for checkpoint_id, _shipment_id in found[start : start + BATCH]]
        checkpoints.filter(id__in=ids).update(suspect_time=True)
    returned = shipments.filter(status="delivered", checkpoints__status="rto").values_list("id", flat=True)
    for shipment_id in {row[1] for row in found} | set(returned):
        with transaction.atomic(using=alias):  # a scan that another process stores at the same time waits
            shipments.select_for_update().get(id=shipment_id)
            _fold(shipments.filter(id=shipment_id), checkpoints.filter(shipment_id=shipment_id))
    shipments.filter(estimated_delivery__lt=EARLIEST).update(estimated_delivery=None)
    shipments.filter(promised_delivery__lt=EARLIEST).update(promised_delivery=None)


def _fold(shipment: Any, checkpoints: Any) -> None:
    columns = checkpoints.values_list("occurred_at", "status", "code", "location", "suspect_time")
    values = _summarize(list(columns))
    shipment.update(**values)
    if values["status"] not in FINAL:
        shipment.filter(poll_at__isnull=True).update(poll_at=timezone.now())


def _summarize(rows: list[tuple[datetime, str, str, str, bool | None]]) -> dict[str, Any]:
    """Return the columns of a shipment that its checkpoints decide."""
    ordered = sorted(
        (at, RANK[status], code, location, status) for at, status, code, location, wrong in rows if not wrong
    )
    leg, is_returning = [], False
    for at, _rank, _code, _location, status in ordered:
        is_returning |= status == "rto"
        if status != "unknown":
            leg.append(("returned" if is_returning and status == "delivered" else status, at))
    openings = [number for number, (status, _at) in enumerate(leg) if status in ("rto", "returned")]
    leg = leg[openings[-1] if openings else 0 :]
    final = [status for status, _at in leg if status in FINAL]
    status = (final or [status for status, _at in leg] or ["unknown" if rows else ""])[-1]
    delivered = [at for each, at in leg if each == "delivered"]
    return {
        "status": status,
        "delivered_at": delivered[0] if status == "delivered" else None,
        "picked_up_at": next((row[0] for row in ordered if row[-1] == "picked_up"), None),
        "location": next((row[3] for row in reversed(ordered) if row[3]), ""),
        "first_at": ordered[0][0] if ordered else None,
        "last_at": ordered[-1][0] if ordered else None,
    }


class Migration(migrations.Migration):
    # Only one shipment is locked at a time. Run again, it does the same.
    atomic = False
    dependencies = [("shipping", "0027_checkpoint_identity")]
    operations = [
        DropTriggers("shipping.frozen_checkpoints"),
        migrations.RunPython(mark, migrations.RunPython.noop),
    ]
