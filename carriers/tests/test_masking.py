"""Secrets and personal data are masked in logs and refusals, in every encoding."""

import base64
import html
import itertools
import json
from urllib.parse import quote, quote_plus, unquote

import pytest

from carriers.http import masking
from carriers.models import CarrierCall, CredentialToken

SECRET = 'canary "é"/+&7f3a'
BODY = {"client_secret": SECRET}


ENCODED = [
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
]


def test_secret_is_masked_in_every_encoding_and_the_rest_stays():
    for repeated in ENCODED:
        masked = masking.hide_secrets(f"before {repeated} after".encode(), [SECRET]).decode()
        assert "7f3a" not in html.unescape(unquote(masked)).encode().decode("unicode_escape")
        assert "***" in masked
        assert masked.startswith("before ")
        assert masked.endswith(" after")


ESCAPED_SECRETS = ["Tr0ub&4dor%2Fx", 'abc%20def"ghi', 'pw&amp;x"yz%31', "back\\u0041slash", "a%25b%2525c"]
ESCAPES = [
    html.escape,
    json.dumps,
    lambda text: json.dumps(json.dumps(text)),
    quote,
    quote_plus,
    lambda text: html.escape(json.dumps(text)),
    lambda text: json.dumps(html.escape(text)),
    lambda text: quote(html.escape(text)),
]


def test_secret_with_escape_sequences_is_masked():
    for secret, escape in itertools.product(ESCAPED_SECRETS, ESCAPES):
        shown = masking.hide_secrets(f"cannot log in with {escape(secret)}".encode(), [secret]).decode()
        assert "***" in shown
        assert not [part for part in ("4dor", "ghi", "yz%31", "slash", "25c") if part in shown]


def test_secret_of_digits_is_masked_as_a_number():
    assert json.loads(masking.mask_body(b'{"code": 123456, "n": 5}', secrets=["123456"])) == {"code": "***", "n": 5}
    assert json.loads(masking.hide_secrets(b'{"code": [123456, true]}', ["123456"])) == {"code": ["***", True]}


def test_masked_json_stays_json():
    answer = json.dumps({"error": {"message": f"Bad login: {json.dumps(BODY)}", "codes": [1, SECRET]}}).encode()
    assert json.loads(masking.hide_secrets(answer, [SECRET]))["error"]["codes"] == [1, "***"]


def test_short_values_are_not_masked():
    assert masking.hide_secrets(b"a standard parcel", ["a", "par", ""]) == b"a standard parcel"


PERSON = "Canary"
PDF = base64.b64encode(b"%PDF-1.4 " + b"x" * 100).decode()


MASKED_FIELDS = [
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
]


def test_secrets_and_personal_data_are_masked_by_field_name():
    for field in MASKED_FIELDS:
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
def test_contacts_and_files_are_masked_in_any_field(text, shown):
    assert json.loads(masking.mask_body(json.dumps({"message": text}).encode())) == {"message": shown}


def test_other_fields_stay():
    body = {"courier_name": "Delhivery", "status": "IT", "city": "Mumbai", "order_id": "ORDER-49", "weight": 0.5}
    assert json.loads(masking.mask_body(json.dumps(body).encode())) == body


def test_url_is_masked_by_parameter_name():
    url = "https://x/y?email=jane%40example.com&reference=WB-1&token=canary&note=a+b"
    assert masking.mask_url(url) == "https://x/y?email=***&reference=WB-1&token=***&note=a+b"


def test_people_of_the_request_are_masked_in_texts_of_the_answer():
    order = {"destination": {"contact_name": "Asha Rao", "street": "12 Example Road", "contact_phone": "9000000001"}}
    refusal = b'{"message": "Asha Rao of 12 Example Road (9000000001) in Bangalore is not served"}'
    people = masking.find_personal_values(json.dumps(order).encode())
    shown = masking.mask_body(refusal, people=people)
    assert json.loads(shown) == {"message": "*** of *** (***) in Bangalore is not served"}


def test_short_name_is_masked_only_as_a_word_in_any_case():
    refusal = b'{"message": "RAO of Raoul Street, jos\\u00C9, is not served"}'
    shown = masking.mask_body(refusal, people=["Rao", "José", "IN"])
    number = b'{"message": "PKT12345: house 1234 is not served"}'
    assert b"PKT12345: house *** is" in masking.mask_body(number, people=["1234"]).encode()
    assert json.loads(shown) == {"message": "*** of Raoul Street, ***, is not served"}


