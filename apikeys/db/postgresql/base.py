"""Django's PostgreSQL backend, with prepared statements on request and recovery from lost connections."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import InterfaceError, NotSupportedError, OperationalError
from django.db.backends.postgresql import base, operations
from django.db.backends.utils import CursorWrapper


class DatabaseOperations(operations.DatabaseOperations):
    def last_executed_query(self, cursor: Any, sql: str, params: Any) -> str | None:
        # Django reads the text from its own cursors, whose text contains the parameters.
        if isinstance(cursor, base.ServerBindingCursor):
            return self.compose_sql(sql, params)
        return super().last_executed_query(cursor, sql, params)


class DatabaseWrapper(base.DatabaseWrapper):
    """A connection that repeats a read once if PostgreSQL closed the pooled connection.

    The pool checks no connection at checkout, since that costs a round trip per request. After a restart of PostgreSQL
    all idle connections are dead: the first error removes them from the pool.
    """

    ops_class = DatabaseOperations

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.execute_wrappers.append(self._recover)

    def prepared_cursor(self) -> CursorWrapper:
        """Return a cursor that sends parameters apart from the SQL, so that psycopg prepares repeated statements.

        Django's own cursors merge the parameters into the text, which is then different each time.
        """
        self.ensure_connection()
        return self._prepare_cursor(self._register_timezone(base.ServerBindingCursor(self.connection)))

    def _register_timezone(self, cursor: Any) -> Any:
        """Do what ``create_cursor`` does for cursors of a connection with another time zone."""
        loader = self.connection.adapters.get_loader(base.TIMESTAMPTZ_OID, base.Format.TEXT)
        if self.timezone != loader.timezone:
            base.register_tzloader(self.timezone, cursor)
        return cursor

    def _recover(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        """Run a statement (an ``execute_wrapper``).

        If a migration has changed the columns of a prepared statement, prepare it again. If the connection is lost,
        clean the pool and repeat a read.
        """
        try:
            return execute(sql, params, many, context)
        except NotSupportedError:
            # "cached plan must not change result type": PostgreSQL has executed nothing, and refuses the statement for
            # as long as the connection lives. In a transaction, which has failed now, the rollback discards it.
            if self.in_atomic_block or not isinstance(context["cursor"].cursor, base.ServerBindingCursor):
                raise
            self.connection.execute("DEALLOCATE ALL")
        except (OperationalError, InterfaceError):
            if self.connection is None or not self.connection.closed:
                raise
            if self.pool:
                self.pool.check()
            # Inside a transaction, earlier statements are lost as well. A write may have been committed.
            if self.in_atomic_block or not self.autocommit or not sql.lstrip().upper().startswith("SELECT"):
                raise
            wrapper = context["cursor"]
            is_prepared = isinstance(wrapper.cursor, base.ServerBindingCursor)
            self.close()
            self.ensure_connection()
            raw = base.ServerBindingCursor(self.connection) if is_prepared else base.Cursor(self.connection)
            wrapper.cursor = self._register_timezone(raw)
        return execute(sql, params, many, context)
