"""Many checkpoints in one call: each item validated for itself, then stored together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.utils.translation import gettext as _
from rest_framework.exceptions import ValidationError

from apikeys.db.tenancy import Tenant
from apikeys.http.errors import ValidationFailed
from apikeys.http.fields import kept
from apikeys.http.handler import field_texts
from shipping.checkpoints import posting
from shipping.checkpoints.posting import Item, Outcome
from shipping.checkpoints.serializers import CheckpointRequestSerializer

MAX_ITEMS = 1000


def post(tenant: Tenant, given: Any) -> list[Outcome]:
    """What became of each item, in order. Raises ``ValidationFailed`` unless ``given`` is a list of 1 to 1,000."""
    if not isinstance(given, list) or not 1 <= len(given) <= MAX_ITEMS:
        raise ValidationFailed(details={"body": [_("A list of 1 to %d checkpoints is expected.") % MAX_ITEMS]})
    checked = validated(given)
    good = [(index, item) for index, item in enumerate(checked) if isinstance(item, Item)]
    outcomes: dict[int, Outcome] = {index: item for index, item in enumerate(checked) if not isinstance(item, Item)}
    stored = posting.post_many(tenant, [item for _index, item in good]) if good else []
    outcomes |= {index: outcome for (index, _item), outcome in zip(good, stored, strict=True)}
    return [outcomes[index] for index in range(len(given))]


def validated(given: Sequence[Any]) -> list[Item | ValidationFailed]:
    """Each item, or what is wrong with it."""
    return [_validated(one) for one in given]


_serializer = kept(CheckpointRequestSerializer())


def _validated(given: Any) -> Item | ValidationFailed:
    if isinstance(given, ValidationFailed):  # a line that was no JSON
        return given
    try:
        data = _serializer.run_validation(given)
    except ValidationError as error:
        return ValidationFailed(details=field_texts(error.detail))
    return Item(moment=data.pop("timestamp"), **data)
