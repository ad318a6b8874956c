"""Find what UPS would refuse in an order, or accept wrongly (``docs/carriers/ups.md``)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from django.utils.translation import gettext as _

from carriers import types
from carriers.adapters.ups import build, customs
from carriers.adapters.ups.tables import WITH_STATES, has_parcel_options, is_abroad, is_eu_inbound
from carriers.types import PaymentMethod

MAX_PARCELS, MAX_RETURNED = 200, 20
_UPLOADS = ("PDF", "PNG", "GIF", "TIFF")
_TEXTS = {"company": 35, "contact_name": 35, "city": 30, "postal_code": 10, "contact_email": 50}


def problems(order: types.Order) -> dict[str, Sequence[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for field, text in (*_of_addresses(order), *_of_parcels(order), *_of_options(order), *_of_customs(order)):
        found[field].append(text)
    return dict(found)


def _of_addresses(order: types.Order) -> Iterator[tuple[str, str]]:
    needs_contact = is_abroad(order)
    for name in ("origin", "destination", "return_address"):
        if (address := getattr(order, name)) is None:
            continue
        yield from _too_long({f"{name}.{field}": (getattr(address, field), most) for field, most in _TEXTS.items()})
        try:
            if not address.lines(build.LINES, build.WIDTH):
                yield f"{name}.street", _needed()
        except types.AddressDoesNotFit as error:
            yield f"{name}.{error.args[0]}", _("At most three lines of 35 characters fit.")
        if not address.company and not address.contact_name:
            yield f"{name}.contact_name", _needed()
        if not address.city:
            yield f"{name}.city", _needed()
        if address.country in WITH_STATES and not 1 < len(address.state) <= 5:
            yield f"{name}.state", _("UPS needs the code of the state.")
        if len(build.phone(address)) > 15 or (needs_contact and not build.phone(address)):
            yield f"{name}.contact_phone", _needed() if not address.contact_phone else _at_most(15)


def _of_parcels(order: types.Order) -> Iterator[tuple[str, str]]:
    most = MAX_RETURNED if order.return_of else MAX_PARCELS
    if order.return_of and order.origin.country in ("US", "PR"):
        most = 1
    if len(order.packages) > most:
        yield "packages", _("At most %d parcels.") % most
    for number, package in enumerate(order.packages):
        sides = [side for side in (package.length_cm, package.width_cm, package.height_cm) if side]
        if len(sides) in (1, 2):
            yield f"packages[{number}]", _("UPS needs all three dimensions, or none.")
        if order.return_of:
            yield from _too_long({f"packages[{number}].description": (package.description or customs.goods(order), 35)})
    goods = customs.goods(order)
    field = "packages[0].description" if order.packages[0].description or not order.items else "items[0].name"
    yield from _too_long({field: (goods, 50), "customer_reference": (order.customer_reference, 35)})
    if not goods and (is_abroad(order) or order.return_of or "AE" in (order.origin.country, order.destination.country)):
        yield field, _needed()


def _of_options(order: types.Order) -> Iterator[tuple[str, str]]:
    options = order.options
    if options.signature == "recipient" and not order.pickup_point:
        yield "options.signature", _("UPS hands over to the recipient only at an Access Point.")
    if options.signature in ("any", "adult") and order.return_of:
        yield "options.signature", _("UPS takes no signature for returns.")
    if options.notify and not order.destination.contact_email:
        yield "destination.contact_email", _needed()
    payers = {"options.payer": options.payer, "customs.duties": order.customs and order.customs.duties}
    for field, payer in payers.items():
        if payer and payer.who == "third_party" and not (payer.account_number and payer.country):
            yield f"{field}.account_number", _needed()
    if options.payer.who == "recipient" and not options.payer.account_number:
        yield "options.payer.account_number", _needed()
    is_cod = order.payment_method == PaymentMethod.COD
    if is_cod and has_parcel_options(order) and len(order.packages) > 1 and not order.pickup_point:
        yield "payment_method", _("UPS collects for each parcel: send one parcel.")
    details: Sequence[Mapping[str, str]] = options.carrier.get("dangerous_goods", ())
    if len(details) != len(options.dangerous_goods):
        yield "options.carrier.dangerous_goods", _("UPS needs one entry for each of the dangerous goods.")
    if order.ship_at and order.ship_at.date() > (datetime.now(order.ship_at.tzinfo) + timedelta(days=7)).date():
        yield "ship_at", _("At most seven days ahead.")


def _of_customs(order: types.Order) -> Iterator[tuple[str, str]]:
    if is_eu_inbound(order) and not customs.de_minimis(order):
        yield "options.carrier.eu_de_minimis", _needed()
    for number, document in enumerate(order.attachments):
        if document.format not in _UPLOADS:
            yield f"attachments[{number}].format", _("UPS takes: %s") % ", ".join(_UPLOADS)
    if (declared := order.customs) is None:
        return
    yield from _too_long({"customs.invoice_number": (declared.invoice_number, 35), "order_id": (order.order_id, 35)})
    yield from _too_long({"customs.export_reason": (declared.export_reason, 20)})
    if declared.incoterm not in customs.INCOTERMS:
        yield "customs.incoterm", _("UPS takes: %s") % ", ".join(sorted(customs.INCOTERMS))
    if declared.mrn and len(declared.mrn) != 18:
        yield "customs.mrn", _("An MRN has 18 characters.")
    if not order.items:
        yield "items", _needed()
    if not order.currency:
        yield "currency", _needed()
    for number, item in enumerate(order.items):
        lines = customs.product_lines(item)
        if len(lines) > 3 or any(len(line) > 35 for line in lines):
            yield f"items[{number}].description", _("At most three lines of 35 characters fit.")
        yield from _too_long({f"items[{number}].sku": (item.sku, 35)})
        if not item.origin_country:
            yield f"items[{number}].origin_country", _needed()
        if not customs.value_of(item):
            yield f"items[{number}].unit_value", _needed()


def _too_long(texts: Mapping[str, tuple[str, int]]) -> Iterator[tuple[str, str]]:
    for field, (text, most) in texts.items():
        if len(text) > most:
            yield field, _at_most(most)


def _at_most(most: int) -> str:
    return _("At most %d characters.") % most


def _needed() -> str:
    return _("UPS needs this.")
