"""Post many checkpoints in one call: validate each item separately, then store the valid ones together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.utils.translation import gettext as _
from rest_framework.exceptions import ValidationError

from apikeys.db.tenancy import Tenant
from apikeys.http import request_data
from apikeys.http.errors import ValidationFailed, WaybillError
from apikeys.http.fields import make_reusable
from apikeys.http.handler import flatten_details
from apikeys.http.request_data import Warning_
from shipping.checkpoints import posting
from shipping.checkpoints.posting import Item, Outcome
from shipping.checkpoints.serializers import CheckpointRequestSerializer

MAX_ITEMS = 1000

_serializer = make_reusable(CheckpointRequestSerializer())


def post(tenant: Tenant, items: Any) -> list[Outcome]:
    """Validate and store a batch. Returns the outcome of each item, in order.

    Raises ``ValidationFailed`` unless ``items`` is a list of 1 to 1,000.
    """
    if not isinstance(items, list) or not 1 <= len(items) <= MAX_ITEMS:
        raise ValidationFailed(details={"body": [_("A list of 1 to %d checkpoints is expected.") % MAX_ITEMS]})
    return store(tenant, validate(items))


def store(tenant: Tenant, results: Sequence[Item | WaybillError]) -> list[Outcome]:
    """Store validated items together. Returns the outcome of each result, in order; errors are kept."""
    outcomes: dict[int, Outcome] = {}
    valid: dict[int, Item] = {}
    for index, result in enumerate(results):
        if isinstance(result, Item):
            valid[index] = result
        else:
            outcomes[index] = result
    if valid:
        outcomes |= zip(valid, posting.post_many(tenant, list(valid.values())), strict=True)
    return [outcomes[index] for index in range(len(results))]


def find_unknown(data: Any) -> Iterator[Warning_]:
    """Return a warning for each unknown field of an item, or of a list's items; these are named like ``[3].note``."""
    items = {f"[{number}]": item for number, item in enumerate(data)} if isinstance(data, list) else {"": data}
    for path, item in items.items():
        # Nearly all items have known fields only.
        if isinstance(item, dict) and not item.keys() <= _serializer.fields.keys():
            yield from request_data.find_unknown(_serializer, item, path)


def validate(items: Sequence[Any]) -> list[Item | ValidationFailed]:
    """Return each validated item, or the error that refuses it. Errors of the JSON parser are kept."""
    return [item if isinstance(item, ValidationFailed) else _validate_item(item) for item in items]


def _validate_item(item: Any) -> Item | ValidationFailed:
    try:
        data = _serializer.run_validation(item)
    except ValidationError as error:
        return ValidationFailed(details=flatten_details(error.detail))
    return Item(moment=data.pop("timestamp"), **data)
