"""The recorded requests, answers and webhooks of a carrier conform to its documents, unless a webhook is assumed."""

import json

import pytest

from carriers.adapters.registry import ADAPTERS
from carriers.tests import recorded
from carriers.tests.conformance import published
from carriers.tests.conformance.operations import FORM, JSON, Exchange
from carriers.tests.conformance.suite import event_faults, faults_of

pytestmark = pytest.mark.skipif(not published.is_available(), reason=published.REASON)
# Records have no headers: those that every request of the adapters has.
HEADERS = {
    "ups": {"authorization": "Bearer t", "transid": "1", "transactionsrc": "waybill", "shippernumber": "A1B2C3"},
    "bring": {"accept": JSON},
}


def make_exchange(carrier, record):
    request = record["request"]
    is_form = request["path"].endswith("/oauth/token")
    headers = HEADERS[carrier] | {"content-type": FORM if is_form else JSON, "accountnumber": "A1B2C3"}
    body = b"" if request.get("body") is None else json.dumps(request["body"]).encode()
    return Exchange(
        method=request["method"],
        path=request["path"],
        query=request.get("query") or {},
        headers=headers | ({"authorization": "Basic b"} if is_form else {}),
        body=b"grant_type=client_credentials" if is_form else body,
        status=record["status"],
        answer_headers={"content-type": JSON},
        answer=json.dumps(record["response"]).encode(),
    )


@pytest.mark.parametrize("carrier", [name for name in HEADERS if name in ADAPTERS])
def test_recorded_exchanges_and_webhooks_conform(carrier):
    faults = {
        name: faults_of(carrier, make_exchange(carrier, one), with_request=one["status"] < 300)
        for name, one in recorded.examples(carrier).items()
    }
    events = {name: one for name, one in recorded.events(carrier).items() if name not in recorded.assumed(carrier)}
    faults |= {name: event_faults(carrier, one) for name, one in events.items()}
    assert {name: found for name, found in faults.items() if found} == {}
