"""Events are append-only: only the retention command deletes them, and only old ones."""

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

PLAIN, PUBLIC = EventType("thing.happened"), EventType("thing.public", public=True)


@pytest.fixture
def old(tenant):
    """An event from two years ago."""
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
    """The retention role, which an administrator creates once on PostgreSQL."""
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


def run_command(**options):
    out = StringIO()
    call_command("forget_events", stdout=out, stderr=StringIO(), **({"days": 400} | options))
    return out.getvalue()


def forbidden_statements():
    table = "apikeys_event"
    yield f"UPDATE {table} SET type = 'x'"
    yield f"DELETE FROM {table}"


def test_database_refuses_changes_and_deletions(old):
    for statement in forbidden_statements():
        with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)
    for attempt in (lambda: Event.objects.all().delete(), lambda: Event.objects.update(type="x")):
        with pytest.raises(TypeError):
            attempt()
    with pytest.raises(DatabaseError), transaction.atomic():
        Event.objects.get().delete()


def test_command_deletes_only_old_events(old, tenant, role):
    new = events.record(PLAIN, tenant=tenant)
    assert "1 events would be deleted" in run_command(dry_run=True)
    assert "1 events deleted" in run_command()
    assert list(Event.objects.all()) == [new]


def test_database_refuses_changes_after_the_command(old, tenant, role):
    events.record(PLAIN, tenant=tenant)
    run_command()
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM apikeys_event")
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE apikeys_event SET type = 'x'")


def test_referenced_event_is_kept(old, role):
    Outbox.objects.create(event=old)
    assert "0 events deleted" in run_command()
    assert Event.objects.exists()


def test_period_must_be_at_least_30_days(old):
    with pytest.raises(CommandError, match="30"):
        run_command(days=3)


def test_command_needs_the_role_on_postgresql(old, on_sqlite):
    if on_sqlite:
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [RETENTION_ROLE])
        if cursor.fetchone():
            cursor.execute(f"REVOKE ALL ON apikeys_event FROM {RETENTION_ROLE}")
    with pytest.raises((CommandError, DatabaseError)):
        run_command()
    assert Event.objects.exists()
