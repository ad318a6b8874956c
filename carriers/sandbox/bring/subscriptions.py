"""Event Cast: webhooks that are subscribed for a shipment or package number and live for 30 days.

Nothing signs them. Clients prove their origin with headers that they state in the subscription.
"""

from __future__ import annotations

import secrets
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from carriers.sandbox.bring.errors import BringRefusal
from carriers.sandbox.bring.validation import as_list, as_object, as_text
from carriers.sandbox.carrier import SimulatedCarrier
from carriers.sandbox.messages import Answer, Request

# Two more attempts with 30 minutes between, and a last one after an hour.
RETRIES_S = (1800, 1800, 3600)
EVENTS = {
    *("ATTEMPTED_DELIVERY", "CUSTOMS", "COLLECTED", "DELIVERED", "DELIVERED_SENDER", "DELIVERY_CANCELLED"),
    *("DELIVERY_CHANGED", "DELIVERY_ORDERED", "DEVIATION", "HANDED_IN", "INTERNATIONAL", "IN_TRANSIT"),
    *("NOTIFICATION_SENT", "PRE_NOTIFIED", "READY_FOR_PICKUP", "RETURN", "TRANSPORT_TO_RECIPIENT", "TERMINAL"),
}
_DAYS, _BATCH, _MAX_LIST = 30, 100, 150_000
_TIME = "%Y-%m-%dT%H:%M:%S+0000"
_SHOWN = ("id", "authenticator", "configuration", "trackingId", "event_groups", "expiry", "created")


def create(carrier: SimulatedCarrier, request: Request) -> Answer:
    body = request.json()
    number = as_text(body.get("trackingId"))
    _refuse_invalid(body, [number])
    with carrier.store.atomic():
        if _exists(carrier, request.account, number, body["event_groups"]):
            raise BringRefusal(409, "subscribe", "Webhook of similar subscription already exists")
        return Answer(201, _show(_save(carrier, request.account, number, body)))


def create_batch(carrier: SimulatedCarrier, request: Request) -> Answer:
    """Answer with the new webhooks. Assumed: existing ones are left out, and 409 if all exist."""
    body = request.json()
    sent = body.get("trackingIds")
    numbers = list(dict.fromkeys(map(as_text, sent))) if isinstance(sent, list) else []
    _refuse_invalid(body, numbers)
    if len(numbers) > _BATCH:
        raise BringRefusal(400, "subscribe", f"At most {_BATCH} tracking ids")
    with carrier.store.atomic():
        new = [one for one in numbers if not _exists(carrier, request.account, one, body["event_groups"])]
        if not new:
            raise BringRefusal(409, "subscribe", "Webhook of similar subscription already exists")
        return Answer(201, [_show(_save(carrier, request.account, one, body)) for one in new])


def list_webhooks(carrier: SimulatedCarrier, request: Request) -> Answer:
    limit = request.query.get("limit", "10000")
    if not limit.isdigit() or int(limit) > _MAX_LIST:
        raise BringRefusal(400, "list_subscriptions", "limit is not valid")
    own = [one for one in carrier.store.all("bring_webhook") if one["account"] == request.account and _is_live(one)]
    return Answer(200, [_show(one) for one in own[-int(limit) :]])


def show(carrier: SimulatedCarrier, request: Request, name: str) -> Answer:
    return Answer(200, _show(_get(carrier, request, name, "list_subscriptions")))


def delete(carrier: SimulatedCarrier, request: Request, name: str) -> Answer:
    webhook = _get(carrier, request, name, "unsubscribe")
    ended = webhook | {"expiry": _write(datetime.now(UTC) - timedelta(seconds=1))}
    carrier.store.put("bring_webhook", name, ended)
    if request.query.get("includeWebhook") == "true":
        return Answer(200, _show(webhook))
    return Answer(204, raw=b"")


def send_test(carrier: SimulatedCarrier, request: Request, name: str) -> Answer:
    """Send an event with the number of the subscription as its shipment and package (assumed)."""
    webhook = _get(carrier, request, name, "test_subscription")
    number, at = webhook["trackingId"], _write(datetime.now(UTC))
    _enqueue(carrier, webhook, {"status": "IN_TRANSIT", "shipment": number, "package": number, "created": at})
    return Answer(202, raw=b"")


