"""Every field of an order is read once, reaches the canonical order, and is refused by its path if it is wrong."""

import base64
import copy
from datetime import date, datetime
from decimal import Decimal

import pytest
from django.db import models
from rest_framework import serializers

from apikeys.http.handler import flatten_details
from carriers.types import Document
from shipping.common.attachment_fields import MAX_ATTACHMENT_BYTES
from shipping.common.conversion import to_order, to_request
from shipping.common.order_fields import find_problems
from shipping.common.request_fields import PackageSerializer
from shipping.labels.serializers import LabelRequestSerializer
from shipping.models import Parcel, Shipment
from shipping.quotes.serializers import QuoteRequestSerializer, ServiceabilityRequestSerializer
from shipping.shipments.serializers import ReturnRequestSerializer
from shipping.tests.labels import buy
from shipping.tests.orders import FULL, PDF

pytestmark = pytest.mark.once
WRONG_TYPES = [[], {}, True, 1e400, [[1]], {"a": {"b": 1}}, "x" * 5000]
# Fields that take any value, some of the wrong types, or the carrier's own codes.
FREE = ("options.carrier", "metadata")


def read(body, serializer=LabelRequestSerializer):
    """Return the validated data, and the refused fields by their paths."""
    bound = serializer(data=body, context={"tenant": None})
    is_valid = bound.is_valid()
    return (bound.validated_data if is_valid else None), flatten_details(bound.errors)


def values_of(body, path=""):
    """Yield path, container and key of every value."""
    for key, value in list(body.items()) if isinstance(body, dict) else list(enumerate(body)):
        here = f"{path}[{key}]" if isinstance(body, list) else f"{path}.{key}" if path else key
        yield here, body, key
        if isinstance(value, dict | list):
            yield from values_of(value, here)


def changed(path, value, body=FULL):
    """Return the body with one value changed; ``None`` removes it."""
    result = copy.deepcopy(body)
    container, key = next((container, key) for here, container, key in values_of(result) if here == path)
    if value is None:
        del container[key]
    else:
        container[key] = value
    return result


def fields_of(serializer, path=""):
    """Yield the path of every field of a serializer."""
    for name, field in serializer.fields.items():
        here = f"{path}.{name}" if path else name
        yield here
        inner = field.child if isinstance(field, serializers.ListSerializer) else field
        if isinstance(inner, serializers.Serializer):
            yield from fields_of(inner, here)


def test_sample_has_every_field():
    missing = set(fields_of(LabelRequestSerializer()))
    for path, _container, _key in values_of(FULL):
        missing.discard(path.replace("[0]", ""))
    # The sample's other addresses have these.
    assert {path.rpartition(".")[2] for path in missing} <= {
        "company", "contact_phone", "contact_email", "street2", "street3", "house_number", "state",
    }  # fmt: skip


def test_every_field_reaches_the_order_and_its_stored_form():
    data, problems = read(FULL)
    assert problems == {}
    order = to_order(data)
    (item,), (goods,), customs = order.items, order.options.dangerous_goods, order.customs
    assert (order.origin.street2, order.origin.street3, order.origin.house_number) == (
        "Oppgang B",
        "3. etasje",
        "12b",
    )
    assert (order.origin.residential, order.destination.residential) == (False, True)
    assert order.packages[0].packaging == "BOX-M"
    assert (item.gtin, item.description, item.hs_code, item.origin_country, item.parcel) == (
        "4006381333931",
        "Porcelain cup",
        "691110",
        "NO",
        2,
    )
    assert (item.unit_value, item.weight_kg) == (Decimal("18.5"), Decimal("0.3"))
    assert (customs.contents, customs.export_reason, customs.incoterm) == ("other", "Exhibition", "DDP")
    assert (customs.duties.who, customs.duties.account_number) == ("third_party", "A1B2C3")
    assert (customs.tax_ids[0].kind, customs.importer.city, customs.mrn) == ("voec", "Berlin", "23DE1234567890ABC1")
    assert (customs.invoice_date, customs.freight, customs.insurance) == (
        date(2026, 11, 30),
        Decimal(10),
        Decimal("1.5"),
    )
    assert (goods.un_number, goods.packing_group, goods.quantity, goods.parcel) == ("1263", "II", Decimal("0.5"), 2)
    assert (order.options.signature, order.options.min_age, order.options.saturday) == ("adult", 18, True)
    assert (order.options.payer.postal_code, order.options.carrier) == ("10117", {"codes": [{"id": "1288"}]})
    assert order.ship_at == datetime.fromisoformat("2026-12-01T09:00:00+01:00")
    assert order.ship_at.utcoffset().total_seconds() == 3600
    assert order.return_address.city == "Oslo"
    assert order.wanted_documents == ("invoice", "cn23")
    assert order.attachments == (Document(kind="invoice", format="PDF", content=PDF),)
    stored = to_order(to_request(order, data))
    assert stored.ship_at.utcoffset() == order.ship_at.utcoffset()
    for name in ("customs", "options", "return_address", "items", "packages", "wanted_documents"):
        assert getattr(stored, name) == getattr(order, name), name


def test_every_value_of_a_wrong_type_is_refused_by_its_path():
    unnamed = []
    for path, container, key in values_of(FULL):
        if path.startswith(FREE):
            continue
        for wrong in WRONG_TYPES:
            # Lists may be empty, and objects without required fields too; a boolean is one more boolean.
            is_same_type = type(wrong) is type(container[key]) and not isinstance(wrong, str)
            if is_same_type or (path, wrong) == ("warehouse_id", True):
                continue
            _data, problems = read(changed(path, wrong))
            if not any(name.startswith(path) for name in problems):
                unnamed.append((path, wrong, problems))
    assert not unnamed, unnamed[:5]


