"""Requests to a carrier with several APIs: base URL, authentication, headers, bodies and answers."""

import base64
import json
import uuid

import pytest

from apikeys.http import correlation
from carriers.adapters.apis import Basic, FilePart, Form, HeaderKey, Json, Multipart, Xml
from carriers.adapters.xml import parse_xml
from carriers.tests.heron import open_heron
from carriers.tests.replay import answer
from carriers.types.errors import (
    CarrierAuthentication,
    CarrierError,
    CarrierRejected,
    CarrierUnavailable,
    CarrierUnsupported,
    OutcomeUnknown,
)

XML = b"<track><event code='1'>a</event></track>"


def sent_by(adapter, call):
    call(adapter)
    return adapter.http.sent[-1]


def test_request_goes_to_the_api_of_its_operation_with_its_authentication():
    quoted = sent_by(open_heron(answer({})), lambda it: it.quote(None))
    assert quoted["url"] == "https://api.heron.example/v1/test/quote"
    assert quoted["headers"]["Authorization"] == "Bearer token-1"
    assert quoted["params"] == {"q": "a b"}
    booked = sent_by(open_heron(answer({})), lambda it: it.create_label({}))
    assert booked["url"] == "https://book.heron.example/labels"
    assert booked["headers"] == {"Authorization": "Token token-1", "X-Number": "77"}
    tracked = sent_by(open_heron(answer(XML)), lambda it: it.track([]))
    assert (tracked["headers"], tracked["params"]) == ({}, {"apikey": "heron-key"})


def test_operation_may_name_its_api_headers_and_authentication():
    adapter = open_heron(answer({}))
    auth = (Basic("user", "secret"), HeaderKey("X-Key", "key"))
    adapter._request("quote", "GET", "/x", api="tracking", headers={"Client": "other"}, auth=auth)
    encoded = base64.b64encode(b"heron-user:heron-secret").decode()
    assert adapter.http.sent[0]["url"] == "http://127.0.0.1:8010/heron/x"
    assert adapter.http.sent[0]["headers"] == {
        "Client": "other",
        "Authorization": f"Basic {encoded}",
        "X-Key": "heron-key",
    }
    assert adapter.http.sent[0]["params"] is None


def test_operation_of_an_api_without_its_fields_is_unsupported():
    adapter = open_heron(answer(XML), without=("key",))
    for call in (lambda: adapter.need("track"), lambda: adapter.track([])):
        with pytest.raises(CarrierUnsupported) as refused:
            call()
        assert refused.value.carrier_code == "track"
    assert adapter.http.sent == []
    adapter.need("quote")
    open_heron(answer(XML)).need("track")


def test_refused_token_of_each_kind_is_renewed_once():
    adapter = open_heron(answer({}, 401), answer({"ok": 1}))
    adapter.create_label({})
    adapter.http.answers = [answer({}, 401), answer({})]
    adapter.quote(None)
    assert adapter.tokens.kinds == ["booking", "main"]
    adapter = open_heron(answer({}, 401))
    with pytest.raises(CarrierRejected):
        adapter.quote(None)
    assert len(adapter.http.sent) == 2
    adapter = open_heron(answer({}, 401))  # no token is sent there
    with pytest.raises(CarrierRejected):
        adapter.track([])
    assert len(adapter.http.sent) == 1


def test_answer_is_read_as_expected_and_requested_so():
    kinds = {
        "application/json": (lambda it: it.quote(None), answer({"a": 1}), {"a": 1}),
        "application/xml": (lambda it: it.track([]), answer(XML), {"track": {"event": {"code": "1", "#text": "a"}}}),
        "*/*": (lambda it: it.proof_of_delivery(None), answer(b"GIF89a"), b"GIF89a"),
    }
    for accept, (call, response, expected) in kinds.items():
        adapter = open_heron(response)
        assert call(adapter) == expected
        assert adapter.http.sent[0]["accept"] == accept
    for content in (b"", b"<html>", b"{}", b"[", b"{not json"):
        assert open_heron(answer(content)).cancel("1", "") is None
    with pytest.raises(CarrierUnavailable):
        open_heron(answer(b"{}")).track([])
    with pytest.raises(CarrierUnavailable):
        open_heron(answer(XML)).quote(None)
    with pytest.raises(OutcomeUnknown):
        open_heron(answer(XML)).create_label({})
    with pytest.raises(CarrierRejected):
        open_heron(answer({"success": False, "message": "no"})).cancel("1", "")


