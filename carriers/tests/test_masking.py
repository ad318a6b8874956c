"""Our secrets are masked wherever a carrier repeats them, however it writes them."""

import base64
import json
from urllib.parse import quote, quote_plus

import pytest

from carriers import masking
from carriers.models import CarrierCall

SECRET = 'canary "é"/+&7f3a'
BODY = {"client_secret": SECRET}


@pytest.mark.parametrize(
    "repeated",
    [
        SECRET,
        json.dumps(SECRET),
        json.dumps(SECRET, ensure_ascii=False),
        json.dumps({"message": f"Cannot read {json.dumps(BODY)}"}),
        json.dumps({"message": f"Cannot read {json.dumps(BODY, ensure_ascii=False)}"}),
        json.dumps({"message": SECRET}).replace("/", "\\/"),
        quote(SECRET),
        quote(SECRET, safe=""),
        quote_plus(SECRET),
        base64.b64encode(SECRET.encode()).decode(),
        base64.urlsafe_b64encode(SECRET.encode()).decode(),
        SECRET.encode().hex(),
    ],
)
def test_a_repeated_secret_is_masked_and_the_rest_stays(repeated):
    masked = masking.concealed(f"before {repeated} after".encode(), [SECRET]).decode()
    assert "7f3a" not in masked
    assert "***" in masked
    assert masked.startswith("before ")
    assert masked.endswith(" after")


def test_what_was_json_is_json_still():
    answer = json.dumps({"error": {"message": f"Bad login: {json.dumps(BODY)}", "codes": [1, SECRET]}}).encode()
    assert json.loads(masking.concealed(answer, [SECRET]))["error"]["codes"] == [1, "***"]


def test_short_words_are_no_secrets():
    assert masking.concealed(b"a standard parcel", ["a", "par", ""]) == b"a standard parcel"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("operation", "status"), [("quote", 400), ("quote", 401), ("token", 400), ("token", 500)])
def test_a_carrier_that_repeats_our_request_tells_the_merchant_no_secret(
    api, credential, order, sandbox, operation, status
):
    sandbox.control("POST", "/_sandbox/faults", {"kind": "echo", "operation": operation, "status": status, "count": 9})
    answer = api.post("/api/v1/quotes", order)
    assert answer.status_code >= 400
    credential.refresh_from_db()
    secrets = ["test-secret", *([credential.token] if credential.token else [])]
    calls = CarrierCall.objects.exclude(outcome="ok")
    assert calls
    logged = [call.response_body + call.request_body + call.url for call in calls]
    assert any("Cannot process" in text for text in logged)
    assert not [secret for secret in secrets for text in [*logged, answer.content.decode()] if secret in text]
