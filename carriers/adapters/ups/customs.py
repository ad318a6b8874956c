"""Build the customs part of UPS's label requests: the invoice that UPS makes, tax numbers, and who pays the duties."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import ROUND_CEILING, Decimal
from textwrap import wrap
from typing import Any

from carriers import types
from carriers.adapters.ups.tables import IMPERIAL, is_abroad, is_eu_inbound
from carriers.types.units import convert, round_up

_INCOTERMS = "CFR CIF CIP CPT DAF DDP DAP DEQ DES EXW FAS FCA FOB"
INCOTERMS = frozenset(_INCOTERMS.split())
_REASONS = {"merchandise": "SALE"}  # all others are the word itself
_TAX_IDS = {"eori": "0002", "vat": "1002", "gst": "1002", "ein": "0001"}
_INVOICE, _INVOICE_OF_RETURN, _OWN_FORMS = "01", "05", "07"
_DE_MINIMIS = Decimal(150)  # EUR


def goods(order: types.Order) -> str:
    """Return the description of the goods: of the first parcel, else of the first item."""
    first = order.items[0] if order.items else types.Item(name="")
    return order.packages[0].description or first.description or first.name


def total_value(order: types.Order) -> Decimal:
    return sum((value_of(item) * item.quantity for item in order.items), Decimal(0))


def line_total(order: types.Order) -> dict[str, str]:
    """Return the value of the goods in whole units, which UPS needs from the US to Canada and Puerto Rico."""
    if order.origin.country != "US" or order.destination.country not in ("CA", "PR") or order.return_of:
        return {}
    total = max(total_value(order).to_integral_value(ROUND_CEILING), Decimal(1))
    return {"CurrencyCode": order.currency, "MonetaryValue": f"{total:f}"}


def de_minimis(order: types.Order) -> str:
    """Return whether goods for the EU are worth at most 150 EUR; empty elsewhere, and if it is not known."""
    total = total_value(order)
    known = total <= _DE_MINIMIS if order.currency == "EUR" and total else None
    stated = order.options.carrier.get("eu_de_minimis", known)
    return "" if stated is None or not is_eu_inbound(order) else "Y" if stated else "N"


def duty_payer(order: types.Order) -> types.Payer | None:
    """Return who pays duties and taxes, if a request has to state it: without it, the recipient pays."""
    if not is_abroad(order) or order.customs is None:
        return None
    payer = order.customs.duties or types.Payer(who="sender" if order.customs.incoterm == "DDP" else "recipient")
    return payer if payer.who != "recipient" or payer.account_number else None


def buyer(order: types.Order) -> tuple[str, types.Address]:
    """Return the buyer on the invoice that UPS makes, after its field of our request."""
    if order.customs and order.customs.importer:
        return "customs.importer", order.customs.importer
    return ("billing_address", order.billing_address) if order.billing_address else ("destination", order.destination)


def makes_invoice(order: types.Order) -> bool:
    """Return whether UPS makes the invoice."""
    has_own = any(document.kind == "invoice" for document in order.attachments)
    return order.customs is not None and not has_own and order.origin.country != order.destination.country


def product_lines(item: types.Item) -> list[str]:
    return wrap(item.description or item.name, 35, break_long_words=False)


def declaration(order: types.Order) -> dict[str, Any]:
    """Return what customs and UPS need to know of the whole shipment."""
    found: dict[str, Any] = {}
    if is_eu_inbound(order):
        default = "01" if order.destination.company else "02"
        found["ShipperType"] = order.options.carrier.get("shipper_type", "01")
        found["ConsigneeType"] = order.options.carrier.get("consignee_type", default)
    if order.customs:
        found["DocumentsOnlyIndicator"] = "Y" if order.customs.contents == "documents" else ""
        found["MovementReferenceNumber"] = order.customs.mrn
        found["GlobalTaxInformation"] = {"AgentTaxIdentificationNumber": _tax_ids(order.customs.tax_ids)}
    return found


def forms(order: types.Order, document_ids: Sequence[str], buyer: Mapping[str, Any]) -> dict[str, Any]:
    """Return uploaded documents, and the invoice that UPS makes of the items unless the merchant uploads one."""
    customs, own = order.customs, {"UserCreatedForm": {"DocumentID": list(document_ids)}, "FormType": [_OWN_FORMS]}
    found: dict[str, Any] = own if document_ids else {"FormType": []}
    if customs is None or not makes_invoice(order):
        return found
    invoiced_at = customs.invoice_date or order.ship_at or datetime.now(UTC)
    return found | {
        "FormType": [_INVOICE_OF_RETURN if order.return_of else _INVOICE, *found["FormType"]],
        "Contacts": {"SoldTo": buyer}, "Product": [_product(order, item) for item in order.items],
        "InvoiceNumber": customs.invoice_number, "InvoiceDate": f"{invoiced_at:%Y%m%d}",
        "PurchaseOrderNumber": order.order_id, "TermsOfShipment": customs.incoterm, "CurrencyCode": order.currency,
        "ReasonForExport": customs.export_reason or _REASONS.get(customs.contents, customs.contents.upper()),
        "Comments": f"Signed by {customs.signer}" if customs.signer else "",
        "FreightCharges": _charge(customs.freight), "InsuranceCharges": _charge(customs.insurance),
    }  # fmt: skip


def _product(order: types.Order, item: types.Item) -> dict[str, Any]:
    unit, code = ("lb", "LBS") if order.origin.country in IMPERIAL else ("kg", "KGS")
    weight = round_up(convert((item.weight_kg or Decimal(0)) * item.quantity, "kg", unit), 1)
    return {
        "Description": product_lines(item), "CommodityCode": item.hs_code, "PartNumber": item.sku,
        "Unit": {"Number": str(item.quantity), "UnitOfMeasurement": {"Code": "PCS"}, "Value": f"{value_of(item):f}"},
        "OriginCountryCode": item.origin_country,
        "ProductWeight": {"UnitOfMeasurement": {"Code": code}, "Weight": f"{weight:f}"} if weight else {},
    }  # fmt: skip


def _tax_ids(tax_ids: Sequence[types.TaxId]) -> list[dict[str, Any]]:
    """Return the tax numbers of the sender (20), and of the recipient and the importer (30)."""
    agents: dict[str, list[dict[str, str]]] = {}
    for one in tax_ids:
        role = "20" if one.party == "sender" else "30"
        number = {
            "IdentificationNumber": one.number, "IDNumberIssuingCntryCd": one.country,
            "IDNumberCustomerRole": {"sender": "37", "recipient": "18"}.get(one.party, "05"),
            "IDNumberEncryptionIndicator": "0", "IDNumberPurposeCode": "02" if one.kind == "eori" else "01",
            "IDNumberTypeCode": _TAX_IDS.get(one.kind, "1001") if role == "20" else "1002",  # UPS takes few of role 30
        }  # fmt: skip
        agents.setdefault(role, []).append(number)
    return [{"AgentRole": role, "TaxIdentificationNumber": numbers} for role, numbers in agents.items()]


def value_of(item: types.Item) -> Decimal:
    return item.unit_price if item.unit_value is None else item.unit_value


def _charge(amount: Decimal | None) -> dict[str, str]:
    return {} if amount is None else {"MonetaryValue": f"{amount:f}"}
