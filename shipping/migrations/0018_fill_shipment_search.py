"""Store the search rows of the shipments that exist, batch by batch."""

from typing import Any

from django.db import migrations

from apikeys.db.triggers import CreateTriggers
from shipping.models.search import SEARCHED_FIELDS, search_values

BATCH = 2_000


def fill(apps: Any, schema_editor: Any) -> None:
    alias = schema_editor.connection.alias
    shipments = apps.get_model("shipping", "Shipment").objects.using(alias).order_by("id").only(*SEARCHED_FIELDS)
    search = apps.get_model("shipping", "ShipmentSearch")
    # The trigger stores those of self-tracked units.
    batch, last = list(shipments[:BATCH]), None
    while batch:
        rows = [search(shipment_id=one.pk, **search_values(one)) for one in batch]
        search.objects.using(alias).bulk_create(
            rows, update_conflicts=True, unique_fields=["shipment"], update_fields=list(search_values(batch[0]))
        )
        last = batch[-1].pk
        batch = list(shipments.filter(id__gt=last)[:BATCH])


class Migration(migrations.Migration):
    # Each batch is committed by itself: writers of shipments do not wait for all.
    atomic = False
    dependencies = [("shipping", "0017_shipment_search")]
    operations = [
        CreateTriggers("shipping.search_rows"),
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
