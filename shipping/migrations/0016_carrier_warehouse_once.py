"""A carrier's name of a place is one place's at an account.

Of several that have it one keeps it: an open place before a closed one, one that the carrier has taken before others,
then the first.
"""

from typing import Any

from django.db import migrations, models


def keep_one(apps: Any, schema_editor: Any) -> None:
    registrations = apps.get_model("shipping", "WarehouseRegistration").objects
    is_taken = models.Case(models.When(state="registered", then=0), default=1)
    named = registrations.exclude(carrier_warehouse_id="").order_by("-warehouse__is_active", is_taken, "id")
    seen = set()
    for id_, *name in list(named.values_list("id", "credential_id", "carrier_warehouse_id")):
        if tuple(name) in seen:
            registrations.filter(id=id_).update(carrier_warehouse_id="", state="failed")
        seen.add(tuple(name))


class Migration(migrations.Migration):
    dependencies = [("carriers", "0010_accounts_without_fields"), ("shipping", "0015_index_of_changes")]

    operations = [
        migrations.RunPython(keep_one, migrations.RunPython.noop),
        migrations.AddConstraint(
            model_name="warehouseregistration",
            constraint=models.UniqueConstraint(
                condition=models.Q(("carrier_warehouse_id", ""), _negated=True),
                fields=("credential", "carrier_warehouse_id"),
                name="carrier_warehouse_once",
            ),
        ),
    ]
