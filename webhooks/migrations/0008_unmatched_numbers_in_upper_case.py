from django.db import migrations
from django.db.models.functions import Upper


def to_upper_case(apps, schema_editor):
    numbers = apps.get_model("webhooks", "UnmatchedNumber").objects
    numbers.exclude(tracking_number=Upper("tracking_number")).update(tracking_number=Upper("tracking_number"))


class Migration(migrations.Migration):
    dependencies = [
        ("webhooks", "0007_search_indexes"),
    ]

    operations = [
        migrations.RunPython(to_upper_case, migrations.RunPython.noop),
    ]
