import django.db.models.deletion
from django.db import migrations, models

import apikeys.db.positions


def create_functions(apps, schema_editor):
    apikeys.db.positions.create_functions(schema_editor.connection)


class Migration(migrations.Migration):
    """On SQLite the end of ``migrate`` numbers the existing events; on PostgreSQL the column's default does."""

    dependencies = [("apikeys", "0009_search_indexes")]

    operations = [
        migrations.RunPython(create_functions, migrations.RunPython.noop),
        migrations.AddField(
            model_name="event",
            name="position",
            field=models.BigIntegerField(
                db_default=apikeys.db.positions.CurrentPosition(),
                editable=False,
                help_text="The order of feeds (apikeys.audit.feeds).",
                null=True,
            ),
        ),
        migrations.AlterField(
            model_name="event",
            name="merchant",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="apikeys.merchant",
            ),
        ),
        migrations.AddIndex(
            model_name="event",
            index=models.Index(fields=["merchant", "mode", "position", "id"], name="event_feed_of_tenant"),
        ),
        migrations.AddIndex(
            model_name="event",
            index=models.Index(
                condition=models.Q(("visibility", "public"), _negated=True),
                fields=["position", "id"],
                name="event_feed_of_audit",
            ),
        ),
    ]
