"""The triggers of the database equal the declared ones after every migrate."""

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.db.migrations import AlterField
from django.db.migrations.loader import MigrationLoader
from django.db.utils import DatabaseError

from apikeys.db.triggers import TRIGGER_SETS, DropTriggers, create_missing, stored_triggers
from apikeys.models import Outbox
from shipping.models import COUNTS, Checkpoint, Shipment, UnitTally
from shipping.models.text_indexes import SEARCHED
from shipping.reports import counters
from shipping.tests.test_checkpoints_api import checkpoint

pytestmark = pytest.mark.django_db(transaction=True)


def declared():
    return {trigger.name for one in TRIGGER_SETS.values() for trigger in one.triggers(connection.vendor)}


def alter_column(app, model, field, max_length):
    """Apply a migration operation that changes a column; SQLite rebuilds the table for it."""
    before = MigrationLoader(connection).project_state()
    after = before.clone()
    changed = before.models[app, model].fields[field].clone()
    changed.max_length = max_length
    operation = AlterField(model, field, changed)
    operation.state_forwards(app, after)
    with connection.schema_editor() as editor:
        if model == "unittally":
            DropTriggers("shipping.counts").database_forwards(app, editor, before, after)
        operation.database_forwards(app, editor, before, after)


def refuses(statement):
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    return True


def test_triggers_after_migrate_are_the_declared_ones():
    assert set(stored_triggers(connection)) == declared()
    assert not any(create_missing(connection, trigger_set) for trigger_set in TRIGGER_SETS.values())


@pytest.mark.parametrize(
    ("app", "model", "field", "length"),
    [
        ("shipping", "checkpoint", "status", 16),
        ("shipping", "shipment", "location", 200),
        ("shipping", "unittally", "status", 16),
        ("apikeys", "event", "correlation_id", 64),
    ],
)
def test_rebuilt_table_has_its_triggers_after_migrate(on_sqlite, app, model, field, length):
    if not on_sqlite:  # PostgreSQL alters the table in place, and not while a trigger's condition names the column
        return
    lengths = (length + 10, length)
    for each in lengths:
        alter_column(app, model, field, each)
        call_command("migrate", verbosity=0)
        assert set(stored_triggers(connection)) == declared()
        with connection.cursor() as cursor:
            indexes = connection.introspection.get_constraints(cursor, Shipment._meta.db_table)
        assert {f"shipment_text_{column}" for column in SEARCHED} <= set(indexes)


def test_migrate_restores_lost_and_changed_triggers_and_the_counts(api, tenant):
    def create(number):
        Shipment.objects.create(
            merchant_id=tenant.merchant_id, mode="test", status="created", tracking_number=number, reference=number
        )

    trigger = COUNTS.triggers(connection.vendor)[0]
    for statement in trigger.drop(connection.vendor):
        with connection.cursor() as cursor:
            cursor.execute(statement)
    create("not counted")
    assert trigger.name not in stored_triggers(connection)
    assert not UnitTally.objects.exists()
    call_command("migrate", verbosity=0)
    create("counted")
    assert counters.units(tenant) == 2
    with connection.cursor() as cursor:
        for statement in trigger.drop(connection.vendor):
            cursor.execute(statement)
        do = "BEGIN SELECT 1; END" if connection.vendor == "sqlite" else f"EXECUTE FUNCTION {trigger.name}()"
        each = "" if connection.vendor == "sqlite" else "FOR EACH STATEMENT"
        cursor.execute(f"CREATE TRIGGER {trigger.name} AFTER DELETE ON {trigger.table} {each} {do}")
    call_command("migrate", verbosity=0)
    assert not any(create_missing(connection, trigger_set) for trigger_set in TRIGGER_SETS.values())
    assert not any(counters.differences().values())


def test_restored_triggers_do_their_work(api, on_sqlite):
    if on_sqlite:
        alter_column("shipping", "checkpoint", "status", 16)
        alter_column("apikeys", "event", "correlation_id", 64)
        call_command("migrate", verbosity=0)
    assert api.post("/api/v1/checkpoints", checkpoint("CREATED")).status_code == 201
    assert Outbox.objects.exists()
    assert refuses(f"DELETE FROM {Checkpoint._meta.db_table}")
    assert refuses(f"UPDATE {Checkpoint._meta.db_table} SET location = 'x'")
    assert refuses("DELETE FROM apikeys_event")
    assert not any(counters.differences().values())
