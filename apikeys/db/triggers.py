"""Database triggers: their declaration, the migration operation that creates them, and their repair after ``migrate``.

A trigger set is declared once, next to the models that it guards. Migrations create it by name (``CreateTriggers``).
SQLite drops the triggers of a table that a migration rebuilds, so every ``migrate`` ends with ``restore_triggers``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.apps import AppConfig
from django.db import connections, transaction
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.operations.base import Operation

# Only this PostgreSQL role deletes from append-only tables; the web and worker processes cannot take it.
RETENTION_ROLE = "waybill_retention"


@dataclass(frozen=True)
class Trigger:
    """One trigger: ``CREATE TRIGGER name timing ON table scope``, then ``body`` (plpgsql on PostgreSQL).

    ``scope`` is ``FOR EACH ROW``, ``WHEN``, ``REFERENCING`` and the like. ``function`` names the PostgreSQL function;
    triggers with the same body can share one.
    """

    name: str
    table: str
    timing: str
    scope: str
    body: str
    function: str = ""

    def create(self, vendor: str) -> list[str]:
        """Return the statements that create the trigger."""
        head = f"CREATE TRIGGER {self.name} {self.timing} ON {self.table} {self.scope}"
        if vendor == "sqlite":
            return [f"{head} BEGIN {self.body} END"]
        function = self.function or self.name
        statements = [
            f"CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {self.body} END $$",
            f"{head} EXECUTE FUNCTION {function}()",
        ]
        # PostgreSQL stores a trigger in its own words; the digest shows whether it is still the declared one.
        digest = hashlib.sha256("\n".join(statements).encode()).hexdigest()
        return [*statements, f"COMMENT ON TRIGGER {self.name} ON {self.table} IS '{digest}'"]

    def drop(self, vendor: str) -> list[str]:
        """Return the statement that drops the trigger if it exists."""
        return [f"DROP TRIGGER IF EXISTS {self.name}" + ("" if vendor == "sqlite" else f" ON {self.table}")]

    def is_stored_as(self, stored: str | None, vendor: str) -> bool:
        """Compare with an entry of ``stored_triggers``."""
        if stored is None:
            return False
        last = self.create(vendor)[-1]
        return stored == last if vendor == "sqlite" else f"'{stored}'" in last


@dataclass(frozen=True)
class TriggerSet:
    """Triggers that belong together.

    ``repair`` returns statements that redo the triggers' work for rows that changed while a trigger was missing.
    """

    name: str
    triggers: Callable[[str], Sequence[Trigger]]
    repair: Callable[[str], Sequence[str]] = lambda vendor: []

    def create(self, vendor: str) -> list[str]:
        """Return the statements that create all triggers."""
        return [line for trigger in self.triggers(vendor) for line in trigger.create(vendor)]

    def drop(self, vendor: str) -> list[str]:
        """Return the statements that drop all triggers and their functions."""
        triggers = self.triggers(vendor)
        lines = [line for trigger in triggers for line in trigger.drop(vendor)]
        if vendor == "postgresql":
            functions = dict.fromkeys(trigger.function or trigger.name for trigger in triggers)
            lines += [f"DROP FUNCTION IF EXISTS {function}()" for function in functions]
        return lines


# By name, "app_label.what_it_does".
TRIGGER_SETS: dict[str, TriggerSet] = {}


def declare(name: str, triggers: Callable[[str], Sequence[Trigger]], **options: Any) -> TriggerSet:
    """Register a trigger set. ``triggers`` returns the triggers for a database vendor."""
    TRIGGER_SETS[name] = TriggerSet(name, triggers, **options)
    return TRIGGER_SETS[name]


def refuse_changes(table: str, *, unless: str = "") -> Callable[[str], list[Trigger]]:
    """Return the triggers of an append-only table: no UPDATE, and DELETE only by the retention command.

    The command takes ``RETENTION_ROLE`` on PostgreSQL. SQLite has no roles; the command drops the triggers inside its
    exclusive transaction. ``unless`` is a condition under which a trigger of SQLite completes a new row.
    """
    message = f"{table} is append-only"

    def triggers(vendor: str) -> list[Trigger]:
        if vendor == "sqlite":
            body = f"SELECT RAISE(ABORT, '{message}');"
            scopes = {"update": f"WHEN NOT ({unless})" if unless else "", "delete": ""}
            return [Trigger(f"{table}_no_{verb}", table, f"BEFORE {verb}", scopes[verb], body) for verb in scopes]
        body = (
            f"IF TG_OP = 'DELETE' AND current_user = '{RETENTION_ROLE}' THEN RETURN OLD; END IF; "
            f"RAISE EXCEPTION '{message}';"
        )
        name = f"{table}_append_only"
        return [Trigger(name, table, "BEFORE UPDATE OR DELETE", "FOR EACH ROW", body, function=f"{table}_refuse")]

    return triggers


def stored_triggers(connection: Any) -> dict[str, str]:
    """Return the enabled triggers of the database: name to SQL on SQLite, name to digest on PostgreSQL."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
        else:
            cursor.execute(
                "SELECT t.tgname, COALESCE(obj_description(t.oid, 'pg_trigger'), '') FROM pg_trigger t "
                "WHERE NOT t.tgisinternal AND t.tgenabled <> 'D' AND pg_table_is_visible(t.tgrelid)"
            )
        return dict(cursor.fetchall())


