"""Find what Bring would cut, drop or accept wrongly in an order, before anything is reserved."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from django.utils.translation import gettext as _

from carriers import types
from carriers.adapters.bring import build, tables

_Problems = Iterator[tuple[str, str]]
_LOCKER_CM = (60, 50, 44)  # Bring moves larger parcels to another point, for a fee


def find_problems(order: types.Order, fields: Mapping[str, str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    customs = _customs_problems(order, order.customs) if order.customs else _missing_customs(order)
    for problems in (_address_problems(order), _order_problems(order), _option_problems(order, fields), customs):
        for field, text in problems:
            found.setdefault(field, []).append(text)
    return found


def _address_problems(order: types.Order) -> _Problems:
    addresses = {"origin": order.origin, "destination": order.destination, "return_address": order.return_address}
    addresses["customs.importer"] = order.customs.importer if order.customs else None
    for name, address in addresses.items():
        if address is None:
            continue
        try:
            address.lines(build.LINES, build.WIDTH)
        except types.AddressDoesNotFit as error:
            fits = {"lines": build.LINES, "most": build.WIDTH}
            yield f"{name}.{error.args[0]}", _("%(lines)d lines of %(most)d characters are possible.") % fits
        called = "company" if address.company else "contact_name"
        for field, most in ((called, build.WIDTH), ("city", build.WIDTH), ("contact_email", 60)):
            yield from _too_long(f"{name}.{field}", getattr(address, field), most)


def _order_problems(order: types.Order) -> _Problems:
    most = build.WIDTH if build.reference_holder(order) == "sender" else 0  # beside an IOSS number the field is ours
    yield from _too_long("metadata.customer_reference", order.customer_reference, most)
    point = order.pickup_point.carrier_state if order.pickup_point else {}
    for number, package in enumerate(order.packages):
        yield from _too_long(f"packages[{number}].description", package.description, 35)
        sides = sorted(side or 0 for side in (package.length_cm, package.width_cm, package.height_cm))
        most = sorted(point.get("max_cm") or _LOCKER_CM)
        if point.get("type") in tables.LOCKERS and any(side > limit for side, limit in zip(sides, most, strict=False)):
            yield f"packages[{number}]", _("It does not fit into this locker.")
    if order.ship_at and order.ship_at.date() < datetime.now(UTC).astimezone(order.ship_at.tzinfo).date():
        yield "ship_at", _("It must not be in the past.")
    is_rfid, kinds = order.service_type == tables.RFID, tables.KINDS.get(order.service_type or "", [])
    if order.label_format != ("ZPL" if is_rfid else "PDF"):
        yield "label_format", _("One of these is expected: %s") % ("ZPL" if is_rfid else "PDF")
    if order.return_of and order.service_type and "return" not in kinds:
        returns = ", ".join(code for code, of in tables.KINDS.items() if "return" in of)
        yield "service_type", _("One of these is expected: %s") % returns
    possible = {"qr"} if "qr" in kinds and order.origin.contact_email else set()
    if other := set(order.wanted_documents) - possible:
        yield "wanted_documents", _("Not available: %s") % ", ".join(sorted(other))
    if order.attachments:
        yield "attachments", _("The carrier has no field for it.")


def _option_problems(order: types.Order, fields: Mapping[str, str]) -> _Problems:
    options, most = order.options, tables.INSURED.get(order.currency, 0)
    if options.min_age not in (None, 18):
        yield "options.min_age", _("One of these is expected: %s") % 18
    if options.insured_value and options.insured_value > most:
        yield "options.insured_value", _("At most %s is possible.") % f"{most} {order.currency}".strip()
    for number, goods in enumerate(options.dangerous_goods):
        if not 0 < goods.parcel <= len(order.packages) or not order.packages[goods.parcel - 1].description:
            yield f"options.dangerous_goods[{number}].parcel", _("Its description must be the name of the goods.")
    if order.payment_method == types.PaymentMethod.COD and not order.currency:
        yield "currency", _("State the currency of the amounts.")
    needed = ["cod_account_number"] + (["cod_account_type"] if order.currency == "SEK" else [])
    for name in needed if order.payment_method == types.PaymentMethod.COD else ():
        if not fields.get(name):
            yield "payment_method", _("The credential lacks %s.") % name


def _missing_customs(order: types.Order) -> _Problems:
    is_export = order.origin.country == "NO" and build.is_abroad(order)
    if is_export and "export" in tables.KINDS.get(order.service_type or "", ()):
        yield "customs", _("Exports from Norway need it.")


def _customs_problems(order: types.Order, customs: types.Customs) -> _Problems:
    is_export = order.origin.country == "NO" and "export" in tables.KINDS.get(order.service_type or "", ())
    is_import = order.destination.country == "NO" and order.service_type == tables.VOEC
    if build.is_abroad(order) and not (is_export or is_import):
        if order.service_type != "CARGO_INTERNATIONAL":
            yield "customs", _("This service does not take it on this route.")
        else:
            yield from _unsent_customs(customs)
        return
    if not customs.signer:
        yield "customs.signer", _("The sender must consent by name.")
    if customs.incoterm not in ("DAP", "DDU"):
        yield "customs.incoterm", _("One of these is expected: %s") % "DAP"
    yield from _unsent_customs(customs)
    if build.tax_numbers(order, "ioss", "voec") and customs.contents != "merchandise":
        yield "customs.contents", _("One of these is expected: %s") % "merchandise"
    for number, item in enumerate(order.items):
        if item.weight_kg is None or not item.origin_country:
            name = "weight_kg" if item.weight_kg is None else "origin_country"
            yield f"items[{number}].{name}", _("Customs need it.")
        if not 6 <= len(re.sub(r"\D", "", item.hs_code)) <= 10:
            yield f"items[{number}].hs_code", _("6 to 10 digits are needed.")
    if not order.items:
        yield "items", _("Customs need it.")


def _unsent_customs(customs: types.Customs) -> _Problems:
    """Yield what a booking has no field for: it has one tax number of a party, and one of a scheme."""
    unsent = [
        name for name in ("invoice_number", "invoice_date", "freight", "insurance", "mrn") if getattr(customs, name)
    ]
    unsent += ["export_reason"] if customs.export_reason and customs.contents in tables.NATURES else []
    unsent += ["duties"] if customs.duties not in (None, types.Payer(who="recipient")) else []
    sent = {"sender", "importer" if customs.importer else "recipient", "ioss", "voec"}
    for number, one in enumerate(customs.tax_ids):
        place = one.party if one.kind in ("vat", "eori") else one.kind
        if place not in sent or len(one.number) > 30:
            unsent.append(f"tax_ids[{number}]")
        sent -= {place}
    for name in unsent:
        yield f"customs.{name}", _("The carrier has no field for it.")


def _too_long(field: str, text: str, most: int) -> _Problems:
    if len(text) > most:
        yield field, _("At most %s characters are possible.") % most
