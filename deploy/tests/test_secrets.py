"""A secret is shown once, to the person it was created for. After that it is in no table, log, mail, page or response.

The test sends secrets through a whole installation in valid and in wrong ways, then searches all content for each of
them in every encoding.
"""

from __future__ import annotations

import base64
import re
import sqlite3
from typing import Any

import pytest
import requests

from config.management.commands.seed_demo import ENDPOINT, OWN_CREDENTIAL
from deploy.tests.canaries import Canary, canary, found_in, issued, printable, webhook_secret
from deploy.tests.recorder import Recorder, leaks, mails, run_code, send_form

pytestmark = [pytest.mark.system, pytest.mark.once]

CREDENTIALS = "/api/v1/carriers/pickit/credentials"
PLACE = {"street": "456 Warehouse Ave", "city": "Brooklyn", "state": "NY", "postal_code": "11201", "country": "US"}
MOST_PAGES = 6  # of each table; the database search covers all rows
PEOPLE = """
import json, sys
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django_otp.plugins.otp_totp.models import TOTPDevice
from apikeys.models import Membership, Merchant, User
from webhooks.models import WebhookEndpoint
given = json.loads(sys.stdin.read())
merchant = Merchant.objects.get(slug="demo")
person = User.objects.create_user("jane", "jane@example.com", given["password"])
Membership.objects.create(merchant=merchant, user=person, role="owner")
second = User.objects.create_user("two-factor", "two-factor@example.com", given["password"])
Membership.objects.create(merchant=merchant, user=second, role="owner")
TOTPDevice.objects.create(user=second, name="phone", key=given["totp"])
endpoint = WebhookEndpoint.objects.get(id=given["endpoint"])
endpoint.secret = given["whsec"]
endpoint.save()
admin = User.objects.get(username="admin")
session = SessionStore()
session[SESSION_KEY], session[HASH_SESSION_KEY] = str(admin.pk), admin.get_session_auth_hash()
session[BACKEND_SESSION_KEY] = "apikeys.people.sign_in.EmailBackend"
session.create()
print(session.session_key)
"""


@pytest.fixture
def recorder():
    started = Recorder()
    yield started
    started.close()


def order(name: str) -> dict[str, Any]:
    return {
        "carrier": "Pickit",
        "order_id": name,
        "origin": PLACE,
        "destination": PLACE | {"contact_name": "Jane Smith", "postal_code": "10001"},
        "packages": [{"weight_kg": 2}],
    }


def create_people(recorder: Recorder) -> dict[str, str]:
    """Create people with passwords and a second factor, and an endpoint with a secret; return the texts by name."""
    totp = canary("second factor").core
    seed = base64.b32encode(bytes.fromhex(totp)).decode().rstrip("=")
    recorder.plant(Canary("second factor", totp, totp), Canary("second factor, base32", seed, seed))
    secrets = {"password": recorder.plant(canary("password")), "totp": totp, "endpoint": str(ENDPOINT)}
    secrets["whsec"] = recorder.plant(*webhook_secret("endpoint secret"))
    secrets["session"] = run_code(recorder, PEOPLE, secrets)
    return secrets


def save_credential(recorder: Recorder) -> None:
    """Save the credential at the carrier, in many wrong ways and once correctly."""
    secret, hook = recorder.plant(canary("client secret")), recorder.plant(canary("webhook secret"))
    account = {"secret": secret, "webhook_secret": hook, "rate_limit": 0}
    recorder.system.control("PUT", "/_sandbox/accounts/test-client-id", account)
    fields = {"client_id": "test-client-id", "client_secret": secret, "webhook_secret": hook}
    body = {"environment": "sandbox", "credentials": fields}
    for wrong in (
        body | {"environment": "production"},
        body | {"credentials": secret},
        body | {"credentials": [secret]},
        body | {"credentials": fields | {"client_id": {"client_secret": secret}}},
        body | {"credentials": fields | {"client_secret": secret * 40}},
    ):
        assert recorder.call("POST", CREDENTIALS, wrong).status_code == 400
    recorder.call("POST", CREDENTIALS, body | {"credentials": {"client_secrets": secret}})
    recorder.call("POST", f"{CREDENTIALS}/more?client_secret={secret}", body)
    key = {"X-API-Key": "test-api-key", "Idempotency-Key": "account"}
    for _again in range(2):
        recorder.ok("POST", CREDENTIALS, body, headers=key)
    other = body | {"credentials": fields | {"client_id": "another"}}
    assert recorder.call("POST", CREDENTIALS, other, headers=key).status_code == 422
    assert recorder.call("POST", CREDENTIALS, other, headers={"X-API-Key": secret.encode()}).status_code == 401