def send_event(
    carrier: SimulatedCarrier, shipment: dict[str, Any], package: dict[str, Any], event: dict[str, Any]
) -> None:
    """Send an event of a package to the webhooks of its number and of the shipment's."""
    shown = shipment.get("shown_number") or shipment["shipment_number"]
    created = _write(datetime.fromisoformat(event["at"]).astimezone(UTC))  # always with an offset
    body = {"status": event["status"], "shipment": shown, "package": package["number"], "created": created}
    numbers = {shipment["shipment_number"], shown, package["number"]}
    for number in sorted(numbers):
        for webhook in carrier.store.by_reference("bring_webhook", number):
            if _is_live(webhook) and event["status"] in webhook["event_groups"]:
                _enqueue(carrier, webhook, body)


def sign(body: bytes, secret: str, event_type: str) -> dict[str, str]:
    """Return Bring's own headers. Those of the subscription are stored with the webhook."""
    return {
        "Accept": "application/json",
        "Content-Type": "application/json",
        "User-Agent": "Bringcast-Webhook/v1.0.34-SNAPSHOT",
        "X-Bring-Application": "BMEC",
        "X-bring-Correlation": secrets.token_hex(3),
        "X-bring-Version": "1.0.34",
    }


def _refuse_invalid(body: dict[str, Any], numbers: list[str]) -> None:
    """Raises ``BringRefusal``. The first text is Bring's, the others are assumed."""
    groups, configuration = body.get("event_groups"), as_object(body.get("configuration"))
    url, headers = as_text(configuration.get("url")), as_list(configuration.get("headers"))
    parts = urlsplit(url)
    length = sum(len(as_text(one.get("key"))) + len(as_text(one.get("value"))) + 2 for one in headers)
    checks = {
        "Reference is not provided": bool(numbers) and all(numbers),
        "Only parcel or shipment numbers can be subscribed": all(one.isalnum() and len(one) <= 35 for one in numbers),
        "Event groups are not valid": isinstance(groups, list)
        and bool(groups)
        and all(isinstance(one, str) and one in EVENTS for one in groups),
        "Configuration url is not valid": parts.scheme in ("http", "https") and bool(parts.netloc) and len(url) <= 250,
        "Configuration content_type is too long": len(as_text(configuration.get("content_type"))) <= 40,
        "Configuration headers are not valid": length <= 1024 and all(as_text(one.get("key")) for one in headers),
    }
    failed = next((text for text, is_valid in checks.items() if not is_valid), "")
    if failed:
        raise BringRefusal(400, "subscribe", failed)


def _exists(carrier: SimulatedCarrier, account: str, number: str, groups: list[str]) -> bool:
    """Return whether the account has subscribed one of the events already."""
    own = (one for one in carrier.store.by_reference("bring_webhook", number) if one["account"] == account)
    return any(_is_live(one) and set(one["event_groups"]) & set(groups) for one in own)


def _save(carrier: SimulatedCarrier, account: str, number: str, body: dict[str, Any]) -> dict[str, Any]:
    created = datetime.now(UTC)
    webhook = {
        "id": str(uuid.uuid4()),
        "authenticator": str(uuid.uuid5(uuid.NAMESPACE_URL, account)),
        "account": account,
        "configuration": body["configuration"],
        "trackingId": number,
        "event_groups": body["event_groups"],
        "expiry": _write(created + timedelta(days=_DAYS)),
        "created": _write(created),
    }
    carrier.store.put("bring_webhook", webhook["id"], webhook, reference=number)
    return webhook


def _get(carrier: SimulatedCarrier, request: Request, name: str, operation: str) -> dict[str, Any]:
    webhook = carrier.store.get("bring_webhook", name)
    if webhook is None or webhook["account"] != request.account or not _is_live(webhook):
        raise BringRefusal(404, operation, "Webhook not found (not registered?)")
    return webhook


def _show(webhook: dict[str, Any]) -> dict[str, Any]:
    """Return a webhook without the values of its headers."""
    headers = [{"key": one["key"]} for one in as_list(webhook["configuration"].get("headers"))]
    return {name: webhook[name] for name in _SHOWN} | {"configuration": webhook["configuration"] | {"headers": headers}}


def _enqueue(carrier: SimulatedCarrier, webhook: dict[str, Any], event: dict[str, Any]) -> None:
    configuration = webhook["configuration"]
    headers = {one["key"]: as_text(one.get("value")) for one in as_list(configuration.get("headers"))}
    body = event | {"id": webhook["id"], "pushed": _write(datetime.now(UTC))}
    subject = f"{webhook['id']}:{event['package']}"
    carrier.sender.enqueue(carrier.name, configuration["url"], "", body, subject=subject, headers=headers)


def _is_live(webhook: dict[str, Any]) -> bool:
    return datetime.strptime(webhook["expiry"], "%Y-%m-%dT%H:%M:%S%z") > datetime.now(UTC)


def _write(moment: datetime) -> str:
    return moment.strftime(_TIME)
