"""Answers list the parcels and documents of a shipment; its merchant downloads them, attachments included."""

from io import BytesIO

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apikeys.db.tenancy import Tenant
from apikeys.keys.format import generate_key
from apikeys.keys.lifecycle import store_key
from apikeys.models import Merchant
from carriers.adapters.registry import ADAPTERS
from carriers.credentials import storage
from shipping.common import downloads
from shipping.models import Document, Shipment
from shipping.tests.labels import buy
from shipping.tests.orders import FULL, PDF
from shipping.tests.osprey import FILES, OspreyAdapter

pytestmark = pytest.mark.django_db


@pytest.fixture
def bought(api, order, tenant, monkeypatch):
    monkeypatch.setitem(ADAPTERS, "osprey", OspreyAdapter)
    monkeypatch.setattr(OspreyAdapter, "requests", [])
    storage.save_credential(
        tenant=tenant, mode="test", carrier="osprey", environment="sandbox", fields={"key": "a-secret"}
    )
    changes = {
        "carrier": "osprey",
        "order_id": "7",
        "packages": [{"weight_kg": 1, "packaging": "BOX"}, {"weight_kg": 2}],
        "attachments": FULL["attachments"],
        "customs": {"contents": "gift"},
        "options": {"signature": "adult", "carrier": {"tail_lift": True}},
        "ship_at": "2001-12-01T09:00:00+05:30",
    }
    answer = buy(api, order | changes)
    assert answer.status_code == 200, answer.content
    return answer.json()


def path_of(url):
    return url.partition("testserver")[2]


def test_answers_list_parcels_and_documents(api, bought):
    reference = Shipment.objects.get().reference
    first, second, invoice, own = (
        next(one for one in bought["documents"] if (one["kind"], one["parcel"], one["source"]) == wanted)
        for wanted in (
            ("label", 1, "carrier"),
            ("label", 2, "carrier"),
            ("invoice", None, "carrier"),
            ("invoice", None, "merchant"),
        )
    )
    assert len(bought["documents"]) == 4
    assert [one["available"] for one in (first, second, invoice, own)] == [True, False, True, True]
    assert (invoice["format"], invoice["copies"], own["format"]) == ("HTML", 3, "PDF")
    assert bought["parcels"] == [
        {"number": 1, "tracking_number": "OS-7-1", "reference": f"{reference}-1", "label_url": first["url"]},
        {"number": 2, "tracking_number": "OS-7-2", "reference": f"{reference}-2", "label_url": second["url"]},
    ]
    shown = api.get(f"/api/v1/shipments/{bought['shipment_id']}").json()
    assert {name: shown[name] for name in ("parcels", "documents")} == {
        name: bought[name] for name in ("parcels", "documents")
    }
    assert [one["packaging"] for one in shown["packages"]] == ["BOX", ""]
    assert (shown["customs"]["contents"], shown["ship_at"]) == ("gift", "2001-12-01T09:00:00+05:30")
    assert shown["options"] == {"signature": "adult", "carrier": {"tail_lift": True}}
    assert [one["field"] for one in bought["warnings"] if one["code"] == "date_in_past"] == ["ship_at"]
    listed = api.get("/api/v1/shipments/OS-7-1/documents").json()
    assert listed == {"documents": bought["documents"]}


def test_number_of_queries_does_not_depend_on_the_number_of_documents(api, bought):
    def count():
        with CaptureQueriesContext(connection) as captured:
            assert api.get(f"/api/v1/shipments/{bought['shipment_id']}").status_code == 200
        statements = [query["sql"] for query in captured]
        return [sum(f'FROM "shipping_{name}"' in sql for sql in statements) for name in ("document", "parcel")]

    assert count() == [1, 1]
    Document.objects.create(shipment_id=bought["shipment_id"], kind="qr", format="PNG")
    assert count() == [1, 1]


def test_documents_are_downloaded_with_their_type_and_never_run_in_a_browser(api, bought):
    contents = {("label", "PDF"): FILES["PDF"], ("invoice", "HTML"): FILES["HTML"], ("invoice", "PDF"): PDF}
    for document in bought["documents"]:
        answer = api.get(path_of(document["url"]))
        if not document["available"]:
            assert (answer.status_code, answer.json()["error"]) == (404, "not_found")
            assert "not provided this file yet" in answer.json()["message"]
            continue
        assert b"".join(answer.streaming_content) == contents[document["kind"], document["format"]]
        is_page = document["format"] == "HTML"
        assert answer["Content-Type"].startswith("text/html" if is_page else "application/pdf")
        assert answer["Content-Disposition"].startswith("attachment") == is_page
        assert (answer["Content-Security-Policy"], answer["X-Content-Type-Options"]) == ("sandbox", "nosniff")
        assert answer["Cache-Control"] == "private, no-store"


def test_another_merchants_or_shipments_document_is_not_found(api, order, bought, credential, sandbox):
    other = Merchant.objects.create(name="Other", slug="other", plan_id="enterprise")
    key = generate_key("test")
    store_key(Tenant(other.id, "test"), key, name="other")
    url = path_of(bought["documents"][0]["url"])
    document = url.rpartition("/")[2]
    assert api.client.get(url, headers={"X-API-Key": key}).status_code == 404
    second = buy(api, order).json()
    for name in (second["shipment_id"], "UNKNOWN"):
        assert api.get(f"/api/v1/shipments/{name}/documents/{document}").status_code == 404
    assert api.get(f"/api/v1/shipments/{bought['shipment_id']}/documents/label").status_code == 404


def test_attachment_is_a_file_and_not_in_the_stored_request(bought):
    shipment, content = Shipment.objects.get(), FULL["attachments"][0]["content"]
    assert content not in str(shipment.request)
    (order,) = OspreyAdapter.requests
    assert order.attachments[0].content == PDF
    (stored,) = Document.objects.filter(by_merchant=True)
    assert (stored.shipment, stored.kind, stored.fetch_at) == (shipment, "invoice", None)


def test_lost_file_is_said_to_be_missing(api, bought):
    Document.objects.update(file="", fetch_at=None)
    answer = api.get(path_of(bought["documents"][0]["url"]))
    assert answer.json()["message"] == "The carrier has not provided this file."


def test_label_of_one_parcel_is_that_of_the_shipment(api, order, credential, sandbox):
    label = buy(api, order).json()
    (parcel,), (document, *_manifest) = label["parcels"], label["documents"]
    assert (parcel["number"], parcel["tracking_number"]) == (1, label["tracking_number"])
    assert parcel["label_url"] == document["url"]
    assert api.get(path_of(document["url"])).status_code == 200


def test_name_of_a_download_breaks_no_header():
    for name in ("a\r\nSet-Cookie: x", '"; filename="evil', "../../etc/passwd", "Ø", ""):
        response = downloads.file_response(BytesIO(b"x"), "PDF", name)
        header = response["Content-Disposition"]
        assert "\n" not in header
        assert header.count('"') == 2
        assert "/" not in header