def buy_label(recorder: Recorder) -> str:
    """Call all operations of the carrier; return the tracking number."""
    recorder.ok("POST", "/api/v1/quotes", order("ORDER-quote"))
    booked = recorder.ok("POST", "/api/v1/labels", order("ORDER-1"), headers={
        "X-API-Key": "test-api-key", "Idempotency-Key": "label"
    })  # fmt: skip
    number = booked["tracking_number"]
    recorder.call("GET", f"/api/v1/shipments/{number}/tracking")
    recorder.call("GET", "/api/v1/pickup-points?carrier=pickit&latitude=40.7&longitude=-74")
    recorder.call("GET", "/api/v1/service-coverage?carrier=pickit&postal_code=10001&city=NY")
    recorder.system.control("POST", f"/_sandbox/pickit/shipments/{number}/advance", {})
    return number


def have_requests_refused(recorder: Recorder, number: str) -> None:
    """Let the carrier repeat requests in its errors, refuse tokens and close connections."""
    for status in (400, 401, 403, 409, 500):
        recorder.fault("echo", "quote", status=status, count=2)
        recorder.call("POST", "/api/v1/quotes", order("ORDER-quote"))
        recorder.system.control("DELETE", "/_sandbox/faults")
        recorder.fault("echo", "create_label", status=status, count=2)
        recorder.fault("echo", "find_by_reference", status=status, count=2)
        key = {"X-API-Key": "test-api-key", "Idempotency-Key": f"refused-{status}"}
        for _again in range(2):
            recorder.call("POST", "/api/v1/labels", order(f"ORDER-refused-{status}"), headers=key)
    for kind in ("garbage", "close", "echo"):
        recorder.fault(kind, "track", status=400)
        recorder.call("GET", f"/api/v1/pickit/tracking/{number}")
        recorder.fault(kind, "pickup_points", status=400)
        recorder.call("GET", "/api/v1/pickup-points?carrier=pickit&latitude=40.7&longitude=-74")


def fail_logins(recorder: Recorder) -> None:
    """Let logins fail with the secret in the carrier's response, and succeed again."""
    for status in (400, 401, 500):
        change = {"environment": "sandbox", "credentials": {"client_id": "test-client"}}
        recorder.ok("POST", CREDENTIALS, change)
        recorder.fault("echo", "token", status=status, count=4)
        assert recorder.call("POST", "/api/v1/quotes", order("ORDER-quote")).status_code >= 500
        assert recorder.call("POST", "/api/v1/labels", order(f"ORDER-token-{status}")).status_code >= 500
        recorder.system.manage("refresh_carrier_tokens", "-v3")
        recorder.system.control("DELETE", "/_sandbox/faults")
        recorder.ok("POST", CREDENTIALS, change | {"credentials": {"client_id": "test-client-id"}})
        recorder.ok("POST", "/api/v1/quotes", order("ORDER-quote"))
    state = recorder.system.directory / "sandbox" / "sandbox.sqlite3"
    with sqlite3.connect(state) as database:
        tokens = [row[0] for row in database.execute("SELECT id FROM document WHERE kind = 'token'")]
    database.close()
    assert len(tokens) >= 3
    recorder.plant(*(issued(f"carrier's token {number}", token) for number, token in enumerate(tokens)))


def receive_unproved_webhooks(recorder: Recorder) -> None:
    """Send webhooks with a wrong signature, or with the secret instead of a signature."""
    hook = next(one.text for one in recorder.canaries if one.name == "webhook secret")
    path = f"/webhooks/pickit/events/{OWN_CREDENTIAL}"
    body = {"event_type": "shipment.in_transit", "timestamp": "2024-01-16T08:00:00Z", "data": {}}
    for proof in ("wrong", hook.encode()):
        headers = {"X-Pickit-Signature": proof, "X-Pickit-Timestamp": "2024-01-16T08:00:00Z"}
        assert recorder.call("POST", path, body, headers=headers).status_code == 401
    recorder.call("POST", f"{path}?secret={hook}", body, headers={})