def test_secrets_in_the_words_of_a_200_are_masked():
    refusal = answer({"success": False, "code": "E1", "message": "heron-secret of heron-user is locked"})
    for call in (lambda it: it.quote(None), lambda it: it.cancel("1", ""), lambda it: it.fetch_token()):
        with pytest.raises(CarrierError) as refused:
            call(open_heron(refusal))
        assert refused.value.carrier_message == "*** of *** is locked"


def test_login_is_a_form_with_basic_authentication():
    adapter = open_heron(answer({"access_token": "abc", "expires_in": "14399"}))
    assert adapter.fetch_token("booking").value == "abc"
    (sent,) = adapter.http.sent
    assert (sent["operation"], sent["url"]) == ("token", "https://api.heron.example/v1/test/token")
    assert sent["body"] == Form({"grant_type": "client_credentials", "scope": "booking"})
    assert base64.b64decode(sent["headers"]["Authorization"].removeprefix("Basic ")) == b"heron-user:heron-secret"
    with pytest.raises(CarrierAuthentication):
        open_heron(answer({}, 401)).fetch_token()


@pytest.mark.django_db
def test_bodies_are_encoded_by_their_kind(send, carrier):
    bodies = [
        Json({"a": 1}),
        Form({"a b": "ü&="}),
        Xml(b"<a/>"),
        Multipart({"n": "1"}, {"f": FilePart("x.pdf", b"%PDF")}),
    ]
    for body in bodies:
        send(body=body, accept="application/xml")
    (_, json_head, json_body), (_, form_head, form_body), (_, xml_head, xml_body), (_, parts_head, parts_body) = (
        carrier.requests
    )
    assert (json_head["Content-Type"], json.loads(json_body)) == ("application/json", {"a": 1})
    assert (form_head["Content-Type"], form_body) == ("application/x-www-form-urlencoded", b"a+b=%C3%BC%26%3D")
    assert (xml_head["Content-Type"], xml_body) == ("application/xml; charset=utf-8", b"<a/>")
    assert parts_head["Content-Type"].startswith("multipart/form-data; boundary=")
    assert b'name="f"; filename="x.pdf"' in parts_body
    assert b"%PDF" in parts_body
    assert {head["Accept"] for _path, head, _body in carrier.requests} == {"application/xml"}


@pytest.mark.django_db
def test_correlation_id_is_sent_in_the_carriers_forms(send, carrier):
    known = uuid.uuid4()
    for given in (str(known), "corr-7", "corr-7"):
        with correlation.scope(given):
            send(headers={"Trace": "{id32}", "Message": "{id36}"})
    heads = [headers for _path, headers, _body in carrier.requests]
    assert (heads[0]["Trace"], heads[0]["Message"]) == (known.hex, str(known))
    assert uuid.UUID(heads[1]["Message"]).hex == heads[1]["Trace"] == heads[2]["Trace"]


def test_xml_is_read_without_namespaces_and_entities():
    text = b"""<?xml version="1.0"?><x:data xmlns:x="urn:x" name="d" code="0"><data name="a"/><data name="b">t</data>
        <code>5</code><empty/></x:data>"""
    assert parse_xml(text) == {
        "data": {
            "name": "d",
            "@code": "0",
            "data": [{"name": "a"}, {"name": "b", "#text": "t"}],
            "code": "5",
            "empty": "",
        }
    }
    bomb = b'<!DOCTYPE a [<!ENTITY e "x">]><a>&e;</a>'
    outside = b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>'
    deep = b"<a>" * 5000 + b"</a>" * 5000
    for bad in (bomb, outside, deep, b"", b"<a>", b"\xff\xfe", b'<?xml version="1.0" encoding="x-none"?><a/>', b"{}"):
        with pytest.raises(ValueError, match="XML"):
            parse_xml(bad)
