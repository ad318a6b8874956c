"""Copy labels to documents; a manifest becomes a document of its own."""

from typing import Any

from django.db import migrations
from django.db.models import Q

from apikeys.db.tenancy import new_id

BATCH = 2000
# A label's id becomes its document's id.
COPY_LABELS = """
INSERT INTO shipping_document
    (id, shipment_id, parcel, kind, format, size, copies, file, carrier_url, fetch_at, created_at)
SELECT id, shipment_id, 0, 'label', format, size, 1, file, carrier_url,
    CASE WHEN file = '' THEN fetch_at END, created_at
FROM shipping_label
"""

# For a return to the earlier release: the first label of each shipment, with its manifest.
COPY_BACK = """
INSERT INTO shipping_label
    (id, shipment_id, format, size, file, carrier_url, manifest, manifest_url, fetch_at, created_at)
SELECT d.id, d.shipment_id, d.format, d.size, d.file, d.carrier_url,
    COALESCE(m.file, ''), COALESCE(m.carrier_url, ''), COALESCE(d.fetch_at, m.fetch_at), d.created_at
FROM shipping_document d
LEFT JOIN shipping_document m ON m.shipment_id = d.shipment_id AND m.kind = 'manifest'
WHERE d.kind = 'label' AND NOT EXISTS (
    SELECT 1 FROM shipping_document o
    WHERE o.shipment_id = d.shipment_id AND o.kind = 'label' AND (o.parcel, o.id) < (d.parcel, d.id)
)
"""


def copy_manifests(apps: Any, schema_editor: Any) -> None:
    alias = schema_editor.connection.alias
    documents = apps.get_model("shipping", "Document").objects.using(alias)
    labels = apps.get_model("shipping", "Label").objects.using(alias).exclude(Q(manifest="", manifest_url=""))
    rows = []
    for label in labels.iterator(chunk_size=BATCH):
        rows.append(
            documents.model(
                id=new_id(),
                shipment_id=label.shipment_id,
                kind="manifest",
                format="PDF",
                file=label.manifest.name,
                carrier_url=label.manifest_url,
                fetch_at=None if label.manifest else label.fetch_at,
                created_at=label.created_at,
            )
        )
        if len(rows) >= BATCH:
            documents.bulk_create(rows)
            rows.clear()
    documents.bulk_create(rows)


class Migration(migrations.Migration):
    dependencies = [("shipping", "0032_documents")]

    operations = [
        migrations.RunSQL(COPY_LABELS, COPY_BACK),
        migrations.RunPython(copy_manifests, migrations.RunPython.noop),
    ]
