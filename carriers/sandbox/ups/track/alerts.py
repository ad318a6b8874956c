"""Track Alert: subscriptions, and events that are sent to the client's own URL.

No signature covers the body. The proof is the credential that the client has set beside its URL at UPS: here
``webhook_secret`` of the account, in the header ``credential`` (seen by others).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from carriers.sandbox.carrier import SimulatedCarrier
from carriers.sandbox.messages import Answer, Request
from carriers.sandbox.ups import auth
from carriers.sandbox.ups.errors import UpsRefusal, make_error

_DAYS, _MOST = 14, 100
_NUMBER = re.compile(r"1Z[0-9A-Z]{16}|1R[0-9A-Z]{14}|1R[0-9A-Z]{26}")
_TEST_NUMBERS = {"1ZCIETST0111111114", "1ZCIETST0422222228"}
_TYPES = {"M", "X", "I", "U", "D"}
_REJECTED = "The Subscription request has been rejected."
_TEXTS = {
    "VSS000": f"Invalid request and {_REJECTED}",
    "VSS002": "Missing transId",
    "VSS004": "Missing transactionSrc",
    "VSS110": f"Subscription request is empty or not present. {_REJECTED}",
    "VSS200": f"Tracking Number List is required. {_REJECTED}",
    "VSS210": f"The Subscription request should have at least one valid tracking number. {_REJECTED}",
    "VSS215": "The tracking number that was submitted is not a valid CIE tracking number and has been rejected.",
    "VSS220": "You have submitted over 100 tracking numbers which is not allowed. The entire submission of tracking "
    "numbers has been rejected.  Please resubmit your request again using groups of no more than 100 tracking numbers.",
    "VSS300": f"Locale is required. {_REJECTED}",
    "VSS310": "Please enter a valid locale. The Subscription request has been rejected",
    "VSS400": f"Please enter a valid country code. {_REJECTED}",
    "VSS930": f"Type is missing or invalid, {_REJECTED}",
}


def subscribe(carrier: SimulatedCarrier, request: Request, kind: str) -> Answer:
    """Subscribe to numbers for 14 days. A repeated subscription begins again."""
    body = _read(request, kind)
    valid, invalid = _read_numbers(body.get("trackingNumberList"))
    if (carrier.store.get("account", request.account) or {}).get("is_test_environment"):
        # UPS's test environment knows two numbers and creates no subscription.
        if not set(valid) <= _TEST_NUMBERS:
            raise _refusal("VSS215", invalid)
        return Answer(200, {"validTrackingNumbers": valid})
    ends = (datetime.now(UTC) + timedelta(days=_DAYS)).isoformat()
    with carrier.store.atomic():
        for number in valid:
            _put(carrier, request, kind, number, body, ends)
    return Answer(200, {"validTrackingNumbers": valid} | ({"invalidTrackingNumbers": invalid} if invalid else {}))


def subscribe_account(carrier: SimulatedCarrier, request: Request, kind: str) -> Answer:
    """Subscribe to all packages of a shipper number, without an end."""
    body = _read(request, kind)
    number = str(body.get("shipperAccountNumber") or "")
    if number not in auth.shipper_numbers(carrier, request):
        raise _refusal("VSS000")
    _put(carrier, request, kind, number, body, "9999-12-31T00:00:00+00:00")
    return Answer(200, {"expiryDate": "9999-12-31"})


def unsubscribe_account(carrier: SimulatedCarrier, request: Request, kind: str) -> Answer:
    _check_headers(request)
    number = request.query.get("shipper_account_number", "")
    name = f"{request.account}:{number}"
    if not number or not carrier.store.get("ups_subscription", name):
        raise UpsRefusal(400, "VSS300", "Shipper Account Number is required.")
    row = carrier.store.get("ups_subscription", name)
    carrier.store.put("ups_subscription", name, row | {"ends": datetime.now(UTC).isoformat()}, reference=number)
    return Answer(200, {"message": "Account unsubscribed"})


def send(
    carrier: SimulatedCarrier, shipment: dict[str, Any], package: dict[str, Any], activity: dict[str, Any]
) -> None:
    """Send a scan to the subscribers of its package and of its shipper number, once to each."""
    number, sent = package["tracking_number"], set()
    for key in (number, shipment["shipper_number"]):
        for row in carrier.store.by_reference("ups_subscription", key):
            account = carrier.store.get("account", row["account"]) or {}
            is_active = datetime.fromisoformat(row["ends"]) > datetime.now(UTC)
            # A voided manifest (MV) belongs to the manifests (assumed).
            is_wanted = not row["types"] or activity["type"].removesuffix("V") in row["types"]
            if not is_active or not is_wanted or row["account"] in sent or not account.get("webhook_url"):
                continue
            sent.add(row["account"])
            event = make_event(shipment, package, activity, is_enhanced=row["kind"] == "enhanced")
            headers = {"x-api-key": row["account"]}
            url, secret = account["webhook_url"], account["webhook_secret"]
            carrier.sender.enqueue(carrier.name, url, secret, event, subject=number, headers=headers)


def sign(body: bytes, secret: str, event_type: str) -> dict[str, str]:
    """Return the headers of an event. Its body is not signed."""
    return {
        "Content-Type": "application/json",
        "User-Agent": "UPSPubSubTrackingService",
        "credential": secret,
    }


def make_event(
    shipment: dict[str, Any], package: dict[str, Any], activity: dict[str, Any], *, is_enhanced: bool
) -> dict[str, Any]:
    """Return the body of an event. The offset has a point, unlike that of Tracking."""
    place = activity["place"]
    is_delivery = "received_by" in activity
    location = {
        "city": place["city"],
        "stateProvince": place["state"],
        "postalCode": place["postal_code"] if is_delivery else "",
        "country": place["country"],
    }
    event = {
        "trackingNumber": package["tracking_number"],
        "localActivityDate": activity["date"],
        "localActivityTime": activity["time"],
        "activityLocation": {name: value for name, value in location.items() if value},
        "activityStatus": {
            "type": activity["type"],
            "code": activity["code"],
            "description": activity["description"],
            "descriptionCode": activity["status_code"],
        },
        "scheduledDeliveryDate": shipment["scheduled_date"],
        "gmtActivityDate": activity["gmt_date"],
        "gmtActivityTime": activity["gmt_time"].replace(":", ""),
        "gmtOffset": activity["gmt_offset"].replace(":", "."),
    }
    if is_delivery:
        event |= {"actualDeliveryDate": activity["date"], "actualDeliveryTime": activity["time"]}
        event |= {"receivedBy": activity["received_by"]} if is_enhanced else {}
    else:
        event["deliveryTimeDescription"] = "end of day"
    return event


def _read(request: Request, kind: str) -> dict[str, Any]:
    _check_headers(request)
    body = request.json()
    if kind not in ("standard", "enhanced"):
        raise _refusal("VSS930")
    if not body:
        raise _refusal("VSS110")
    if not body.get("locale"):
        raise _refusal("VSS300")
    if body["locale"] != "en_US":
        raise _refusal("VSS310")
    if not re.fullmatch("[A-Z]{2}", str(body.get("countryCode", "US"))):
        raise _refusal("VSS400")
    types = body.get("eventPreferences") or []
    if not isinstance(types, list) or not set(map(str, types)) <= _TYPES:
        raise _refusal("VSS930")
    return body


def _read_numbers(numbers: Any) -> tuple[list[str], list[Any]]:
    """Return the valid and the invalid numbers. Raises ``UpsRefusal`` if there is no valid one."""
    if not isinstance(numbers, list) or not numbers:
        raise _refusal("VSS200")
    if len(numbers) > _MOST:
        raise _refusal("VSS220")
    valid = [number for number in numbers if isinstance(number, str) and _NUMBER.fullmatch(number)]
    invalid = [number for number in numbers if number not in valid]
    if not valid:
        raise _refusal("VSS210", invalid)
    return valid, invalid


def _check_headers(request: Request) -> None:
    for name, code in (("transid", "VSS002"), ("transactionsrc", "VSS004")):
        if not request.headers.get(name):
            raise _refusal(code)


def _put(carrier: SimulatedCarrier, request: Request, kind: str, number: str, body: dict[str, Any], ends: str) -> None:
    row = {"account": request.account, "number": number, "kind": kind, "ends": ends}
    row["types"] = body.get("eventPreferences") or []
    carrier.store.put("ups_subscription", f"{request.account}:{number}", row, reference=number)


def _refusal(code: str, invalid: Sequence[Any] = ()) -> UpsRefusal:
    """Return a refusal. It lists the invalid numbers, also if there are none."""
    refusal = UpsRefusal(400, code, _TEXTS[code])
    refusal.answer.body = {"invalidTrackingNumbers": list(invalid)} | make_error(code, _TEXTS[code])
    return refusal
