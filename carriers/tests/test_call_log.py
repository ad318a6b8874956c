"""The call log and refusals contain no secrets and no personal data."""

import json

import pytest

from apikeys.http.logs import JsonFormatter
from carriers.adapters.apis import Json
from carriers.http.call_log import Caller
from carriers.http.transport import HttpTransport
from carriers.models import CarrierCall
from carriers.types import errors

pytestmark = [pytest.mark.django_db, pytest.mark.once]


def test_secrets_and_personal_data_are_masked_in_the_log(send, carrier):
    answer = {"access_token": "canary-token", "signed_by": "Canary Person", "label": {"data": "Y2FuYXJ5"}}
    carrier.answers = [(200, json.dumps(answer).encode(), {})]
    person = {"contact_name": "Canary Person", "street": "Canary St 1", "city": "Bogotá"}
    send(
        body=Json({"client_secret": "canary-secret", "destination": person}), headers={"Authorization": "Bearer canary"}
    )
    call = CarrierCall.objects.get()
    assert "anary" not in call.request_body + call.response_body + call.url
    assert "Bogotá" in call.request_body


def test_people_of_the_request_are_masked_in_the_logged_answer(send, carrier):
    carrier.answers = [(400, b'{"message": "Asha Rao is unknown at this address"}', {})]
    answer = send(body=Json({"contact_name": "Asha Rao"}))
    assert b"Asha Rao" in answer.content  # the merchant sent it
    assert CarrierCall.objects.get().response_body == '{"message": "*** is unknown at this address"}'


def test_answer_with_lone_surrogates_is_logged(send, carrier):
    carrier.answers = [(200, b'{"text": "\\ud800", "nul": "\\u0000"}', {})]
    send()
    assert CarrierCall.objects.get().status == 200


def test_secret_in_a_2xx_answer_is_masked_only_in_the_log(send, carrier):
    carrier.answers = [(200, b'{"shipment_id": "1"}', {})]
    assert send(headers={"Authorization": "shipment"}).json() == {"shipment_id": "1"}
    assert CarrierCall.objects.get().response_body == '{"***_id": "1"}'


@pytest.mark.parametrize("status", [302, 400, 503])
def test_secret_in_a_refusal_is_masked(send, carrier, status):
    carrier.answers = [(status, b'{"message": "cannot accept canary-token"}', {})]
    try:
        answer = send("create_label", headers={"Authorization": "Bearer canary-token"})
    except errors.CarrierError as error:
        answer = error.answer
    assert answer.json() == {"message": "cannot accept ***"}


@pytest.mark.parametrize(("is_platform", "shown"), [(True, b"***"), (False, b"test-client-id")])
def test_platforms_client_id_is_masked_in_a_refusal(credential, carrier, is_platform, shown):
    credential.merchant_id = None if is_platform else credential.merchant_id
    carrier.answers = [(400, b'{"message": "no client test-client-id"}', {})]
    http = HttpTransport(Caller(credential, None, "Pickit"))
    answer = http.send("quote", "POST", carrier.url)
    assert answer.json()["message"].encode() == b"no client " + shown


def test_token_without_scheme_is_masked(send, carrier):
    carrier.answers = [(400, b'{"message": "bad token canary-token-1"}', {})]
    assert b"canary" not in send(headers={"Authorization": "canary-token-1"}).content
    assert "canary" not in CarrierCall.objects.get().response_body


def test_each_call_is_one_log_line_with_the_documented_fields(credential, carrier, caplog, settings):
    settings.CARRIER_BASE_URLS = {("pickit", credential.environment, "main"): f"{carrier.url}/v2"}
    carrier.answers = [(200, b'{"pickup_points": []}', {}), (400, b'{"message": "canary-answer"}', {})]
    http = HttpTransport(Caller(credential, credential.merchant_id, "Pickit"))
    headers = {"Authorization": "Bearer canary-token"}
    query = {"lat": 40.7128, "lng": "-74.0060", "email": "canary@shop.example", "token": "canary-token"}
    with caplog.at_level("INFO", "carriers.http.call_log"):
        http.send("track", "GET", f"{carrier.url}/v2/pickup-points", headers=headers, params=query)
        http.send("quote", "POST", f"{carrier.url}/v2/other", headers=headers, body=Json({"name": "canary-body"}))
    found, refused = caplog.records
    assert found.getMessage() == refused.getMessage() == "pickit_api_call"
    assert (found.endpoint, found.status_code, found.outcome) == ("/pickup-points", 200, "ok")
    assert found.params == {"lat": "40.7128", "lng": "-74.0060", "email": "***", "token": "***"}
    assert 0 <= found.response_time < 30
    assert (refused.endpoint, refused.status_code, refused.outcome) == ("/other", 400, "refused")
    calls = {str(call.id): call for call in CarrierCall.objects.all()}
    assert set(calls) == {found.call_id, refused.call_id}
    lines = "".join(JsonFormatter().format(record) for record in caplog.records)
    assert "canary" not in lines


def test_call_without_an_answer_is_logged_as_a_warning(credential, carrier, caplog, settings):
    settings.CARRIER_MAX_RETRIES = 0
    carrier.answers = [(503, b"", {})]
    with caplog.at_level("WARNING", "carriers.http.call_log"), pytest.raises(errors.CarrierUnavailable):
        HttpTransport(Caller(credential, None, "Pickit")).send("quote", "POST", carrier.url)
    (line,) = [record for record in caplog.records if record.getMessage() == "pickit_api_call"]
    assert (line.levelname, line.status_code, line.error) == ("WARNING", 503, "HTTP 503")
