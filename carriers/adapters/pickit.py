"""Pickit: pickup points and door delivery. Wire, and what of it is assumed: ``docs/carriers/pickit.md``."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import quote as percent

from apikeys.errors import NotAuthenticated
from carriers import errors
from carriers.adapters.base import CarrierAdapter, CarrierResponse
from carriers.types import (
    Address,
    BookedLabel,
    BookedPickup,
    Cancellation,
    Coverage,
    LabelRequest,
    Offer,
    Package,
    PickupPoint,
    PickupRequest,
    ProofOfDelivery,
    QuoteRequest,
    ReportedPickup,
    ReportedScan,
    Scan,
    Status,
    Token,
    Track,
    WebhookNews,
)

# Status values of tracking: docs/carriers/pickit.md#status
STATUSES = {
    "created": Status.CREATED,
    "picked_up": Status.PICKED_UP,
    "in_transit": Status.IN_TRANSIT,
    "at_pickup_point": Status.AT_PICKUP_POINT,
    "out_for_delivery": Status.OUT_FOR_DELIVERY,
    "delivered": Status.DELIVERED,
    "exception": Status.EXCEPTION,
    "returned": Status.RETURNED,
    "cancelled": Status.CANCELLED,
}
DESCRIPTIONS = {
    "created": "Shipment created",
    "picked_up": "Package picked up",
    "in_transit": "Package in transit",
    "at_pickup_point": "Package waiting at the pickup point",
    "out_for_delivery": "Out for delivery",
    "delivered": "Package delivered",
    "exception": "Delivery attempt failed",
    "returned": "Package returned to the sender",
    "cancelled": "Shipment cancelled",
}
# Webhooks whose name is not "shipment." and a status: docs/carriers/pickit.md#webhooks
WEBHOOK_CODES = {"failed": "exception"}
# The field of a webhook that holds the scan's own time; the rest happen at its timestamp.
WEBHOOK_TIMES = {"picked_up": "pickup_time", "delivered": "delivered_at"}
# Parts of a webhook that become columns of a checkpoint instead of details.
WEBHOOK_COLUMNS = {"tracking_number", "shipment_id", "pickup_time", "delivered_at", "location", "current_location"}
# The document names these charges; others go under their own name.
CHARGES = ("base_rate", "fuel_surcharge", "insurance", "handling_fee", "pickup_point_fee")
FILE_STARTS = {"PDF": b"%PDF", "PNG": b"\x89PNG", "ZPL": b"^XA"}
# Error codes: docs/carriers/pickit.md#requests-and-answers
ERRORS: dict[str, type[errors.CarrierError]] = {
    "INVALID_CLIENT": errors.CarrierAuthentication,
    "INVALID_TOKEN": errors.CarrierAuthentication,
    "FORBIDDEN": errors.CarrierAuthentication,
    "SHIPMENT_NOT_FOUND": errors.CarrierNotFound,
    "PICKUP_POINT_NOT_FOUND": errors.CarrierNotFound,
    "POD_NOT_AVAILABLE": errors.CarrierNotFound,
    "CANNOT_CANCEL": errors.CarrierCannotCancel,
    "NOT_SERVICEABLE": errors.NotServiceable,
    "PICKUP_POINT_UNAVAILABLE": errors.NotServiceable,
}
_FUTURE = timedelta(minutes=5)


class PickitAdapter(CarrierAdapter):
    slug = "pickit"
    name = "Pickit"
    base_urls = {"sandbox": "http://127.0.0.1:8010/pickit/v2", "production": "https://api.pickit.net/v2"}
    required_fields = ("client_id", "client_secret")
    optional_fields = ("webhook_secret",)
    secret_fields = ("client_secret", "webhook_secret")
    webhook_max_age = timedelta(hours=8)  # its last retry comes after six hours and twenty minutes
    requests_per_second = 20

    def fetch_token(self) -> Token:
        body = {
            "client_id": self.fields["client_id"],
            "client_secret": self.fields["client_secret"],
            "grant_type": "client_credentials",
        }
        response = self.http.send("token", "POST", f"{self.base_url}/auth/token", safe=True, json=body)
        if response.status >= 300:
            raise self._login_refused(response)
        with self._reading("token", safe=True):
            answer = response.json()
            lifetime = timedelta(seconds=int(answer["expires_in"]))
            return Token(value=_text(answer["access_token"]), expires_at=datetime.now(UTC) + lifetime)

    def quote(self, request: QuoteRequest) -> list[Offer]:
        answer = self._ask("quote", "POST", "/shipments/quote", safe=True, json=_route(request))
        with self._reading("quote", safe=True):
            return [_offer(answer, request.service_type)]

    def create_label(self, request: LabelRequest) -> BookedLabel:
        answer = self._ask("create_label", "POST", "/shipments", safe=False, json=_order(request))
        with self._reading("create_label", safe=False):
            return _label(answer)

    def find_by_reference(self, reference: str) -> list[BookedLabel]:
        answer = self._ask("find_by_reference", "GET", "/shipments", safe=True, params={"reference": reference})
        with self._reading("find_by_reference", safe=True):
            return [_label(item) for item in answer["data"] if item["reference"] == reference]

    def cancel(self, tracking_number: str, reason: str) -> Cancellation:
        path = f"/shipments/{percent(tracking_number, safe='')}/cancel"
        answer = self._ask("cancel", "POST", path, safe=False, json={"reason": reason})
        with self._reading("cancel", safe=False):
            return Cancellation(
                tracking_number=tracking_number,
                cancelled_at=_time(answer["cancelled_at"])[0],
                reason=answer.get("reason") or reason,
                refund_status=answer.get("refund_status") or "",
                refund_amount=_decimal(answer.get("refund_amount")),
            )

    def track(self, tracking_numbers: Sequence[str]) -> dict[str, Track]:
        found = {number: self._track_one(number) for number in tracking_numbers}
        return {number: track for number, track in found.items() if track is not None}

    def proof_of_delivery(self, tracking_number: str) -> ProofOfDelivery:
        path = f"/shipments/{percent(tracking_number, safe='')}/proof-of-delivery"
        answer = self._ask("proof_of_delivery", "GET", path, safe=True)
        with self._reading("proof_of_delivery", safe=True):
            return _proof(answer, tracking_number)

    def schedule_pickup(self, request: PickupRequest) -> BookedPickup:
        answer = self._ask("schedule_pickup", "POST", "/pickups", safe=False, json=_collection(request))
        with self._reading("schedule_pickup", safe=False):
            return _pickup(answer)

    def pickup_points(self, *, latitude: float, longitude: float, radius_km: float, limit: int) -> list[PickupPoint]:
        query = {"lat": latitude, "lng": longitude, "radius": radius_km, "limit": limit}
        answer = self._ask("pickup_points", "GET", "/pickup-points", safe=True, params=query)
        with self._reading("pickup_points", safe=True):
            points = [_point(item) for item in answer["data"]]
        return [point for point in points if point.active][:limit]

    def pickup_point(self, point_id: str) -> PickupPoint:
        path = f"/pickup-points/{percent(point_id, safe='')}"
        answer = self._ask("pickup_point", "GET", path, safe=True)
        with self._reading("pickup_point", safe=True):
            return _point(answer["data"])

    def coverage(self, *, postal_code: str, city: str, country: str) -> Coverage:
        query = {"postal_code": postal_code, "city": city, "country": country}
        answer = self._ask("coverage", "GET", "/service-coverage", safe=True, params=query)
        with self._reading("coverage", safe=True):
            return _coverage(answer["data"])

    def verify_webhook(self, *, headers: Mapping[str, str], body: bytes, now: datetime) -> None:
        secret = self.fields.get("webhook_secret", "")
        told_at = headers.get("x-pickit-timestamp", "")
        expected = hmac.new(secret.encode(), told_at.encode() + b"." + body, hashlib.sha256).hexdigest()
        given = headers.get("x-pickit-signature", "")
        if not secret or not hmac.compare_digest(expected.encode(), given.encode("utf-8", "replace")):
            raise NotAuthenticated
        try:
            age = now - _time(told_at)[0]
        except ValueError as error:
            raise NotAuthenticated from error
        if not -_FUTURE <= age <= self.webhook_max_age:
            raise NotAuthenticated

    def parse_webhook(self, body: bytes) -> WebhookNews:
        try:
            return _news(json.loads(body))
        except (KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise ValueError(f"unexpected shape: {type(error).__name__} {error}") from error

    def _track_one(self, number: str) -> Track | None:
        path = f"/shipments/{percent(number, safe='')}/tracking"
        try:
            answer = self._ask("track", "GET", path, safe=True)
        except errors.CarrierNotFound:
            return None
        with self._reading("track", safe=True):
            return _track(answer, number)

    def _login_refused(self, response: CarrierResponse) -> errors.CarrierError:
        refusal = self._refusal("token", response)
        return errors.CarrierAuthentication(
            carrier=self.name, carrier_code=refusal.carrier_code, carrier_message=refusal.carrier_message
        )

    def _refusal(self, operation: str, response: CarrierResponse) -> errors.CarrierError:
        try:
            problem = response.json()["error"]
            code, message, field = str(problem["code"]), str(problem["message"]), problem.get("field")
        except (ValueError, KeyError, TypeError, AttributeError):
            return super()._refusal(operation, response)
        kind = ERRORS.get(code, errors.CarrierAuthentication if response.status == 401 else errors.CarrierRejected)
        details = {field: [message]} if isinstance(field, str) and field else {}
        return kind(carrier=self.name, carrier_code=code, carrier_message=message, details=details)

    @contextmanager
    def _reading(self, operation: str, *, safe: bool) -> Iterator[None]:
        """A 2xx answer that lacks what it must have is unreadable, whatever exactly is wrong with it."""
        try:
            yield
        except (ValueError, KeyError, TypeError, AttributeError, InvalidOperation, OverflowError) as error:
            raise self._unreadable(safe, f"{operation}: {type(error).__name__} {error}"[:300]) from error


# Builders ------------------------------------------------------------------------------------------------------


def _route(request: QuoteRequest) -> dict[str, Any]:
    return {
        "origin": _address(request.origin),
        "destination": _address(request.destination),
        "packages": [_package(package) for package in request.packages],
        "service_type": request.service_type,
        "pickup_point_id": request.pickup_point_id or None,
    }


def _order(request: LabelRequest) -> dict[str, Any]:
    return {
        "reference": request.reference,
        "order_id": request.order_id,
        "origin": _address(request.origin),
        "destination": _address(request.destination),
        "packages": [_package(package) for package in request.packages],
        "service_type": request.service_type,
        "label": {"format": request.label_format, "size": request.label_size},
        "pickup_point_id": request.pickup_point_id or None,
        "customer_reference": request.customer_reference or None,
    }


def _collection(request: PickupRequest) -> dict[str, Any]:
    place = request.address
    return {
        "pickup_date": request.pickup_date.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "window": {"start": request.window_start, "end": request.window_end},
        "address": _address(place),
        "contact": {"name": place.contact_name, "phone": place.contact_phone, "email": place.contact_email},
        "packages_count": request.packages_count,
        "total_weight_kg": request.total_weight_kg,
        "special_instructions": request.special_instructions,
        "shipment_ids": list(request.tracking_numbers),
    }


def _address(address: Address) -> dict[str, str]:
    return {name: value for name, value in vars(address).items() if value}


def _package(package: Package) -> dict[str, Any]:
    return {name: value for name, value in vars(package).items() if value not in (None, "")}


# Readers ------------------------------------------------------------------------------------------------------


def _offer(answer: Mapping[str, Any], asked: str) -> Offer:
    total = Decimal(str(answer["total_price"]))
    breakdown = {name: _decimal(answer.get(name)) or Decimal(0) for name in CHARGES}
    if rest := total - sum(breakdown.values()):
        breakdown["other"] = rest
    return Offer(
        service_type=asked,
        total_price=total,
        currency=_text(answer["currency"]),
        breakdown=breakdown,
        transit_days=int(answer["estimated_transit_days"]),
        estimated_delivery=_optional_time(answer.get("estimated_delivery")),
        carrier_quote_id=_text(answer["quote_id"]),
        valid_until=_optional_time(answer.get("valid_until")),
        extras={
            "service_level": answer.get("service_level") or "",
            "pickup_point_available": bool(answer.get("pickup_point_available")),
        },
    )


def _label(answer: Mapping[str, Any]) -> BookedLabel:
    label = answer["label"]
    point = answer.get("pickup_point")
    return BookedLabel(
        reference=_text(answer["reference"]),
        tracking_number=_text(answer["tracking_number"]),
        carrier_shipment_id=_text(answer["shipment_id"]),
        content=_file(label),
        label_format=_text(label["format"]),
        label_size=_text(label["size"]),
        created_at=_time(answer["created_at"])[0],
        carrier_label_url=label.get("url") or "",
        estimated_delivery=_optional_time(answer.get("estimated_delivery")),
        total_price=_decimal(answer.get("total_price")),
        currency=answer.get("currency") or "",
        pickup_code=answer.get("pickup_code") or "",
        cancelled=answer.get("status") == "cancelled",
        extras={
            "barcode": answer.get("barcode") or "",
            "qr_code": answer.get("qr_code") or "",
            "pickup_point": {name: point[name] for name in ("id", "name", "address")} if point else None,
        },
    )


def _file(label: Mapping[str, Any]) -> bytes:
    try:
        content = base64.b64decode(label["data"], validate=True)
    except binascii.Error as error:
        raise ValueError("the label is not base64") from error
    if not content.startswith(FILE_STARTS[label["format"]]):
        raise ValueError(f"the label is not a {label['format']}")
    return content


def _track(answer: Mapping[str, Any], number: str) -> Track:
    extras = {name: answer[name] for name in ("pickup_point", "pickup_code", "delivery_attempts") if answer.get(name)}
    return Track(
        tracking_number=number,
        scans=tuple(_track_scan(event) for event in answer["events"]),
        estimated_delivery=_optional_time(answer.get("estimated_delivery")),
        current_location=answer.get("current_location") or "",
        extras=extras,
    )


def _track_scan(event: Mapping[str, Any]) -> Scan:
    return _scan(
        _text(event["status"]),
        event["timestamp"],
        description=event.get("description") or "",
        location=event.get("location") or "",
        details=event.get("details") or {},
    )


def _scan(code: str, told_at: str, *, description: str = "", location: str = "", details: Mapping[str, Any]) -> Scan:
    moment, assumed = _time(told_at)
    return Scan(
        code=code[:64],
        status=STATUSES.get(code, Status.UNKNOWN),
        occurred_at=moment,
        occurred_text=told_at,
        tz_assumed=assumed,
        description=str(description or DESCRIPTIONS.get(code, code))[:200],
        location=str(location)[:200],
        details=dict(details),
    )


def _proof(answer: Mapping[str, Any], number: str) -> ProofOfDelivery:
    place = answer.get("coordinates") or {}
    return ProofOfDelivery(
        tracking_number=number,
        delivered_at=_time(answer["delivered_at"])[0],
        signed_by=answer.get("signed_by") or "",
        signature_image=answer.get("signature_image") or "",
        delivery_photo=answer.get("delivery_photo") or "",
        location=answer.get("location") or "",
        pickup_code_used=answer.get("pickup_code_used"),
        delivery_type=answer.get("delivery_type") or "",
        latitude=float(place["lat"]) if place else None,
        longitude=float(place["lng"]) if place else None,
        notes=answer.get("notes") or "",
    )


def _pickup(answer: Mapping[str, Any]) -> BookedPickup:
    driver = answer.get("driver") or {}
    return BookedPickup(
        carrier_pickup_id=_text(answer["pickup_id"]),
        confirmation_number=_text(answer["confirmation_number"]),
        scheduled_date=_time(answer["scheduled_date"])[0],
        window_start=_text(answer["window"]["start"]),
        window_end=_text(answer["window"]["end"]),
        extras={
            "driver_name": driver.get("name") or "",
            "driver_phone": driver.get("phone") or "",
            "estimated_arrival": answer.get("estimated_arrival"),
            "tracking_url": answer.get("tracking_url") or "",
        },
    )


def _point(item: Mapping[str, Any]) -> PickupPoint:
    address, distance = item["address"], item.get("distance")
    return PickupPoint(
        id=_text(item["id"]),
        name=_text(item["name"]),
        kind=_text(item["type"]),
        code=item.get("code") or "",
        active=item.get("status", "active") == "active",
        address=Address(
            street=address.get("street") or "",
            city=address.get("city") or "",
            state=address.get("state") or "",
            postal_code=address.get("postal_code") or "",
            country=address.get("country") or "",
        ),
        latitude=float(item["location"]["lat"]),
        longitude=float(item["location"]["lng"]),
        distance_km=None if distance is None else float(distance),
        opening_hours=dict(item.get("opening_hours") or {}),
        services=tuple(item.get("services") or ()),
        capacity={size: int(count) for size, count in (item.get("capacity") or {}).items()},
        accessibility=dict(item.get("accessibility") or {}),
        images=tuple(item.get("images") or ()),
        instructions=item.get("instructions") or "",
    )


def _coverage(place: Mapping[str, Any]) -> Coverage:
    return Coverage(
        postal_code=_text(place["postal_code"]),
        city=_text(place["city"]),
        country=_text(place["country"]),
        service_available=bool(place["service_available"]),
        service_types=tuple(place.get("service_types") or ()),
        estimated_transit_days={name: int(days) for name, days in (place.get("estimated_transit_days") or {}).items()},
        nearby_pickup_points=int(place.get("nearby_pickup_points") or 0),
        coverage_quality=place.get("coverage_quality") or "",
        restrictions=tuple(place.get("restrictions") or ()),
        surcharges=dict(place.get("surcharges") or {}),
    )


def _news(event: Mapping[str, Any]) -> WebhookNews:
    kind, told_at, data = _text(event["event_type"]), _text(event["timestamp"]), event["data"]
    family, _, name = kind.partition(".")
    if family == "pickup" and name in ("scheduled", "completed"):
        return _pickup_news(kind, name, told_at, data)
    if family != "shipment" or not name:
        return WebhookNews(event_type=kind)
    code = WEBHOOK_CODES.get(name, name)
    scan = _scan(
        code,
        _text(data.get(WEBHOOK_TIMES.get(code, "")) or told_at),
        description=data.get("failure_details") or "",
        location=_webhook_place(data),
        details={key: value for key, value in data.items() if key not in WEBHOOK_COLUMNS},
    )
    estimate = _optional_time(data.get("estimated_delivery") or data.get("rescheduled_for"))
    return WebhookNews(
        event_type=kind,
        scans=(ReportedScan(tracking_number=_text(data["tracking_number"]), scan=scan, estimated_delivery=estimate),),
    )


def _pickup_news(kind: str, name: str, told_at: str, data: Mapping[str, Any]) -> WebhookNews:
    at = _text(data.get("completed_at") or told_at)
    details = {key: data[key] for key in ("driver", "notes", "packages_collected") if key in data}
    numbers = data.get("shipment_ids", []) if name == "completed" else []
    if not isinstance(numbers, list):
        raise ValueError("shipment_ids is not a list")
    return WebhookNews(
        event_type=kind,
        scans=tuple(
            ReportedScan(tracking_number=_text(number), scan=_scan("picked_up", at, details=details))
            for number in numbers
        ),
        pickups=(
            ReportedPickup(
                carrier_pickup_id=_text(data["pickup_id"]), status=name, occurred_at=_time(at)[0], details=dict(data)
            ),
        ),
    )


def _webhook_place(data: Mapping[str, Any]) -> str:
    if place := data.get("location") or data.get("current_location"):
        return str(place)
    point = data.get("pickup_point")
    return str(point.get("name") or "") if isinstance(point, Mapping) else ""


def _time(text: Any) -> tuple[datetime, bool]:
    """The instant in UTC, and whether UTC had to be assumed. Raises ``ValueError``."""
    moment = datetime.fromisoformat(_text(text))
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC), True
    return moment.astimezone(UTC), False


def _optional_time(text: Any) -> datetime | None:
    return _time(text)[0] if text else None


def _decimal(value: Any) -> Decimal | None:
    return None if value is None else Decimal(str(value))


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"a text is expected, not {value!r:.50}")
    return value
