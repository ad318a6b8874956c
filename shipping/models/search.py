"""Folded texts of shipments, for search by the start of a number, name, e-mail address or postal code."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from django.db import models

from apikeys.db.search import FoldedField, fold, fold_number, reversed_digits, starts_with

# A shorter text matches too much.
MIN_PHONE_DIGITS = 4
_MAX_LENGTH = 100


class ShipmentSearch(models.Model):
    """The texts that a shipment is searched by. A missing text is null.

    A table of its own: an update of a shipment writes all indexes of its row, and these columns rarely change.
    """

    shipment = models.OneToOneField(
        "shipping.Shipment", primary_key=True, on_delete=models.CASCADE, db_constraint=False, related_name="search"
    )
    tracking_number = FoldedField(max_length=_MAX_LENGTH)
    waybill_number = FoldedField(max_length=_MAX_LENGTH)
    carrier_shipment_id = FoldedField(max_length=_MAX_LENGTH)
    order_id = FoldedField(max_length=_MAX_LENGTH)
    reference = FoldedField(max_length=_MAX_LENGTH)
    customer_reference = FoldedField(max_length=_MAX_LENGTH)
    recipient = FoldedField(max_length=_MAX_LENGTH)
    last_name = FoldedField(max_length=_MAX_LENGTH, help_text="The recipient's last word, of several.")
    email = FoldedField(max_length=_MAX_LENGTH)
    phone = FoldedField(max_length=_MAX_LENGTH, help_text="Digits from the last to the first.")
    postal_code = FoldedField(max_length=_MAX_LENGTH)

    class Meta:
        indexes = [
            # PostgreSQL and SQLite know that a comparison implies IS NOT NULL.
            models.Index(fields=[name], name=f"search_{name}", condition=models.Q(**{f"{name}__isnull": False}))
            for name in (
                "tracking_number",
                "waybill_number",
                "carrier_shipment_id",
                "order_id",
                "reference",
                "customer_reference",
                "recipient",
                "last_name",
                "email",
                "phone",
                "postal_code",
            )
        ]

    def __str__(self) -> str:
        return str(self.shipment_id)


# How the searched text is folded for each column.
FOLDED: dict[str, Callable[[Any], str]] = {
    **dict.fromkeys(
        (
            "tracking_number",
            "waybill_number",
            "carrier_shipment_id",
            "order_id",
            "reference",
            "customer_reference",
            "email",
            "postal_code",
        ),
        fold_number,
    ),
    "recipient": fold,
    "last_name": fold,
    "phone": reversed_digits,
}
# Columns of Shipment that a row is made of.
SEARCHED_FIELDS = frozenset(
    {
        "tracking_number",
        "waybill_number",
        "carrier_shipment_id",
        "order_id",
        "reference",
        "customer_reference",
        "recipient",
        "destination",
    }
)


def search_values(shipment: Any) -> dict[str, str | None]:
    """Return the search columns of a shipment (also of a migration's model)."""
    destination = shipment.destination if isinstance(shipment.destination, dict) else {}
    words = fold(shipment.recipient).split()
    texts = {name: getattr(shipment, name) for name in SEARCHED_FIELDS - {"destination"}} | {
        "last_name": words[-1] if len(words) > 1 else "",
        "email": destination.get("contact_email"),
        "phone": destination.get("contact_phone"),
        "postal_code": destination.get("postal_code"),
    }
    return {name: FOLDED[name](text)[:_MAX_LENGTH] or None for name, text in texts.items()}


def store_search_rows(shipments: Iterable[Any]) -> None:
    """Store the search rows of shipments, in the caller's transaction."""
    rows = [ShipmentSearch(shipment_id=one.pk, **search_values(one)) for one in shipments]
    ShipmentSearch.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=["shipment"], update_fields=list(FOLDED)
    )


def matching_shipments(text: str, limit: int) -> list[Any]:
    """Return ids of at most ``limit`` shipments of which a search column starts with a text, in no order.

    Of several words that no column starts with, each must start one.
    """
    ids = _scan(text, limit)
    words = sorted(fold(text).split(), key=len)
    if ids or len(words) < 2:
        return ids
    rows = ShipmentSearch.objects.filter(shipment_id__in=_scan(words.pop(), limit))
    for word in words:
        rows = rows.filter(models.Q(*_conditions(word), _connector=models.Q.OR))
    return list(rows.values_list("shipment_id", flat=True))


def _scan(text: str, limit: int) -> list[Any]:
    """Return ids of matching shipments by one index scan per column: a condition on all columns reads all rows."""
    scans = [ShipmentSearch.objects.filter(one).values_list("shipment_id", flat=True) for one in _conditions(text)]
    return list(dict.fromkeys(scans[0].union(*scans[1:], all=True)[:limit])) if scans else []


def _conditions(text: str) -> list[models.Q]:
    folded = {name: fold_text(text)[:_MAX_LENGTH] for name, fold_text in FOLDED.items()}
    # The digits of an order or tracking number with letters are not the end of a phone number.
    if len(folded["phone"]) < MIN_PHONE_DIGITS or any(one.isalpha() for one in text):
        del folded["phone"]
    return [starts_with(name, value) for name, value in folded.items() if value]
