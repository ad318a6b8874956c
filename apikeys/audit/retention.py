"""Deletion of events after their retention period. No other code deletes events."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from django.db import connection, transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.db.utils import ProgrammingError

from apikeys.db.tenancy import first_id_at
from apikeys.db.triggers import RETENTION_ROLE, dropped
from apikeys.models import APPEND_ONLY_EVENTS, Event

_TABLE = "apikeys_event"
_BATCH = 2_000


class RoleMissing(Exception):
    """The database user may not take the role that can delete events. The text says how to grant it."""


def old_events(before: datetime) -> QuerySet[Event]:
    """Return the events before a moment that no other row (such as a delivery) references."""
    rows = Event.objects.filter(id__lt=first_id_at(before))
    for relation in Event._meta.get_fields(include_hidden=True):
        if relation.one_to_many or relation.one_to_one and relation.auto_created:
            pointing = relation.related_model._base_manager.filter(**{relation.field.name: OuterRef("pk")})
            rows = rows.exclude(Exists(pointing))
    return rows


def delete_old_events(before: datetime) -> Iterator[int]:
    """Delete ``old_events`` in batches and yield the size of each batch. Raises ``RoleMissing``."""
    while True:
        with transaction.atomic():
            ids = list(old_events(before).order_by("id").values_list("id", flat=True)[:_BATCH])
            if ids:
                marks = ", ".join(["%s"] * len(ids))
                values = ids if connection.features.has_native_uuid_field else [one.hex for one in ids]
                with _deletion_allowed(), connection.cursor() as cursor:
                    cursor.execute(f"DELETE FROM {_TABLE} WHERE id IN ({marks})", values)  # noqa: S608 the table name is a constant
        if not ids:
            return
        yield len(ids)


@contextmanager
def _deletion_allowed() -> Iterator[None]:
    if connection.vendor == "sqlite":
        with dropped(connection, APPEND_ONLY_EVENTS):
            yield
        return
    with connection.cursor() as cursor:
        try:
            cursor.execute(f"SET LOCAL ROLE {RETENTION_ROLE}")
        except ProgrammingError as error:
            raise RoleMissing(ROLE_ADVICE) from error
        yield
        cursor.execute("RESET ROLE")


ROLE_ADVICE = f"""This database user may not delete events. Run once, as an administrator of the database:
  CREATE ROLE {RETENTION_ROLE} NOLOGIN;
  GRANT SELECT, DELETE ON {_TABLE} TO {RETENTION_ROLE};
  GRANT {RETENTION_ROLE} TO <the user that runs this command>;
Use a separate database user for this command (set DATABASE_URL), not the one that web and worker use."""
