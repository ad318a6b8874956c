"""Events only grow: nothing changes or deletes one, except the retention command, and only old ones."""

import uuid
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from apikeys.audit import events
from apikeys.audit.events import EventType
from apikeys.db.tenancy import first_id_at
from apikeys.db.triggers import RETENTION_ROLE
from apikeys.models import Event, Outbox

pytestmark = pytest.mark.django_db

PLAIN, PUBLIC = EventType("thing.happened"), EventType("thing.told", public=True)


@pytest.fixture
def old(tenant):
    """An event of two years ago."""
    moment = timezone.now() - timedelta(days=730)
    return Event.objects.create(
        id=uuid.UUID(int=first_id_at(moment).int + 7),
        merchant_id=tenant.merchant_id,
        mode="test",
        type="thing.happened",
        visibility="internal",
        created_at=moment,
    )


@pytest.fixture
def role(db):
    """On PostgreSQL, what an administrator does once."""
    if connection.vendor != "postgresql":
        yield
        return
    name = RETENTION_ROLE
    with connection.cursor() as cursor:
        cursor.execute(
            f"DO $$ BEGIN CREATE ROLE {name} NOLOGIN; "
            "EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
        )
        cursor.execute(f"GRANT SELECT, DELETE ON apikeys_event TO {name}")
    yield


def forget(**options):
    out = StringIO()
    call_command("forget_events", stdout=out, stderr=StringIO(), **({"days": 400} | options))
    return out.getvalue()


def attempts():
    table = "apikeys_event"
    yield f"UPDATE {table} SET type = 'x'"
    yield f"DELETE FROM {table}"


def test_the_database_refuses_to_change_or_delete_an_event(old):
    for statement in attempts():
        with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)
    for attempt in (lambda: Event.objects.all().delete(), lambda: Event.objects.update(type="x")):
        with pytest.raises(TypeError):
            attempt()
    with pytest.raises(DatabaseError), transaction.atomic():
        Event.objects.get().delete()


def test_the_command_deletes_old_events_and_leaves_the_others(old, tenant, role):
    new = events.record(PLAIN, tenant=tenant)
    assert "1 events would be deleted" in forget(dry_run=True)
    assert "1 events deleted" in forget()
    assert list(Event.objects.all()) == [new]


def test_after_it_the_database_refuses_again(old, tenant, role):
    events.record(PLAIN, tenant=tenant)
    forget()
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM apikeys_event")
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE apikeys_event SET type = 'x'")


def test_an_event_that_something_waits_for_is_kept(old, role):
    Outbox.objects.create(event=old)
    assert "0 events deleted" in forget()
    assert Event.objects.exists()


def test_young_events_are_safe_from_a_slip(old):
    with pytest.raises(CommandError, match="30"):
        forget(days=3)


def test_without_the_role_postgresql_deletes_nothing_and_says_what_to_do(old, on_sqlite):
    if on_sqlite:
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [RETENTION_ROLE])
        if cursor.fetchone():
            cursor.execute(f"REVOKE ALL ON apikeys_event FROM {RETENTION_ROLE}")
    with pytest.raises((CommandError, DatabaseError)):
        forget()
    assert Event.objects.exists()