def test_long_body_is_masked_only_up_to_the_logged_length():
    many = json.dumps([{"text": "x" * 1990, "more": ["{}"] * 50} for _ in range(300)]).encode()
    assert len(masking.mask_body(many)) == masking.MAX_LOGGED
    seen = []
    masker = masking._Masker(lambda text: seen.append(text) or text)
    masker.mask(json.loads(many))
    assert sum(map(len, seen)) < 2 * masking.MAX_LOGGED
    assert masking.mask_body(b"[" + b"1," * 600_000 + b"1]") == "<1200003 bytes>"


def test_long_refusal_is_cut():
    page = b"<html>" + html.escape(SECRET).encode() + b"x" * 1_000_000
    shown = masking.hide_secrets(page, [SECRET])
    assert shown.startswith(b"<html>***x")
    assert len(shown) < 200_000


@pytest.mark.django_db
@pytest.mark.parametrize(("operation", "status"), [("quote", 400), ("quote", 401), ("token", 400), ("token", 500)])
def test_secrets_that_the_carrier_repeats_are_neither_logged_nor_returned(
    api, credential, order, sandbox, operation, status
):
    sandbox.control("POST", "/_sandbox/faults", {"kind": "echo", "operation": operation, "status": status, "count": 9})
    answer = api.post("/api/v1/quotes", order)
    assert answer.status_code >= 400
    secrets = ["test-secret", *(row.token for row in CredentialToken.objects.all() if row.token)]
    calls = CarrierCall.objects.exclude(outcome="ok")
    assert calls
    logged = [call.response_body + call.request_body + call.url for call in calls]
    assert any("Cannot process" in text for text in logged)
    assert not [secret for secret in secrets for text in [*logged, answer.content.decode()] if secret in text]


FORM = "application/x-www-form-urlencoded; charset=UTF-8"


def test_form_is_logged_as_masked_pairs():
    form = b"grant_type=client_credentials&client_secret=canary&email=jane%40x.example&note=Cafe+canary-by-value"
    shown = masking.mask_body(form, content_type=FORM, secrets=["canary-by-value"])
    assert shown == "grant_type=client_credentials&client_secret=***&email=***&note=Cafe+***"
    assert masking.find_personal_values(form, FORM) == ["jane@x.example"]


def test_xml_is_logged_as_its_root_and_size():
    xml = b'<?xml version="1.0"?><!-- a --><ns:data xmlns:ns="urn:x" name1="Jane Canary"><Phone>55</Phone></ns:data>'
    assert masking.mask_body(xml, content_type="text/xml") == masking.mask_body(xml) == f"<XML data, {len(xml)} bytes>"
    assert masking.find_personal_values(xml, "application/xml") == ["Jane Canary", "55"]
    url = "https://x/y?xml=%3Cdata+password%3D%22canary%22%2F%3E&a=1"
    assert "canary" not in masking.mask_url(url)
    assert "a=1" in masking.mask_url(url)
    for other in (b"<html><p>Jane</p></html>", b"\x00\x01", b"<?xml", b"--boundary\r\nJane"):
        assert masking.mask_body(other, content_type="text/html") == f"<{len(other)} bytes, not readable as JSON>"


def test_personal_fields_of_carriers_are_masked():
    ups = {
        "AttentionName": PERSON,
        "Phone": {"Number": PERSON, "Extension": PERSON},
        "EMailAddress": PERSON,
        "Address": {"AddressLine": [PERSON, PERSON], "City": "Atlanta"},
        "TaxIdentificationNumber": PERSON,
        "SpecialInstruction": PERSON,
    }
    bring = {
        "name": PERSON,
        "addressLine2": PERSON,
        "additionalAddressInfo": PERSON,
        "contact": {"phoneNumber": PERSON, "email": PERSON},
        "pickupAddress": {"message": PERSON},
        "vatNumber": PERSON,
    }
    others = {"name1": PERSON, "smsNo": PERSON, "addressHouse": PERSON, "streets": [PERSON], "phoneNo": PERSON}
    image = {"GraphicImage": PERSON, "ShippingLabel": {"HTMLImage": PERSON}, "UserCreatedFormFile": PERSON}
    for body in (ups, bring, others, image):
        shown = masking.mask_body(json.dumps(body).encode())
        assert PERSON not in shown
    assert "Atlanta" in masking.mask_body(json.dumps(ups).encode())
