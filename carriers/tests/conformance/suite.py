"""What of a carrier's exchanges does not conform to the published documents."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import requests

from carriers.tests.conformance import bring, openapi, published
from carriers.tests.conformance.deviations import UNDOCUMENTED, Undocumented, is_excused
from carriers.tests.conformance.operations import Check, Exchange, Operation, find
from carriers.tests.conformance.schemas import Document, close

UPS_DOCUMENTS = (
    "AddressValidation",
    "Locator",
    "OAuthClientCredentials",
    "Paperless",
    "Pickup",
    "QuantumView",
    "Rating",
    "Shipping",
    "TimeInTransit",
    "Tracking",
    "UPSTrackAlert",
)
_CALLBACK = "minimal-requests/event-cast-callback.json"


@cache
def operations(carrier: str) -> tuple[Operation, ...]:
    """Return the operations of a carrier's documents."""
    if carrier == "bring":
        return tuple(bring.operations())
    names = [f"ups/{name}.yaml" for name in UPS_DOCUMENTS]
    return tuple(operation for name in names for operation in openapi.operations(name, published.load(name)))


@cache
def hosts(carrier: str) -> frozenset[str]:
    """Return the hosts of a carrier's documents."""
    if carrier == "bring":
        return frozenset((bring.HOST,))
    servers = (one for name in UPS_DOCUMENTS for one in published.load(f"ups/{name}.yaml").get("servers") or ())
    return frozenset(urlsplit(one["url"]).netloc for one in servers)


def find_operation(carrier: str, exchange: Exchange) -> Operation | None:
    """Return the documented operation of an exchange, or None."""
    return find(operations(carrier), exchange)


def find_undocumented(carrier: str, exchange: Exchange) -> Undocumented | None:
    """Return the listed operation without a document that an exchange is of, or None."""
    return next((one for one in UNDOCUMENTED[carrier] if one.matches(exchange)), None)


def faults_of(carrier: str, exchange: Exchange, *, with_request: bool = True) -> list[str]:
    """Return what does not conform, except deviations of the documents themselves."""
    operation = find_operation(carrier, exchange)
    if operation is None:
        is_listed = exchange.status == 404 or find_undocumented(carrier, exchange) is not None
        return [] if is_listed else [f"{exchange.method} {exchange.path}: no document has this operation"]
    faults = [*operation.request_faults(exchange)] if with_request else []
    faults += operation.response_faults(exchange)
    return [f"{operation.name}: {fault}" for fault in faults if not is_excused(operation, fault)]


def event_faults(carrier: str, event: Any) -> list[str]:
    """Return what does not conform of the body of a webhook."""
    operation = Operation("ups/UPSTrackAlert.yaml" if carrier == "ups" else _CALLBACK, "POST", "the client's URL")
    faults = (fault._replace(place="event") for fault in _event_check(carrier)(event))
    return [str(fault) for fault in faults if not is_excused(operation, fault)]


@cache
def _event_check(carrier: str) -> Check:
    if carrier == "ups":
        document = Document(close(openapi.add_listed_values(published.load("ups/UPSTrackAlert.yaml"))))
        return document.check("/components/schemas/TrackingEventRequest")
    return bring.Body(samples=(_CALLBACK,)).check()


def make_exchange(
    method: str, url: str, headers: Mapping[str, str], body: bytes, response: requests.Response, prefix: str = ""
) -> Exchange:
    """Return an exchange. ``prefix`` is the path of the simulated carrier, which is left out."""
    parts = urlsplit(url)
    return Exchange(
        method=method,
        path=unquote(parts.path).removeprefix(prefix),
        query=dict(parse_qsl(parts.query, keep_blank_values=True)),
        headers={name.lower(): value for name, value in headers.items()},
        body=body,
        status=response.status_code,
        answer_headers={name.lower(): value for name, value in response.headers.items()},
        answer=response.content,
    )
