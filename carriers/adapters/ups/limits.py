"""Find what UPS would refuse in an order, or accept wrongly (``docs/carriers/ups.md``)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from django.utils.translation import gettext as _

from carriers import types
from carriers.adapters.ups import build, customs
from carriers.adapters.ups.tables import WITH_STATES, has_parcel_options, is_abroad, is_eu_inbound
from carriers.types import PaymentMethod

MAX_PARCELS, MAX_RETURNED = 200, 20
_UPLOADS = ("PDF", "PNG", "GIF", "TIFF")
_DOCUMENTS = {"invoice", "receipt"}
_LENGTHS = {"company": 35, "contact_name": 35, "city": 30, "postal_code": 10, "contact_email": 50}
PARTIES = ("origin", "destination", "return_address")
_Problems = Iterator[tuple[str, str]]


def problems(order: types.Order) -> dict[str, Sequence[str]]:
    return _by_field(*_of_addresses(order), *_of_parcels(order), *_of_options(order), *_of_customs(order))


def line_problems(addresses: Mapping[str, types.Address | None], width: int = build.WIDTH) -> dict[str, Sequence[str]]:
    """Return the problems of streets, of addresses by their field of our request."""
    return _by_field(*(one for name, address in addresses.items() if address for one in _lines(name, address, width)))


def pickup_problems(request: types.PickupRequest) -> dict[str, Sequence[str]]:
    address = request.address
    name, contact = address.company or address.contact_name, address.contact_name or address.company
    lengths = (
        ("address.street", build.pickup_street(address), 73),
        ("address.company" if address.company else "contact_name", name, 27),
        ("contact_name" if address.contact_name else "address.company", contact, 22),
        ("address.city", address.city, 50),
        ("address.postal_code", address.postal_code, 10),
        ("parcel_location", request.parcel_location, 11),
        ("special_instructions", request.special_instructions, 57),
        ("packages_count", str(request.packages_count), 3),
        ("total_weight_kg", build.weight(request.total_weight_kg or Decimal(0), address.country), 6),
    )
    return _by_field(*(one for field, text, most in lengths for one in _too_long(field, text, most)))


def _by_field(*problems: tuple[str, str]) -> dict[str, Sequence[str]]:
    found: dict[str, list[str]] = {}
    for field, text in problems:
        found.setdefault(field, []).append(text)
    return found


def _lines(name: str, address: types.Address, width: int = build.WIDTH) -> _Problems:
    try:
        address.lines(build.LINES, width)
    except types.AddressDoesNotFit as error:
        yield f"{name}.{error.args[0]}", _("At most three lines of %d characters fit.") % width


def _of_addresses(order: types.Order) -> _Problems:
    named = {name: getattr(order, name) for name in PARTIES}
    named |= [customs.buyer(order)] if customs.makes_invoice(order) else []
    for name, address in named.items():
        if address is None:
            continue
        for field, most in _LENGTHS.items():
            yield from _too_long(f"{name}.{field}", getattr(address, field), most)
        yield from _lines(name, address)
        phone, needs_state = build.phone(address), address.country in WITH_STATES
        yield from _needed(f"{name}.street", (address.street + address.street2 + address.street3).strip())
        yield from _needed(f"{name}.contact_name", address.company or address.contact_name)
        yield from _needed(f"{name}.city", address.city)
        yield from _needed(f"{name}.contact_phone", phone or not is_abroad(order) or name not in PARTIES)
        yield from _too_long(f"{name}.contact_phone", phone, 15)
        if needs_state and not 1 < len(address.state) <= 5:
            yield f"{name}.state", _("UPS needs the code of the state.")


def _of_parcels(order: types.Order) -> _Problems:
    goods, is_single = customs.goods(order), order.return_of and order.origin.country in ("US", "PR")
    most = 1 if is_single else MAX_RETURNED if order.return_of else MAX_PARCELS
    field = "packages[0].description" if order.packages[0].description or not order.items else "items[0].name"
    is_abroad_or_to_emirates = is_abroad(order) or "AE" in (order.origin.country, order.destination.country)
    yield from _too_long("packages", order.packages, most, _("At most %d parcels.") % most)
    yield from _too_long(field, goods, 50)
    yield from _too_long("metadata.customer_reference", order.customer_reference, 35)
    yield from _needed(field, goods or not (is_abroad_or_to_emirates or order.return_of))
    for number, package in enumerate(order.packages):
        if [package.length_cm, package.width_cm, package.height_cm].count(None) in (1, 2):
            yield f"packages[{number}]", _("UPS needs all three dimensions, or none.")
        if order.return_of:
            yield from _too_long(f"packages[{number}].description", package.description or goods, 35)


def _of_options(order: types.Order) -> _Problems:
    options = order.options
    if options.signature == "recipient" and not order.pickup_point:
        yield "options.signature", _("UPS hands over to the recipient only at an Access Point.")
    if options.signature in ("any", "adult") and order.return_of:
        yield "options.signature", _("UPS takes no signature for returns.")
    yield from _needed("destination.contact_email", order.destination.contact_email or not options.notify)
    yield from _needed("service_type", order.service_type)
    yield from _needed("currency", order.currency or order.payment_method != PaymentMethod.COD)
    payer, duties = options.payer, (order.customs and order.customs.duties) or types.Payer()
    yield from _needed("options.payer.account_number", payer.account_number or payer.who == "sender")
    yield from _needed("customs.duties.account_number", duties.account_number or duties.who != "third_party")
    for field, one in {"options.payer": payer, "customs.duties": duties}.items():
        yield from _needed(f"{field}.country", one.country or one.who != "third_party")
        yield from _too_long(f"{field}.account_number", one.account_number, 6)
        yield from _too_long(f"{field}.postal_code", one.postal_code, 9)
    is_cod = order.payment_method == PaymentMethod.COD and not order.pickup_point
    if is_cod and has_parcel_options(order) and len(order.packages) > 1:
        yield "payment_method", _("UPS collects for each parcel: send one parcel.")
    if len(options.carrier.get("dangerous_goods", ())) != len(options.dangerous_goods):
        yield "options.carrier.dangerous_goods", _("UPS needs one entry for each of the dangerous goods.")
    today = datetime.now(UTC).astimezone(order.ship_at.tzinfo).date() if order.ship_at else None
    if order.ship_at and today and not today <= order.ship_at.date() <= today + timedelta(days=7):
        yield "ship_at", _("From today to seven days ahead.")


def _of_customs(order: types.Order) -> _Problems:
    declared, known = order.customs, ", ".join(sorted(customs.INCOTERMS))
    yield from _needed("options.carrier.eu_de_minimis", customs.de_minimis(order) or not is_eu_inbound(order))
    for number, document in enumerate(order.attachments):
        if document.format not in _UPLOADS:
            yield f"attachments[{number}].format", _("UPS takes: %s") % ", ".join(_UPLOADS)
    if set(order.wanted_documents) - _DOCUMENTS:
        yield "wanted_documents", _("UPS takes: %s") % ", ".join(sorted(_DOCUMENTS))
    elif "invoice" in order.wanted_documents and declared is None:
        yield "wanted_documents", _("UPS makes the invoice of the customs data.")
    if order.origin.country == order.destination.country:
        for field in ("customs", "attachments"):
            if getattr(order, field):
                yield field, _("UPS takes it abroad only.")
    if declared is None:
        return
    yield from _too_long("customs.invoice_number", declared.invoice_number, 35)
    yield from _too_long("customs.export_reason", declared.export_reason, 20)
    yield from _too_long("order_id", order.order_id, 35)
    yield from _needed("items", order.items)
    yield from _needed("currency", order.currency)
    if declared.incoterm not in customs.INCOTERMS:
        yield "customs.incoterm", _("UPS takes: %s") % known
    if declared.mrn and len(declared.mrn) != 18:
        yield "customs.mrn", _("An MRN has 18 characters.")
    for number, item in enumerate(order.items):
        lines = customs.product_lines(item)
        if len(lines) > 3 or any(len(line) > 35 for line in lines):
            yield f"items[{number}].description", _("At most three lines of %d characters fit.") % build.WIDTH
        yield from _too_long(f"items[{number}].sku", item.sku, 35)
        yield from _needed(f"items[{number}].origin_country", item.origin_country)
        yield from _needed(f"items[{number}].unit_value", customs.value_of(item))


def _too_long(field: str, value: Sequence[object], most: int, text: str = "") -> _Problems:
    if len(value) > most:
        yield field, text or _("At most %d characters.") % most


def _needed(field: str, value: object) -> _Problems:
    if not value:
        yield field, _("UPS needs this.")
