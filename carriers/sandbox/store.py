"""The sandbox's state: JSON documents in an SQLite file, so that it survives a restart or a kill."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_SCHEMA = """
CREATE TABLE IF NOT EXISTS document (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    reference TEXT NOT NULL DEFAULT '',
    body TEXT NOT NULL,
    UNIQUE (kind, id)
);
CREATE INDEX IF NOT EXISTS by_reference ON document (kind, reference);
"""
_NEWEST = 1000


class Store:
    """Documents by kind and id."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._connection = sqlite3.connect(directory / "sandbox.sqlite3", check_same_thread=False, isolation_level=None)
        self._connection.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;" + _SCHEMA)

    @contextmanager
    def atomic(self) -> Iterator[None]:
        """Run a block as one transaction, while no other thread reads or writes. Blocks may be nested."""
        with self._lock:
            if self._connection.in_transaction:
                yield
                return
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def get(self, kind: str, name: str) -> dict[str, Any] | None:
        """Return a document, or None."""
        with self._lock:
            row = self._connection.execute("SELECT body FROM document WHERE kind=? AND id=?", (kind, name)).fetchone()
        return json.loads(row[0]) if row else None

    def put(self, kind: str, name: str, body: dict[str, Any], *, reference: str = "") -> None:
        """Insert or replace a document."""
        with self._lock:
            self._connection.execute(
                "INSERT INTO document (kind, id, reference, body) VALUES (?, ?, ?, ?) "
                "ON CONFLICT (kind, id) DO UPDATE SET body=excluded.body, reference=excluded.reference",
                (kind, name, reference, json.dumps(body)),
            )

    def by_reference(self, kind: str, reference: str) -> list[dict[str, Any]]:
        """Return the documents with a reference, oldest first."""
        sql = "SELECT body FROM document WHERE kind=? AND reference=? ORDER BY number"
        with self._lock:
            rows = self._connection.execute(sql, (kind, reference)).fetchall()
        return [json.loads(row[0]) for row in rows]

    def all(self, kind: str) -> list[dict[str, Any]]:
        """Return the newest 1,000 documents of a kind, oldest first."""
        sql = "SELECT body FROM document WHERE kind=? ORDER BY number DESC LIMIT ?"
        with self._lock:
            rows = self._connection.execute(sql, (kind, _NEWEST)).fetchall()
        return [json.loads(row[0]) for row in reversed(rows)]

    def clear(self, kind: str) -> None:
        """Delete all documents of a kind."""
        with self._lock:
            self._connection.execute("DELETE FROM document WHERE kind=?", (kind,))
