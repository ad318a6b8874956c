"""Bring's operations: methods and paths from its RAML, bodies from schemas that were inferred from its samples.

Bring's current OpenAPI documents are not stored anywhere public, and the RAML describes no bodies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any
from urllib.parse import urlsplit

from carriers.tests.conformance import published, raml
from carriers.tests.conformance.inferred import infer, merge
from carriers.tests.conformance.operations import JSON, Check, Operation
from carriers.tests.conformance.schemas import Document, close

HOST = "api.bring.com"
_DOCUMENTS = ("bookingold", "tracking", "pickup-point", "event-cast", "postal-code", "shipping-guide_2")
_CASTS = "event-cast/examples"
# The pages and examples write these paths with an extension, which the RAML leaves to the header Accept.
_WITH_EXTENSION = ("/booking/api/customers", "/booking/api/errors")
_BOOKING, _GUIDE = "POST /booking/api/booking", "POST /shippingguide/api/v2/products"


@dataclass(frozen=True)
class Body:
    """What describes a body.

    Args:
        schema: file in ``inferred-jsonschema``, without its extension.
        samples: patterns of files among the samples.
        wrap: makes a body of a sample that is a part of one.
    """

    schema: str = ""
    samples: tuple[str, ...] = ()
    wrap: Callable[[Any], Any] = lambda value: value

    def check(self) -> Check:
        schemas: list[dict[str, Any]] = []
        if self.schema:
            schemas.append(published.load(f"bring/inferred-jsonschema/{self.schema}.schema.json"))
        root = published.samples_folder() / "bring"
        found = [path for pattern in self.samples for path in sorted(root.glob(pattern))]
        if self.samples and not found:
            raise FileNotFoundError(f"no samples {self.samples}")
        if found:
            schemas.append(infer(self.wrap(published.read(path)) for path in found))
        return Document(close(reduce(merge, schemas))).check("")


_POINTS = Body("pickup-points-response", ("pickup-point/examples/*.json",))
_WEBHOOK = Body("event-cast-webhook")
_ERROR = Body(samples=(f"{_CASTS}/create-webhook-invalid.json",))


def _wrap_service(sample: Any) -> Any:
    """Return a booking with the additional services of a sample, which may have other parts of a consignment too."""
    services = sample.pop("additionalServices", None)
    if "consignments" not in sample:
        sample = {} if "pickupPoint" in sample else {"consignments": [sample]}
    if services is not None:
        sample = {"consignments": [{"product": {"additionalServices": services}}]}
    return sample


# Bodies of the requests and of the successes.
_REQUESTS = {
    _BOOKING: Body("booking-request", ("current/booking/examples/vas/*.json",), _wrap_service),
    "POST /booking/api/pickupOrder": Body(samples=("booking/examples/pickuporder_[NSC]*.json",)),
    _GUIDE: Body(samples=("minimal-requests/shipping-guide.json", "current/shipping-guide_2/examples/*_request.json")),
    "POST /event-cast/api/v1/webhooks": Body("event-cast-create"),
    "POST /event-cast/batch/api/v1/webhooks": Body(samples=(f"{_CASTS}/batch-create-webhook-request.json",)),
}
_RESPONSES = {
    _BOOKING: {"200": Body("booking-response")},
    "GET /booking/api/customers": {"200": Body(samples=("booking/examples/customers.json",))},
    "GET /booking/api/errors": {"200": Body(samples=("booking/examples/errors.json",))},
    "POST /booking/api/pickupOrder": {"200": Body(samples=("booking/examples/pickuporder_response.json",))},
    _GUIDE: {"200": Body(samples=("current/shipping-guide_2/examples/*_response_200.json",))},
    "GET /tracking/api/{version}/tracking{mediaTypeExtension}": {
        "200": Body("tracking-response", ("tracking/examples/*.json",))
    },
    "POST /event-cast/api/v1/webhooks": {"201": _WEBHOOK, "400": _ERROR},
    "POST /event-cast/batch/api/v1/webhooks": {
        "201": Body(samples=(f"{_CASTS}/batch-webhook-request.json",)),
        "400": _ERROR,
    },
    "GET /event-cast/api/v1/webhooks/": {"200": Body(samples=(f"{_CASTS}/webhook-request-all.json",))},
    "GET /event-cast/api/v1/webhooks/{WebhookId}": {"200": _WEBHOOK},
    "GET /pickuppoint/api/postalCode/{countryCode}/getCityAndType/{postalCode}{mediaTypeExtension}": {
        "200": Body(samples=("postal-code/examples/response.json",))
    },
}


def operations() -> Iterator[Operation]:
    """Yield the operations of all documents, and those that only samples show."""
    for name in _DOCUMENTS:
        content = published.load(f"bring/raml/{name}.raml")
        prefix = "/tracking" if urlsplit(content["baseUri"]).hostname != HOST else ""
        for operation in raml.operations(f"bring/raml/{name}.raml", content):
            operation = _with_bodies(replace(operation, path=prefix + operation.path))
            yield operation
            if operation.path in _WITH_EXTENSION:
                yield replace(operation, path=f"{operation.path}.json")
    path = _GUIDE.removeprefix("POST ")
    yield _with_bodies(Operation("samples/bring/current/shipping-guide_2", "POST", path))


def _with_bodies(operation: Operation) -> Operation:
    if operation.name == _BOOKING:
        # The RAML lists fields of the body as parameters of the query.
        operation = replace(operation, parameters=tuple(one for one in operation.parameters if one.place != "query"))
    request = _REQUESTS.get(operation.name)
    responses = dict(_RESPONSES.get(operation.name, {}))
    if "/pickuppoint/api/pickuppoint/" in operation.path:
        responses["200"] = _POINTS
    checks = {status: body.check() for status, body in responses.items()}
    return replace(
        operation,
        requests={JSON: request.check()} if request else {},
        responses=dict.fromkeys(operation.responses) | checks,
    )