ACCOUNT = {"who": "third_party", "account_number": "7"}
# Changed fields, and the field that the refusal names.
CONTRADICTIONS = [
    ({"items[0].parcel": 3}, "items[0].parcel"),
    ({"options.dangerous_goods[0].parcel": 3}, "options.dangerous_goods[0].parcel"),
    ({"items[0].hs_code": "4202"}, "items[0].hs_code"),
    ({"items[0].hs_code": "4202.22.AB"}, "items[0].hs_code"),
    ({"items[0].gtin": "12345"}, "items[0].gtin"),
    ({"items[0].origin_country": "N0"}, "items[0].origin_country"),
    ({"items[0].unit_value": -1}, "items[0].unit_value"),
    ({"customs.export_reason": ""}, "customs.export_reason"),
    ({"customs.incoterm": "XYZ"}, "customs.incoterm"),
    ({"customs.duties": {"who": "recipient"}}, "customs.duties.who"),
    ({"customs.incoterm": "DAP", "customs.duties": {"who": "sender"}}, "customs.duties.who"),
    ({"customs.duties": {"who": "third_party"}}, "customs.duties.account_number"),
    ({"customs.freight": -0.01}, "customs.freight"),
    ({"customs.insurance": "-1"}, "customs.insurance"),
    ({"customs.mrn": "23-DE"}, "customs.mrn"),
    ({"customs.tax_ids[0].country": "NOR"}, "customs.tax_ids[0].country"),
    ({"customs.importer": {"country": "DE", "city": "Berlin", "street": "1"}}, "customs.importer.postal_code"),
    ({"currency": None}, "currency"),
    ({"customs": None, "items": None, "currency": None}, "currency"),  # of the insured value
    ({"options.insured_value": -1}, "options.insured_value"),
    ({"options.min_age": 0}, "options.min_age"),
    ({"options.dangerous_goods[0].un_number": "12"}, "options.dangerous_goods[0].un_number"),
    ({"options.dangerous_goods[0].hazard_class": "10"}, "options.dangerous_goods[0].hazard_class"),
    ({"options.dangerous_goods[0].quantity": 0}, "options.dangerous_goods[0].quantity"),
    ({"options.carrier": {"a": {"b": {"c": {"d": {"e": {"f": {}}}}}}}}, "options.carrier"),
    ({"options.carrier": {str(number): 1 for number in range(101)}}, "options.carrier"),
    ({"options.carrier": {"a": "x" * 8000}}, "options.carrier"),
    ({"ship_at": "tomorrow"}, "ship_at"),
    ({"wanted_documents": ["label"]}, "wanted_documents[0]"),
    ({"attachments[0].content": base64.b64encode(b"<html>").decode()}, "attachments[0].content"),
    ({"attachments[0].content": "%PDF-"}, "attachments[0].content"),
    ({"attachments[0].content": "A" * (MAX_ATTACHMENT_BYTES * 2)}, "attachments[0].content"),
    ({"attachments[0].format": "HTML"}, "attachments[0].format"),
]


def test_contradiction_names_the_field():
    for changes, field in CONTRADICTIONS:
        body = FULL
        for path, value in changes.items():
            body = changed(path, value, body)
        data, problems = read(body)
        assert data is None
        assert list(problems) == [field]
        assert all(problems[field])


def test_stored_amounts_of_zero_need_no_currency():
    for amount, fields in (("0", []), ("0.00", []), ("18.50", ["currency"]), (Decimal(0), [])):
        values = {"items": [{"unit_price": amount, "unit_value": amount}], "customs": {}}
        assert [field for field, _texts in find_problems(values, [{}])] == fields


def test_quotes_and_returns_read_the_same_fields():
    label = set(LabelRequestSerializer().fields)
    quote = QuoteRequestSerializer()
    assert label == set(quote.fields) | quote.unread
    details = {"items", "packages", "customs", "options", "ship_at", "wanted_documents", "attachments"}
    assert details <= set(ReturnRequestSerializer().fields)
    assert {"options", "ship_at"} <= set(ServiceabilityRequestSerializer().fields)


def test_no_field_is_longer_than_its_column():
    columns = {field.name: field for model in (Shipment, Parcel) for field in model._meta.get_fields()}
    for serializer in (LabelRequestSerializer(), PackageSerializer()):
        for name, field in serializer.fields.items():
            column = None if name == "carrier" else columns.get(name)  # the column has the adapter's slug
            if isinstance(column, models.CharField):
                assert field.max_length <= column.max_length, name
            if isinstance(column, models.DecimalField):
                assert field.max_digits - field.decimal_places <= column.max_digits - column.decimal_places, name
                assert field.decimal_places <= column.decimal_places, name


@pytest.mark.django_db
@pytest.mark.usefixtures("credential", "sandbox")
def test_order_with_the_new_fields_is_bought_and_shown(api, order):
    item = {"name": "Cup", "gtin": "4006381333931", "weight_kg": 0.25, "unit_value": 18.5, "parcel": 1}
    bought = buy(api, order | {"items": [item], "currency": "USD"})
    assert bought.status_code == 200, bought.content
    shown = api.get(f"/api/v1/shipments/{bought.json()['shipment_id']}").json()
    assert shown["items"][0].items() >= {"gtin": "4006381333931", "unit_value": 18.5, "weight_kg": 0.25}.items()