def use_all_keys(recorder: Recorder) -> None:
    """Create keys of every kind and send them in right and wrong places."""
    make = {"X-API-Key": "test-api-key", "Idempotency-Key": "new key"}
    body = {"name": "shop", "scopes": ["shipments:read", "keys:manage"]}
    made = recorder.ok("POST", "/api/v1/api-keys", body, headers=make, shown_once=True)
    key = recorder.plant(issued("made key", made["key"], shown=12))
    again = recorder.ok("POST", "/api/v1/api-keys", body, headers=make)
    assert (again["id"], again["key"]) == (made["id"], None)
    renewed = recorder.ok(
        "POST", f"/api/v1/api-keys/{made['id']}/regenerate", {"overlap_seconds": 600}, shown_once=True
    )
    recorder.plant(issued("renewed key", renewed["key"], shown=12))
    imported = recorder.plant(printable("imported key"))
    file = recorder.system.directory / "keys.csv"
    file.write_text(f"merchant,name,key,mode,store,scopes\ndemo,old shop,{imported},test,,\n")
    recorder.system.manage("import_api_keys", str(file))
    recorder.system.manage("import_api_keys", str(file))
    file.write_text(f"merchant,name,key,mode,store,scopes\nnobody,old shop,{imported},test,,\n")
    recorder.responses.append(("import_api_keys", recorder.system.manage_fails("import_api_keys", str(file)).encode()))
    file.unlink()
    for text in (key, renewed["key"], imported):
        use_key(recorder, text)
    recorder.ok("DELETE", f"/api/v1/api-keys/{made['id']}?reason=leaked")
    use_key(recorder, key)


