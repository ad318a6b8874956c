"""Mark the stored scans whose time cannot be right, and decide the status of their shipments again.

The same for shipments that were delivered after RTO: they are back at the sender.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import migrations, transaction
from django.db.models import F, Q
from django.utils import timezone

from apikeys.db.triggers import DropTriggers
from shipping.checkpoints.fold import FINAL, CheckpointFacts, summarize

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
BATCH = 500


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
    summary = summarize(CheckpointFacts(*values) for values in columns)
    shipment.update(
        status=summary.status,
        delivered_at=summary.delivered_at,
        picked_up_at=summary.picked_up_at,
        location=summary.location,
        first_at=summary.first_at,
        last_at=summary.last_at,
    )
    if summary.status not in FINAL:
        shipment.filter(poll_at__isnull=True).update(poll_at=timezone.now())


class Migration(migrations.Migration):
    # Only one shipment is locked at a time. Run again, it does the same.
    atomic = False
    dependencies = [("shipping", "0027_checkpoint_identity")]
    operations = [
        DropTriggers("shipping.frozen_checkpoints"),
        migrations.RunPython(mark, migrations.RunPython.noop),
    ]
