"""All simulated carriers, with their faults and the record of their calls."""

from __future__ import annotations

import threading
import uuid
from pathlib import Path
from typing import Any

from carriers.sandbox import faults
from carriers.sandbox.bring.carrier import Bring
from carriers.sandbox.carrier import SimulatedCarrier
from carriers.sandbox.messages import Answer, Request, now
from carriers.sandbox.pickit.carrier import Pickit
from carriers.sandbox.store import Store
from carriers.sandbox.ups.carrier import Ups
from carriers.sandbox.velocity.carrier import Velocity
from carriers.sandbox.webhooks import WebhookSender


class Sandbox:
    """All simulated carriers, with one store."""

    def __init__(self, directory: Path, *, retry_scale: float = 1.0) -> None:
        self.store = Store(directory)
        self.sender = WebhookSender(self.store, retry_scale=retry_scale)
        carriers = (kind(self.store, self.sender) for kind in (Pickit, Velocity, Bring, Ups))
        self.carriers: dict[str, SimulatedCarrier] = {carrier.name: carrier for carrier in carriers}
        self.faults: list[dict[str, Any]] = []
        self.faults_lock = threading.Lock()
        self.released = threading.Event()

    def answer(self, request: Request) -> Answer:
        """Answer a request to a carrier. Raises ``DropConnection``."""
        for carrier in self.carriers.values():
            if request.path.startswith(carrier.prefix + "/"):
                request.path, request.carrier = request.path.removeprefix(carrier.prefix), carrier.name
                return self._answer_as(carrier, request)
        return Answer(404, {"error": {"code": "NOT_FOUND", "message": "No such path", "field": None}})

    def configure(self, account: str, changes: dict[str, Any]) -> dict[str, Any]:
        """Create or change an account.

        Its carrier is ``carrier`` among the changes, else the one that has this account by default, else Pickit.
        """
        if "carrier" in changes:
            carrier = self.carriers[changes["carrier"]]
        else:
            owners = (one for one in self.carriers.values() if account in one.accounts)
            carrier = next(owners, self.carriers["pickit"])
        return carrier.configure(account, changes)

    def stop(self) -> None:
        """End hanging requests and the webhook sender."""
        self.release_waiting()
        self.sender.stop()

    def release_waiting(self) -> None:
        """End the wait of hanging and slow requests."""
        released, self.released = self.released, threading.Event()
        released.set()

    def _answer_as(self, carrier: SimulatedCarrier, request: Request) -> Answer:
        found = carrier.find_route(request)
        if found is None:
            return Answer(404, carrier.error_body(404, "No such path"))
        operation, handler = found
        request.account = carrier.account_of(request)
        fault = self._take_fault(carrier.name, operation, request.account) or carrier.order_fault(request, operation)
        call_id = self._record_call(carrier, operation, request, fault)

        def work() -> Answer:
            answer = carrier.handle(request, operation, handler)
            call = self.store.get("call", call_id)
            if call is not None:  # the status of the work, even if a fault replaces the answer
                self.store.put("call", call_id, call | {"done": answer.status})
            return answer

        if fault is None:
            return work()
        answer = faults.simulate(
            fault,
            request,
            work,
            error_body=lambda status, message: carrier.error_body(status, message, operation),
            released=self.released,
        )
        answer.headers[faults.HEADER] = fault["kind"]
        return answer

    def _take_fault(self, carrier: str, operation: str, account: str) -> dict[str, Any] | None:
        """Return the first injected fault that matches, and count it down."""
        actual = {"carrier": carrier, "operation": operation, "account": account}
        with self.faults_lock:
            for fault in self.faults:
                if all(fault.get(name, value) == value for name, value in actual.items()):
                    fault["count"] -= 1
                    if fault["count"] <= 0:
                        self.faults.remove(fault)
                    return fault
        return None

    def _record_call(
        self, carrier: SimulatedCarrier, operation: str, request: Request, fault: dict[str, Any] | None
    ) -> str:
        body, reference = carrier.describe_call(request)
        call = {
            "at": now(),
            "carrier": request.carrier,
            "operation": operation,
            "account": request.account,
            "method": request.method,
            "path": request.path,
            "query": request.query,
            "body": body,
            "reference": reference,
            "correlation_id": request.headers.get("x-correlation-id", ""),
            "fault": fault["kind"] if fault else None,
            "done": None,
        }
        call_id = str(uuid.uuid4())
        self.store.put("call", call_id, call)
        return call_id
