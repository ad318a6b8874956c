"""Heartbeats of worker processes."""

from __future__ import annotations

from django.db import models

from apikeys.db.search import CaseKey
from apikeys.db.tenancy import Row


class Worker(Row):
    """A worker process that runs, or ran until it was killed. The process itself writes the row."""

    name = models.CharField(max_length=120, help_text="Host and process id; shown only to staff.")
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField(help_text="Its last heartbeat.")
    lanes = models.JSONField(default=dict, help_text="By worker task: queue, runs, failures, last run.")

    class Meta:
        ordering = ["-seen_at"]
        indexes = [
            models.Index(CaseKey("name"), name="worker_name_prefix"),
        ]

    def __str__(self) -> str:
        return self.name