def create_missing(connection: Any, trigger_set: TriggerSet) -> list[str]:
    """Create the triggers of a set that are missing or differ from their declaration, and return their names."""
    vendor, stored = connection.vendor, stored_triggers(connection)
    missing = [one for one in trigger_set.triggers(vendor) if not one.is_stored_as(stored.get(one.name), vendor)]
    if missing:
        statements = [line for one in missing for line in (*one.drop(vendor), *one.create(vendor))]
        with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
            for statement in (*statements, *trigger_set.repair(vendor)):
                cursor.execute(statement)
    return [one.name for one in missing]


@contextmanager
def dropped(connection: Any, trigger_set: TriggerSet) -> Iterator[None]:
    """Drop the triggers of a set for the duration of a block inside a transaction."""
    with connection.cursor() as cursor:
        for statement in trigger_set.drop(connection.vendor):
            cursor.execute(statement)
        yield
        for statement in trigger_set.create(connection.vendor):
            cursor.execute(statement)


class CreateTriggers(Operation):
    """Create a declared trigger set; reversed, drop it.

    It uses the current declaration. Where that needs a column of a later migration, remove the operation from the
    earlier one: ``restore_triggers`` creates the triggers at the end.
    """

    reversible = True

    def __init__(self, name: str) -> None:
        self.name = name

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        return "CreateTriggers", [self.name], {}

    def state_forwards(self, app_label: str, state: Any) -> None:
        pass

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        create_missing(schema_editor.connection, TRIGGER_SETS[self.name])

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        for statement in TRIGGER_SETS[self.name].drop(schema_editor.connection.vendor):
            schema_editor.execute(statement, params=None)

    def describe(self) -> str:
        return f"Create the triggers {self.name}"


class DropTriggers(CreateTriggers):
    """Drop a declared trigger set until the end of ``migrate``.

    For migrations that alter a table that a trigger writes to: SQLite cannot rebuild it while the trigger exists.
    """

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        return "DropTriggers", [self.name], {}

    def database_forwards(self, *args: Any) -> None:
        super().database_backwards(*args)

    def database_backwards(self, *args: Any) -> None:
        super().database_forwards(*args)

    def describe(self) -> str:
        return f"Drop the triggers {self.name}"


def is_fully_migrated(connection: Any, app_label: str) -> bool:
    """Return whether no migration of an app is left to apply."""
    executor = MigrationExecutor(connection)
    return not executor.migration_plan(executor.loader.graph.leaf_nodes(app_label))


def restore_triggers(sender: AppConfig, using: str, **kwargs: Any) -> None:
    """Create the missing triggers of an app after ``migrate`` (a ``post_migrate`` receiver).

    An app that is not migrated to its latest state keeps the triggers of its older state.
    """
    trigger_sets = [one for name, one in TRIGGER_SETS.items() if name.startswith(f"{sender.label}.")]
    if trigger_sets and is_fully_migrated(connections[using], sender.label):
        for trigger_set in trigger_sets:
            create_missing(connections[using], trigger_set)
