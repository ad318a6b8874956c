"""Our secrets are masked wherever a carrier repeats them, however it writes them."""

import base64
import html
import json
from urllib.parse import quote, quote_plus, unquote

import pytest

from carriers.http import masking
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
        base64.b64encode(f"a:{SECRET}".encode()).decode(),
        base64.b64encode(f"id:{SECRET}/x".encode()).decode(),
        SECRET.encode().hex(),
        SECRET.encode().hex().upper(),
        quote(SECRET, safe="").lower(),
        "".join(f"\\u{ord(letter):04X}" for letter in SECRET),
        json.dumps("".join(f"\\u{ord(letter):04x}" for letter in SECRET)),
        html.escape(SECRET),
        html.escape(html.escape(SECRET)),
        "".join(f"&#{ord(letter)};" for letter in SECRET),
        "".join(f"&#X{ord(letter):x};" for letter in SECRET),
        f"{SECRET} and {html.escape(SECRET)}",
    ],
)
def test_a_repeated_secret_is_masked_and_the_rest_stays(repeated):
    masked = masking.hide_secrets(f"before {repeated} after".encode(), [SECRET]).decode()
    assert "7f3a" not in html.unescape(unquote(masked)).encode().decode("unicode_escape")
    assert "***" in masked
    assert masked.startswith("before ")
    assert masked.endswith(" after")


@pytest.mark.parametrize(
    "secret", ["Tr0ub&4dor%2Fx", 'abc%20def"ghi', 'pw&amp;x"yz%31', "back\\u0041slash", "a%25b%2525c"]
)
@pytest.mark.parametrize(
    "escape",
    [
        html.escape,
        json.dumps,
        lambda text: json.dumps(json.dumps(text)),
        quote,
        quote_plus,
        lambda text: html.escape(json.dumps(text)),
        lambda text: json.dumps(html.escape(text)),
        lambda text: quote(html.escape(text)),
    ],
)
def test_a_secret_that_looks_escaped_itself_is_found(secret, escape):
    shown = masking.hide_secrets(f"cannot log in with {escape(secret)}".encode(), [secret]).decode()
    assert "***" in shown
    for part in ("4dor", "ghi", "yz%31", "slash", "25c"):
        assert part not in shown


def test_a_secret_of_digits_is_masked_as_a_number_too():
    assert json.loads(masking.mask_body(b'{"said": 123456, "n": 5}', secrets=["123456"])) == {"said": "***", "n": 5}
    assert json.loads(masking.hide_secrets(b'{"said": [123456, true]}', ["123456"])) == {"said": ["***", True]}


def test_what_was_json_is_json_still():
    answer = json.dumps({"error": {"message": f"Bad login: {json.dumps(BODY)}", "codes": [1, SECRET]}}).encode()
    assert json.loads(masking.hide_secrets(answer, [SECRET]))["error"]["codes"] == [1, "***"]


def test_short_words_are_no_secrets():
    assert masking.hide_secrets(b"a standard parcel", ["a", "par", ""]) == b"a standard parcel"


PERSON = "Canary"
PDF = base64.b64encode(b"%PDF-1.4 " + b"x" * 100).decode()


@pytest.mark.parametrize(
    "field",
    [
        "name",
        "contact_name",
        "first_name",
        "lastName",
        "billing_customer_name",
        "billing_last_name",
        "consignee_name",
        "signed_by",
        "collected_by",
        "email",
        "billing_email",
        "contactEmail",
        "phone",
        "billing_phone",
        "contact_phone",
        "mobile",
        "phone_number",
        "street",
        "street1",
        "street_line_2",
        "address",
        "billing_address",
        "return_address",
        "address_line_1",
        "addressLine2",
        "address2",
        "company",
        "driver_name",
        "driver_phone",
        "notes",
        "special_instructions",
        "pickup_code",
        "password",
        "client_secret",
        "token",
        "access_token",
        "refresh_token",
        "webhook_secret",
    ],
)
def test_secrets_and_persons_are_masked_by_the_field_that_they_stand_in(field):
    body = json.dumps({field: PERSON, "inside": [{field: PERSON}]}).encode()
    assert json.loads(masking.mask_body(body)) == {field: "***", "inside": [{field: "***"}]}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Cannot mail jane.smith+x@example.com today", "Cannot mail *** today"),
        ("Invalid phone +57 300 123-4567.", "Invalid phone ***."),
        ("Picked up 2024-01-15T10:30:00+05:30", "Picked up 2024-01-15T10:30:00+05:30"),
        ("SHPHYB123456789", "SHPHYB123456789"),
        (PDF, f"<{len(PDF)} characters>"),
        ("data:image/png;base64,AAAA", "<26 characters>"),
        ("^XA^FO50,50^XZ", "<14 characters>"),
        ("x" * 5000, "<5000 characters>"),
    ],
)
def test_what_looks_like_a_person_or_a_file_is_masked_in_any_field(text, shown):
    assert json.loads(masking.mask_body(json.dumps({"message": text}).encode())) == {"message": shown}


def test_what_helps_to_understand_a_call_stays():
    body = {"courier_name": "Delhivery", "status": "IT", "city": "Mumbai", "order_id": "ORDER-49", "weight": 0.5}
    assert json.loads(masking.mask_body(json.dumps(body).encode())) == body


def test_a_url_is_masked_by_the_names_in_its_query():
    url = "https://x/y?email=jane%40example.com&reference=WB-1&token=canary&note=a+b"
    assert masking.mask_url(url) == "https://x/y?email=***&reference=WB-1&token=***&note=a+b"


def test_whom_a_request_names_is_masked_in_the_sentences_of_the_answer():
    order = {"destination": {"contact_name": "Asha Rao", "street": "12 Example Road", "contact_phone": "9000000001"}}
    refusal = b'{"message": "Asha Rao of 12 Example Road (9000000001) in Bangalore is not served"}'
    people = masking.find_personal_values(json.dumps(order).encode())
    shown = masking.mask_body(refusal, people=people)
    assert json.loads(shown) == {"message": "*** of *** (***) in Bangalore is not served"}


def test_a_short_name_is_masked_as_a_word_and_in_any_case():
    refusal = b'{"message": "RAO of Raoul Street, jos\\u00C9, is not served"}'
    shown = masking.mask_body(refusal, people=["Rao", "José", "IN"])
    assert json.loads(shown) == {"message": "*** of Raoul Street, ***, is not served"}


def test_of_a_long_body_no_more_is_read_than_is_shown():
    many = json.dumps([{"text": "x" * 1990, "more": ["{}"] * 50} for _ in range(300)]).encode()
    assert len(masking.mask_body(many)) == masking.MAX_LOGGED
    seen = []
    masker = masking._Masker(lambda text: seen.append(text) or text)
    masker.mask(json.loads(many))
    assert sum(map(len, seen)) < 2 * masking.MAX_LOGGED
    assert masking.mask_body(b"[" + b"1," * 600_000 + b"1]") == "<1200003 bytes>"


def test_of_a_long_refusal_the_beginning_is_enough():
    page = b"<html>" + html.escape(SECRET).encode() + b"x" * 1_000_000
    told = masking.hide_secrets(page, [SECRET])
    assert told.startswith(b"<html>***x")
    assert len(told) < 200_000


@pytest.mark.django_db
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
