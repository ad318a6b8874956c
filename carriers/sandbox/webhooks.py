"""Webhooks of the simulated carriers: stored, signed at each attempt and sent in order per subject."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

import requests

from carriers.sandbox.store import Store

log = logging.getLogger(__name__)
# From Pickit's document: retries after 1 m, 5 m, 15 m, 1 h and 6 h.
RETRIES_S = (60, 300, 900, 3600, 21600)

# Makes the headers from the body, the secret and the event type, which is empty for carriers without event types.
Sign = Callable[[bytes, str, str], dict[str, str]]


def timestamp_signature(body: bytes, secret: str, timestamp: str) -> str:
    """Return the hex HMAC-SHA256 of ``timestamp.body``."""
    return hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


class WebhookSender:
    """Sends webhooks in a background thread. ``signers`` and ``retries_s`` have an entry for each carrier."""

    def __init__(self, store: Store, *, retry_scale: float = 1.0) -> None:
        self.store, self.retry_scale = store, retry_scale
        self.signers: dict[str, Sign] = {}
        self.retries_s: dict[str, tuple[int, ...]] = {}
        self._wake, self._stop = threading.Event(), threading.Event()
        threading.Thread(target=self._run, daemon=True, name="webhooks").start()

    def enqueue(
        self,
        carrier: str,
        url: str,
        secret: str,
        event: dict[str, Any],
        *,
        subject: str,
        headers: dict[str, str] | None = None,
    ) -> None:
        """Store an event, to be sent soon. ``headers`` are added to those of the carrier."""
        name = str(uuid.uuid4())
        row = {"id": name, "carrier": carrier, "url": url, "secret": secret, "subject": subject, "state": "pending"}
        row |= {"body": json.dumps(event), "event_type": event.get("event_type", ""), "attempts": []}
        row["headers"] = headers or {}
        row["due"] = time.time()
        self.store.put("webhook", name, row, reference="pending")
        self._wake.set()

    def stop(self) -> None:
        self._stop.set()
        self._wake.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                blocked: set[str] = set()  # a subject's later events wait for its first one
                for row in self.store.by_reference("webhook", "pending"):
                    if row["due"] > time.time() or row["subject"] in blocked or not self._attempt(row):
                        blocked.add(row["subject"])
            except Exception:
                log.exception("webhook sender")
            self._wake.wait(0.2)
            self._wake.clear()

    def _attempt(self, row: dict[str, Any]) -> bool:
        """Send an event once; return whether it was delivered."""
        body = row["body"].encode()
        headers = self.signers[row["carrier"]](body, row["secret"], row["event_type"]) | row.get("headers", {})
        try:
            response = requests.post(row["url"], data=body, headers=headers, timeout=10, allow_redirects=False)
            outcome: Any = response.status_code
        except requests.RequestException as error:
            outcome = type(error).__name__
        row["attempts"].append({"at": time.time(), "outcome": outcome})
        delivered = isinstance(outcome, int) and 200 <= outcome < 300
        retries_s = self.retries_s[row["carrier"]]
        if delivered or len(row["attempts"]) > len(retries_s):
            row["state"] = "delivered" if delivered else "failed"
        else:
            row["due"] = time.time() + retries_s[len(row["attempts"]) - 1] * self.retry_scale
        self.store.put("webhook", row["id"], row, reference="" if row["state"] != "pending" else "pending")
        return delivered