def use_key(recorder: Recorder, text: str) -> None:
    recorder.call("GET", "/api/v1/shipments", headers={"X-API-Key": text})
    basic = base64.b64encode(f"{text}:".encode()).decode()
    for headers in (
        {"X-Api-Token": text},
        {"Authorization": text},
        {"Authorization": f"Bearer {text}"},
        {"Authorization": f"Basic {basic}"},
        {"X-API-Key": f"{text} "},
        {"X-API-Key": f"x{text}"},
        {"Cookie": f"key={text}"},
        {"X-Correlation-ID": f"x {text}"},
    ):
        recorder.call("GET", "/api/v1/shipments", headers=headers)
    for path in ("/api/v1/shipments", "/api/v1/nothing", "/health", "/metrics", "/api/v1/events", "/api/docs/"):
        recorder.call("GET", f"{path}?api_key={text}")
        recorder.call("GET", f"{path}?api_key={text}", headers={"X-API-Key": text})
    for path in ("/admin/", "/portal/"):  # the redirect to the sign-in page names the requested page
        recorder.call("GET", f"{path}?api_key={text}", shown_once=True)
    recorder.call("POST", f"/api/v1/quotes?api_key={text}", order("ORDER-quote") | {"api_key": text})
    recorder.call("GET", f"/api/v1/shipments?limit=0&api_key={text}%ff")
    recorder.raw(f"GET /health?api_key={text} and more HTTP/1.1\r\nHost: localhost\r\n\r\n")
    recorder.raw(f"GET /health HTTP/1.1\r\nHost: localhost\r\nX-API-Key {text}\r\n\r\n")
    recorder.raw(f"GET /health HTTP/1.1\r\nHost: localhost\r\n{text}: X-API-Key\r\n\r\n")
    recorder.raw(f"GET /health HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {text}\x01\r\n\r\n")
    recorder.raw(f"GET /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: {text}\r\n\r\n")
    recorder.raw(f"{text} /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
    recorder.raw(f"GET /health HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {text}\r\nAnd-no")
    chunked = "POST /api/v1/quotes HTTP/1.1\r\nHost: localhost\r\nX-API-Key: test-api-key\r\n"
    chunked += "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    recorder.raw(f"{chunked}{text}\r\n\r\n")


def sign_in(recorder: Recorder, password: str) -> None:
    """Sign in over the API with right and wrong passwords, in right and wrong fields."""
    path = "/api/v1/auth/token"
    wrong = recorder.plant(canary("wrong password"))
    for given in (
        {"email": "jane@example.com", "password": wrong},
        {"email": "nobody@example.com", "password": wrong},
        {"email": wrong, "password": "jane@example.com"},
        {"email": "jane@example.com", "password": {"password": wrong}},
        {"email": "jane@example.com", "password": password, "merchant": "nobody"},
        {"email": "jane@example.com", "password": password, "mode": "neither"},
        {"email": "two-factor@example.com", "password": password},
        {"email": "two-factor@example.com", "password": password, "otp": "000000"},
        {"username": "jane", "passwd": password},
    ):
        assert recorder.call("POST", path, given, headers={}).status_code in (400, 401, 403)
    pair = recorder.ok("POST", path, {"email": "jane", "password": password}, headers={}, shown_once=True)
    renewed = recorder.ok("POST", f"{path}/refresh", {"refresh": pair["refresh"]}, headers={}, shown_once=True)
    for name, text in (("first", pair), ("second", renewed)):
        for kind in ("access", "refresh"):
            recorder.plant(issued(f"{name} {kind} token", text[kind]))
    access = renewed["access"]
    recorder.ok("GET", "/api/v1/events", headers={"Authorization": f"Bearer {access}"})
    recorder.call("GET", f"/api/v1/events?token={access}", headers={"X-API-Key": access})
    recorder.call("GET", "/api/v1/events", headers={"Authorization": f"Bearer {access}x"})
    for used_up in (pair["refresh"], pair["refresh"], f"{renewed['refresh']}x", access):
        assert recorder.call("POST", f"{path}/refresh", {"refresh": used_up}, headers={}).status_code == 401
    recorder.call("POST", f"{path}/logout", {"refresh": renewed["refresh"]}, headers={})


def sign_in_in_browser(recorder: Recorder, path: str, password: str) -> None:
    """Sign in with a browser's form: no response repeats the password."""
    wrong = next(one.text for one in recorder.canaries if one.name == "wrong password")
    for name, text in (("jane", wrong), ("jane", password)):
        send_form(recorder, path, {"username": name, "email": name, "password": text})
    # The name's field repeats its value, to the same browser only.
    send_form(recorder, path, {"username": wrong, "email": wrong, "password": wrong}, searched=False)


def use_mailed_links(recorder: Recorder, password: str) -> None:
    """Use the links of an invitation and a password reset, also with the text that mail programs add to links."""
    pair = recorder.ok("POST", "/api/v1/auth/token", {"email": "jane", "password": password}, shown_once=True)
    key = {"Authorization": f"Bearer {pair['access']}", "Idempotency-Key": "invite"}
    for _again in range(2):
        recorder.ok("POST", "/api/v1/members/invitations", {"email": "new@example.com", "role": "viewer"}, headers=key)
    chosen = recorder.plant(canary("new person's password"))
    new_person = {"name": "Jane Smith", "password": chosen, "repeated": chosen}
    use_link(recorder, "invitation", r"/portal/invitation/([\w-]+)", new_person, {"repeated": "x"})
    send_form(recorder, "/portal/password-reset", {"email": "jane@example.com"})
    chosen = recorder.plant(canary("new password"))
    new = {"new_password1": chosen, "new_password2": chosen}
    use_link(recorder, "password reset", r"/portal/password-reset/[\w-]+/([\w-]+)", new, {"new_password2": "x"})


def use_link(recorder: Recorder, name: str, pattern: str, filled: dict[str, str], mistake: dict[str, str]) -> None:
    """Open a mailed link in wrong ways, send its form with a mistake, then correctly; the link works once."""
    found = recorder.system.wait_for(lambda: re.search(pattern, mails(recorder)))
    recorder.plant(issued(name, found[1]))
    for end in ("/", ".", "%3E", "?utm_source=mail", "/?next=/", ")"):
        recorder.call("GET", found[0] + end, headers={})
    assert send_form(recorder, found[0], filled | mistake).status_code == 200
    assert send_form(recorder, found[0], filled).status_code == 302
    recorder.call("GET", found[0], headers={})


def open_every_page(recorder: Recorder, session: str) -> int:
    """Open each list and form of the admin and the newest rows of each; return the number of pages."""
    browser = requests.Session()
    browser.cookies.set("sessionid", session)
    seen: set[str] = set()

    def read(path: str) -> str:
        seen.add(path)
        answer = browser.get(recorder.system.web + path, timeout=60)
        assert answer.status_code in (200, 403), (path, answer.status_code)
        recorder.responses.append((f"page {path}", answer.content))
        return answer.text

    start = read("/admin/")
    lists = sorted(set(re.findall(r'href="(/admin/\w+/\w+/)"', start)))
    assert len(lists) > 15
    for table in lists:
        page = read(table)
        read(f"{table}add/")
        for row in list(dict.fromkeys(re.findall(rf'href="({table}[^"/]+/change/)', page)))[:MOST_PAGES]:
            read(row)
            read(row.replace("/change/", "/history/"))
    create_endpoint(recorder, browser)
    return len(seen)


def create_endpoint(recorder: Recorder, browser: requests.Session) -> None:
    """Create an endpoint in the admin, which shows its secret once."""
    add = f"{recorder.system.web}/admin/webhooks/webhookendpoint/add/"
    page = browser.get(add, timeout=30).text
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)[1]
    merchant = run_code(
        recorder, "from apikeys.models import Merchant; print(Merchant.objects.get(slug='demo').pk)", {}
    )
    form = {"csrfmiddlewaretoken": token, "merchant": merchant, "mode": "test", "is_active": "on"}
    form |= {"url": f"http://127.0.0.1:{recorder.system.receiver_port}/shop", "event_types": "", "description": "shop"}
    shown = browser.post(add, form, headers={"Referer": add}, timeout=30)
    secret = re.search(r"whsec_[A-Za-z0-9+/=]+", shown.text)[0]
    recorder.plant(issued("generated endpoint secret", secret))
    again = browser.get(f"{recorder.system.web}/admin/webhooks/webhookendpoint/", timeout=30)
    recorder.responses.append(("page after the secret", again.content))


