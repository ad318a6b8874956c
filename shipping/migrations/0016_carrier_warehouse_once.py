"""A carrier's name of a place is one place's at an account. Of several that have it the first keeps it."""

from typing import Any

from django.db import migrations, models


def keep_the_first(apps: Any, schema_editor: Any) -> None:
    registrations = apps.get_model("shipping", "WarehouseRegistration").objects
    seen = set()
    named = registrations.exclude(carrier_warehouse_id="").order_by("id")
    for id_, *name in named.values_list("id", "credential_id", "carrier_warehouse_id").iterator():
        if tuple(name) in seen:
            registrations.filter(id=id_).update(carrier_warehouse_id="", state="failed")
        seen.add(tuple(name))


class Migration(migrations.Migration):
    dependencies = [("carriers", "0010_accounts_without_fields"), ("shipping", "0015_index_of_changes")]

    operations = [
        migrations.RunPython(keep_the_first, migrations.RunPython.noop),
        migrations.AddConstraint(
            model_name="warehouseregistration",
            constraint=models.UniqueConstraint(
                condition=models.Q(("carrier_warehouse_id", ""), _negated=True),
                fields=("credential", "carrier_warehouse_id"),
                name="carrier_warehouse_once",
            ),
        ),
    ]
