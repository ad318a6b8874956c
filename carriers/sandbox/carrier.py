"""Base class of the simulated carriers: routes, request limits, accounts and webhooks."""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, NamedTuple

from carriers.sandbox.messages import Answer, Refusal, Request
from carriers.sandbox.store import Store
from carriers.sandbox.webhooks import RETRIES_S, Sign, WebhookSender

Handler = Callable[[], Answer]


class Route(NamedTuple):
    """A route of a carrier's API. ``handler`` gets the carrier, the request and the groups of ``pattern``."""

    method: str
    pattern: str
    operation: str
    handler: Callable[..., Answer]


class SimulatedCarrier:
    """A carrier under its own path prefix."""

    name: ClassVar[str]
    prefix: ClassVar[str]
    accounts: ClassVar[tuple[str, ...]]
    new_account: ClassVar[dict[str, Any]]  # fields of an account with their defaults
    routes: ClassVar[tuple[Route, ...]]
    sign: ClassVar[Sign]
    shipment_kind: ClassVar[str]  # of the stored documents
    webhook_retries_s: ClassVar[tuple[int, ...]] = RETRIES_S

    def __init__(self, store: Store, sender: WebhookSender) -> None:
        self.store, self.sender = store, sender
        self._recent: dict[object, deque[float]] = {}
        sender.signers[self.name], sender.retries_s[self.name] = type(self).sign, self.webhook_retries_s
        for account in self.accounts:
            if not store.get("account", account):
                self.configure(account, {})

    def find_route(self, request: Request) -> tuple[str, Handler] | None:
        """Return the operation of a request and its handler, or None."""
        for route in self.routes:
            match = re.fullmatch(route.pattern, request.path)
            if match and route.method == request.method:
                return route.operation, partial(route.handler, self, request, *match.groups())
        return None

    def handle(self, request: Request, operation: str, handler: Handler) -> Answer:
        """Admit a request and answer it."""
        try:
            self.admit(request, operation)
            return handler()
        except Refusal as refusal:
            return refusal.answer
        except ValueError as error:
            return self.unreadable(f"The body cannot be read: {error}")

    def admit(self, request: Request, operation: str) -> None:
        """Check the request limit and the authentication. Raises ``Refusal``."""
        raise NotImplementedError

    def unreadable(self, message: str) -> Answer:
        """Answer a request with an unreadable body."""
        raise NotImplementedError

    def error_body(self, status: int, message: str = "", operation: str = "") -> dict[str, Any] | str:
        """Return the body of a failure. An empty ``message`` stands for the carrier's own text."""
        raise NotImplementedError

    def account_of(self, request: Request) -> str:
        """Return the account that a request belongs to, or an empty string."""
        raise NotImplementedError

    def describe_call(self, request: Request) -> tuple[Any, str]:
        """Return the body of a request without secrets, and the reference of its order, for the record of calls."""
        body = request.masked_body()
        return body, (body.get("reference") or body.get("order_id") or "") if isinstance(body, dict) else ""

    def order_fault(self, request: Request, operation: str) -> dict[str, Any] | None:
        """Return the fault that an order requests by a magic word, or None."""
        raise NotImplementedError

    def advance(self, number: str, change: dict[str, Any]) -> dict[str, Any]:
        """Add a scan to a shipment. Raises ``KeyError`` (unknown number) and ``ValueError``."""
        raise NotImplementedError

    def complete_pickup(self, name: str) -> dict[str, Any]:
        """Collect the parcels of a pickup. Raises ``KeyError`` (unknown pickup)."""
        raise KeyError(name)

    def configure(self, account: str, changes: dict[str, Any]) -> dict[str, Any]:
        """Create or change an account; return all its fields. Fields outside ``new_account`` are ignored."""
        known = {name: value for name, value in changes.items() if name in self.new_account}
        row = (self.store.get("account", account) or dict(self.new_account)) | known
        self.store.put("account", account, row)
        return row

    def seconds_over_limit(self, key: object, most: float, seconds: float) -> float | None:
        """Count a request; return None, or the seconds to wait if ``most`` requests were made in ``seconds``."""
        recent = self._recent.setdefault(key, deque())
        moment = time.monotonic()
        while recent and recent[0] <= moment - seconds:
            recent.popleft()
        if len(recent) >= most:
            return recent[0] + seconds - moment
        recent.append(moment)
        return None

    def send_webhook(self, account: str, event: dict[str, Any], *, subject: str) -> None:
        """Send an event to the account's URL, if it has one."""
        row = self.store.get("account", account) or {}
        if row.get("webhook_url"):
            self.sender.enqueue(self.name, row["webhook_url"], row["webhook_secret"], event, subject=subject)
