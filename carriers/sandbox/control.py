"""The control surface ``/_sandbox/…``: faults, calls, accounts, webhooks, and events at the carriers."""

from __future__ import annotations

import uuid
from typing import Any

from carriers.sandbox import faults
from carriers.sandbox.messages import Answer, Request
from carriers.sandbox.sandbox import Sandbox


def answer(sandbox: Sandbox, request: Request) -> Answer:
    """Answer a control request; 404 for an unknown name, 400 for a bad body."""
    parts = [request.method, *request.path.removeprefix("/_sandbox/").split("/")]
    handlers = (_answer_faults, _answer_records, _answer_accounts, _answer_carriers)
    try:
        found = (handler(sandbox, request, parts) for handler in handlers)
        return next((one for one in found if one), Answer(404, {"error": "no such path; see docs/carriers"}))
    except KeyError as error:
        return Answer(404, {"error": f"unknown: {error}"})
    except (ValueError, TypeError, AttributeError) as error:
        return Answer(400, {"error": str(error)})


def _answer_faults(sandbox: Sandbox, request: Request, parts: list[str]) -> Answer | None:
    match parts:
        case ["GET", "faults"]:
            return Answer(200, sandbox.faults)
        case ["DELETE", "faults"]:
            sandbox.faults.clear()
            sandbox.release_waiting()
            return Answer(200, [])
        case ["POST", "faults"]:
            fault = request.json()
            if fault.get("kind") not in faults.KINDS:
                raise ValueError(f"kind must be one of {sorted(faults.KINDS)}")
            fault["count"] = int(fault.get("count", 1))
            with sandbox.faults_lock:
                sandbox.faults.append(fault)
            return Answer(201, fault)
    return None


def _answer_records(sandbox: Sandbox, request: Request, parts: list[str]) -> Answer | None:
    match parts:
        case ["GET", "health"]:
            return Answer(200, {"status": "healthy", "carriers": sorted(sandbox.carriers)})
        case ["GET", "calls"]:
            filters = request.query.items()
            calls = sandbox.store.all("call")
            return Answer(200, [call for call in calls if all(str(call.get(key)) == value for key, value in filters)])
        case ["DELETE", "calls"]:
            sandbox.store.clear("call")
            return Answer(200, [])
        case ["GET", carrier, "shipments"]:
            return Answer(200, _list_shipments(sandbox, sandbox.carriers[carrier].shipment_kind, request))
    return None


def _list_shipments(sandbox: Sandbox, kind: str, request: Request) -> list[dict[str, Any]]:
    reference = request.query.get("reference")
    return sandbox.store.all(kind) if reference is None else sandbox.store.by_reference(kind, reference)


def _answer_accounts(sandbox: Sandbox, request: Request, parts: list[str]) -> Answer | None:
    match parts:
        case ["GET", "accounts", name]:
            account = sandbox.store.get("account", name)
            return Answer(200, account) if account else Answer(404, {"error": f"unknown account {name}"})
        case ["PUT", "accounts", name]:
            return Answer(200, sandbox.configure(name, request.json()))
        case ["GET", "webhooks"]:
            return Answer(200, sandbox.store.all("webhook"))
        case ["POST", "webhooks", "send"]:
            wanted = request.json()
            account = sandbox.store.get("account", wanted.get("account", "pickit-platform"))
            if account is None or not (wanted.get("url") or account.get("webhook_url")):
                raise ValueError("no such account, or it has no webhook_url")
            url, secret = wanted.get("url") or account["webhook_url"], wanted.get("secret") or account["webhook_secret"]
            carrier, subject = wanted.get("carrier", "pickit"), str(uuid.uuid4())
            sandbox.sender.enqueue(carrier, url, secret, wanted["event"], subject=subject)
            return Answer(202, {"status": "queued"})
    return None


def _answer_carriers(sandbox: Sandbox, request: Request, parts: list[str]) -> Answer | None:
    match parts:
        case ["POST", carrier, "shipments", number, "advance"]:
            return Answer(200, sandbox.carriers[carrier].advance(number, request.json()))
        case ["POST", carrier, "pickups", name, "complete"]:
            return Answer(200, sandbox.carriers[carrier].complete_pickup(name))
        case ["POST", "velocity", "shipments", number, "remit"]:
            return Answer(200, sandbox.carriers["velocity"].remit(number))
    return None