def read_other_resources(recorder: Recorder) -> None:
    for path in (
        "/metrics",
        "/health",
        "/api/v1/events?limit=100",
        "/api/v1/usage",
        "/api/v1/api-keys",
        "/api/schema/",
    ):
        recorder.call("GET", path)
    cursor = recorder.ok("GET", "/api/v1/events?limit=100")["pagination"]["next_cursor"]
    while cursor:
        cursor = recorder.ok("GET", f"/api/v1/events?limit=100&cursor={cursor}")["pagination"]["next_cursor"]
    for command in (["reconcile_shipments", "-v3"], ["list_errors"], ["check"], ["migrate", "-v3"]):
        recorder.system.manage(*command)


def test_secrets_are_not_found_after_they_are_shown_once(recorder):
    system = recorder.system.start("sandbox", "web")
    secrets = create_people(recorder)
    system.start("worker")
    save_credential(recorder)
    number = buy_label(recorder)
    have_requests_refused(recorder, number)
    fail_logins(recorder)
    receive_unproved_webhooks(recorder)
    use_all_keys(recorder)
    sign_in(recorder, secrets["password"])
    for path in ("/admin/login/", "/portal/sign-in"):
        sign_in_in_browser(recorder, path, secrets["password"])
    use_mailed_links(recorder, secrets["password"])
    system.wait_for(lambda: len(recorder.echo.bodies) > 4)
    system.wait_for(lambda: list((system.directory / "mail").glob("*")))
    pages = open_every_page(recorder, secrets["session"])
    read_other_resources(recorder)
    system.kill("worker")
    system.kill("web")

    assert leaks(recorder) == {}

    # The search covered the secrets: they were used, and the searched locations contain the events.
    assert pages > 60
    assert run_code(recorder, "import logging; print(logging.getLogger('carriers').getEffectiveLevel())", {}) == "10"
    log = (system.logs / "web.log").read_text()
    assert all(text in log for text in ("/portal/invitation/…", "/api/v1/auth/token", "InvalidHeader"))
    columns = {name for name, _value in system.database.values()}
    assert {"carriers_carriercall.response_body", "webhooks_attempt.response", "apikeys_event.data"} <= columns
    sandbox_content = b"".join(file.read_bytes() for file in (system.directory / "sandbox").iterdir())
    assert found_in(sandbox_content, recorder.canaries) >= {"client secret", "webhook secret", "carrier's token 0"}
