"""A secret is seen once, by whoever it was made for. After that it is in no table, log, mail, page or answer.

Everything that can go wrong with a secret in its life goes wrong here, in a whole installation; then one search looks
for each of them in every form.
"""

from __future__ import annotations

import base64
import json
import re
import socket
import sqlite3
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import requests

from config.management.commands.seed_demo import ENDPOINT, OWN_CREDENTIAL
from deploy.tests.canaries import Canary, canary, found_in, given_out, signs, webhook_secret
from deploy.tests.system import System

pytestmark = pytest.mark.system

OURS = {
    "LOG_LEVEL": "DEBUG",
    "GUNICORN_CMD_ARGS": "--log-level debug",
    "RATE_LIMITS_ENABLED": "false",
    "SIGN_IN_FAILURES": "100",
    "SECURITY_EMAILS": "security@example.com",
    "SECURITY_NOTICE_EVERY_S": "0.3",
    "WEBHOOK_RETRY_SCALE": "0.001",
    "CARRIER_TIMEOUT_S": "4",
    "REQUEST_DEADLINE_S": "6",
    "RECONCILE_FIRST_LOOKUP_S": "1",
    "RECONCILE_EVERY_S": "0.3",
    "RECONCILE_QUIET_PERIOD_S": "2",
    "USAGE_FLUSH_S": "0.2",
}
CREDENTIALS = "/api/v1/carriers/pickit/credentials"
PLACE = {"street": "456 Warehouse Ave", "city": "Brooklyn", "state": "NY", "postal_code": "11201", "country": "US"}
MOST_PAGES = 25  # of one table
# The second factor's shared secret: whoever checks its codes must be able to read it (django-otp's own column).
READABLE = {"otp_totp_totpdevice.key": {"second factor", "second factor, base32"}}
SHOWN_BY_MAIL = {"invitation", "password reset"}

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


class Echo:
    """A merchant's server that gives back all that it was sent, first as an error."""

    def __init__(self, port: int) -> None:
        self.got: list[bytes] = []
        echo = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                echo.got.append(body)
                answer = f"{self.path}\n{self.headers}".encode() + body
                self.send_response(500 if len(echo.got) <= 3 else 200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class Life:
    """An installation, the secrets that were put into it, and what it said since."""

    def __init__(self) -> None:
        self.system = System(keep_logs=True, **OURS)
        self.canaries: list[Canary] = []
        self.said: list[tuple[str, bytes]] = []  # by whom, what
        self.echo = Echo(self.system.receiver_port)

    def plant(self, *planted: Canary) -> str:
        """Look for these from now on; the text of the first."""
        self.canaries += planted
        return planted[0].text

    def call(self, method: str, path: str, body: Any = None, *, shown_once: bool = False, **more: Any) -> Any:
        """A request with the demo key unless ``headers`` say otherwise; the answer is kept for the search."""
        headers = more.pop("headers", {"X-API-Key": "test-api-key"})
        url = self.system.web + path
        answer = requests.request(method, url, json=body, headers=headers, timeout=60, allow_redirects=False, **more)
        if not shown_once:
            self.said.append((f"{method} {path}"[:80], f"{answer.headers}".encode() + answer.content))
        assert answer.status_code != 500, answer.text
        return answer

    def ok(self, *args: Any, **more: Any) -> Any:
        """The same, for what must succeed: the JSON of the answer."""
        answer = self.call(*args, **more)
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.content else None

    def raw(self, request: str) -> None:
        """Bytes that are not HTTP."""
        with socket.create_connection(("127.0.0.1", self.system.port), timeout=10) as connection:
            connection.sendall(request.encode())
            connection.shutdown(socket.SHUT_WR)
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        self.said.append(("what is no HTTP", answer))

    def fault(self, kind: str, operation: str, **more: Any) -> None:
        self.system.world("POST", "/_sandbox/faults", {"kind": kind, "operation": operation} | more)

    def close(self) -> None:
        self.echo.close()
        self.system.close()


@pytest.fixture
def life():
    one = Life()
    yield one
    one.close()


def order(name: str) -> dict[str, Any]:
    return {
        "carrier": "Pickit",
        "order_id": name,
        "origin": PLACE,
        "destination": PLACE | {"contact_name": "Jane Smith", "postal_code": "10001"},
        "packages": [{"weight_kg": 2}],
    }


def with_input(life: Life, code: str, given: dict[str, str]) -> str:
    """Run code in the installation; what it is given stands on no command line."""
    return life.system.manage("shell", "--no-imports", "-c", code, stdin=json.dumps(given)).strip()


def meet_people(life: Life) -> dict[str, str]:
    """People with passwords and a second factor, an endpoint with a secret; the text of each by its name."""
    totp = canary("second factor").core
    seed = base64.b32encode(bytes.fromhex(totp)).decode().rstrip("=")
    life.plant(Canary("second factor", totp, totp), Canary("second factor, base32", seed, seed))
    planted = {"password": life.plant(canary("password")), "totp": totp, "endpoint": str(ENDPOINT)}
    planted["whsec"] = life.plant(*webhook_secret("endpoint secret"))
    planted["session"] = with_input(life, PEOPLE, planted)
    return planted


def open_account(life: Life) -> None:
    """The carrier's account, saved once rightly and in many wrong ways."""
    secret, hook = life.plant(canary("client secret")), life.plant(canary("webhook secret"))
    account = {"secret": secret, "webhook_secret": hook, "rate_limit": 0}
    life.system.world("PUT", "/_sandbox/accounts/test-client-id", account)
    fields = {"client_id": "test-client-id", "client_secret": secret, "webhook_secret": hook}
    body = {"environment": "sandbox", "credentials": fields}
    for wrong in (
        body | {"environment": "production"},
        body | {"credentials": secret},
        body | {"credentials": [secret]},
        body | {"credentials": fields | {"client_id": {"client_secret": secret}}},
        body | {"credentials": fields | {"client_secret": secret * 40}},
    ):
        assert life.call("POST", CREDENTIALS, wrong).status_code == 400
    life.call("POST", CREDENTIALS, body | {"credentials": {"client_secrets": secret}})
    life.call("POST", f"{CREDENTIALS}/more?client_secret={secret}", body)
    key = {"X-API-Key": "test-api-key", "Idempotency-Key": "account"}
    for _again in range(2):
        life.ok("POST", CREDENTIALS, body, headers=key)
    other = body | {"credentials": fields | {"client_id": "another"}}
    assert life.call("POST", CREDENTIALS, other, headers=key).status_code == 422
    assert life.call("POST", CREDENTIALS, other, headers={"X-API-Key": secret.encode()}).status_code == 401


def ship(life: Life) -> str:
    """Everything that a carrier is asked; the tracking number."""
    life.ok("POST", "/api/v1/quotes", order("ORDER-quote"))
    booked = life.ok("POST", "/api/v1/labels", order("ORDER-1"), headers={
        "X-API-Key": "test-api-key", "Idempotency-Key": "label"
    })  # fmt: skip
    number = booked["tracking_number"]
    life.call("GET", f"/api/v1/shipments/{number}/tracking")
    life.call("GET", "/api/v1/pickup-points?carrier=pickit&latitude=40.7&longitude=-74")
    life.call("GET", "/api/v1/service-coverage?carrier=pickit&postal_code=10001&city=NY")
    life.system.world("POST", f"/_sandbox/pickit/shipments/{number}/advance", {})
    return number


def be_refused(life: Life, number: str) -> None:
    """The carrier repeats our requests in its errors, asks for new tokens, says nothing at all."""
    for status in (400, 401, 403, 409, 500):
        life.fault("echo", "quote", status=status, count=2)
        life.call("POST", "/api/v1/quotes", order("ORDER-quote"))
        life.system.world("DELETE", "/_sandbox/faults")
        life.fault("echo", "create_label", status=status, count=2)
        life.fault("echo", "find_by_reference", status=status, count=2)
        key = {"X-API-Key": "test-api-key", "Idempotency-Key": f"refused-{status}"}
        for _again in range(2):
            life.call("POST", "/api/v1/labels", order(f"ORDER-refused-{status}"), headers=key)
    for kind in ("garbage", "close", "echo"):
        life.fault(kind, "track", status=400)
        life.call("GET", f"/api/v1/pickit/tracking/{number}")
        life.fault(kind, "pickup_points", status=400)
        life.call("GET", "/api/v1/pickup-points?carrier=pickit&latitude=40.7&longitude=-74")


def lose_the_token(life: Life) -> None:
    """Logging in fails with the account's secret in the carrier's answer, and works again."""
    for status in (400, 401, 500):
        change = {"environment": "sandbox", "credentials": {"client_id": "test-client"}}
        life.ok("POST", CREDENTIALS, change)
        life.fault("echo", "token", status=status, count=4)
        assert life.call("POST", "/api/v1/quotes", order("ORDER-quote")).status_code >= 500
        assert life.call("POST", "/api/v1/labels", order(f"ORDER-token-{status}")).status_code >= 500
        life.system.manage("refresh_carrier_tokens", "-v3")
        life.system.world("DELETE", "/_sandbox/faults")
        life.ok("POST", CREDENTIALS, change | {"credentials": {"client_id": "test-client-id"}})
        life.ok("POST", "/api/v1/quotes", order("ORDER-quote"))
    state = life.system.place / "sandbox" / "sandbox.sqlite3"
    with sqlite3.connect(state) as world:
        tokens = [row[0] for row in world.execute("SELECT id FROM document WHERE kind = 'token'")]
    world.close()
    assert len(tokens) >= 3
    life.plant(*(given_out(f"carrier's token {number}", token) for number, token in enumerate(tokens)))


def be_called_by_the_carrier(life: Life) -> None:
    """Webhooks with a good proof have come by now; these have none, or the secret itself in its place."""
    hook = next(one.text for one in life.canaries if one.name == "webhook secret")
    path = f"/webhooks/pickit/events/{OWN_CREDENTIAL}"
    body = {"event_type": "shipment.in_transit", "timestamp": "2024-01-16T08:00:00Z", "data": {}}
    for proof in ("wrong", hook.encode()):
        headers = {"X-Pickit-Signature": proof, "X-Pickit-Timestamp": "2024-01-16T08:00:00Z"}
        assert life.call("POST", path, body, headers=headers).status_code == 401
    life.call("POST", f"{path}?secret={hook}", body, headers={})


def use_keys(life: Life) -> None:
    """Keys of every kind, put where they belong and where they do not."""
    make = {"X-API-Key": "test-api-key", "Idempotency-Key": "new key"}
    body = {"name": "shop", "scopes": ["shipments:read", "keys:manage"]}
    made = life.ok("POST", "/api/v1/api-keys", body, headers=make, shown_once=True)
    key = life.plant(given_out("made key", made["key"], told=12))
    again = life.ok("POST", "/api/v1/api-keys", body, headers=make)
    assert (again["id"], again["key"]) == (made["id"], None)
    renewed = life.ok("POST", f"/api/v1/api-keys/{made['id']}/regenerate", {"overlap_seconds": 600}, shown_once=True)
    life.plant(given_out("renewed key", renewed["key"], told=12))
    imported = life.plant(signs("imported key"))
    file = life.system.place / "keys.csv"
    file.write_text(f"merchant,name,key,mode,store,scopes\ndemo,old shop,{imported},test,,\n")
    life.system.manage("import_api_keys", str(file))
    life.system.manage("import_api_keys", str(file))
    file.write_text(f"merchant,name,key,mode,store,scopes\nnobody,old shop,{imported},test,,\n")
    life.said.append(("import_api_keys", life.system.manage_fails("import_api_keys", str(file)).encode()))
    file.unlink()
    for text in (key, renewed["key"], imported):
        use_key(life, text)
    life.ok("DELETE", f"/api/v1/api-keys/{made['id']}?reason=leaked")
    use_key(life, key)


def use_key(life: Life, text: str) -> None:
    life.call("GET", "/api/v1/shipments", headers={"X-API-Key": text})
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
        life.call("GET", "/api/v1/shipments", headers=headers)
    for path in ("/api/v1/shipments", "/api/v1/nothing", "/health", "/metrics", "/api/v1/events", "/api/docs/"):
        life.call("GET", f"{path}?api_key={text}")
        life.call("GET", f"{path}?api_key={text}", headers={"X-API-Key": text})
    for path in ("/admin/", "/portal/"):  # the way to the sign-in names the page that was asked for
        life.call("GET", f"{path}?api_key={text}", shown_once=True)
    life.call("POST", f"/api/v1/quotes?api_key={text}", order("ORDER-quote") | {"api_key": text})
    life.call("GET", f"/api/v1/shipments?limit=0&api_key={text}%ff")
    life.raw(f"GET /health?api_key={text} and more HTTP/1.1\r\nHost: localhost\r\n\r\n")
    life.raw(f"GET /health HTTP/1.1\r\nHost: localhost\r\nX-API-Key {text}\r\n\r\n")
    life.raw(f"GET /health HTTP/1.1\r\nHost: localhost\r\n{text}: X-API-Key\r\n\r\n")
    life.raw(f"GET /health HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {text}\x01\r\n\r\n")
    life.raw(f"GET /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: {text}\r\n\r\n")
    life.raw(f"{text} /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
    life.raw(f"GET /health HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {text}\r\nAnd-no")
    chunked = "POST /api/v1/quotes HTTP/1.1\r\nHost: localhost\r\nX-API-Key: test-api-key\r\n"
    chunked += "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    life.raw(f"{chunked}{text}\r\n\r\n")


def sign_in(life: Life, password: str) -> None:
    """With the right password and with wrong ones, each where it belongs and where it does not."""
    path = "/api/v1/auth/token"
    wrong = life.plant(canary("wrong password"))
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
        assert life.call("POST", path, given, headers={}).status_code in (400, 401, 403)
    pair = life.ok("POST", path, {"email": "jane", "password": password}, headers={}, shown_once=True)
    renewed = life.ok("POST", f"{path}/refresh", {"refresh": pair["refresh"]}, headers={}, shown_once=True)
    for name, text in (("first", pair), ("second", renewed)):
        for kind in ("access", "refresh"):
            life.plant(given_out(f"{name} {kind} token", text[kind]))
    access = renewed["access"]
    life.ok("GET", "/api/v1/events", headers={"Authorization": f"Bearer {access}"})
    life.call("GET", f"/api/v1/events?token={access}", headers={"X-API-Key": access})
    life.call("GET", "/api/v1/events", headers={"Authorization": f"Bearer {access}x"})
    for used_up in (pair["refresh"], pair["refresh"], f"{renewed['refresh']}x", access):
        assert life.call("POST", f"{path}/refresh", {"refresh": used_up}, headers={}).status_code == 401
    life.call("POST", f"{path}/logout", {"refresh": renewed["refresh"]}, headers={})


def sign_in_by_form(life: Life, path: str, password: str) -> None:
    """The way of browsers: what was typed does not come back."""
    wrong = next(one.text for one in life.canaries if one.name == "wrong password")
    for name, text in (("jane", wrong), ("jane", password)):
        send_form(life, path, {"username": name, "email": name, "password": text})
    # The field for the name gives back what was typed there, to the same browser alone.
    send_form(life, path, {"username": wrong, "email": wrong, "password": wrong}, kept=False)


def follow_links(life: Life, password: str) -> None:
    """An invitation and a new password; mail programs mistake where a link ends."""
    pair = life.ok("POST", "/api/v1/auth/token", {"email": "jane", "password": password}, shown_once=True)
    key = {"Authorization": f"Bearer {pair['access']}", "Idempotency-Key": "invite"}
    for _again in range(2):
        life.ok("POST", "/api/v1/members/invitations", {"email": "new@example.com", "role": "viewer"}, headers=key)
    chosen = life.plant(canary("new person's password"))
    new_person = {"name": "Jane Smith", "password": chosen, "repeated": chosen}
    follow(life, "invitation", r"/portal/invitation/([\w-]+)", new_person, {"repeated": "x"})
    send_form(life, "/portal/password-reset", {"email": "jane@example.com"})
    chosen = life.plant(canary("new password"))
    new = {"new_password1": chosen, "new_password2": chosen}
    follow(life, "password reset", r"/portal/password-reset/[\w-]+/([\w-]+)", new, {"new_password2": "x"})


def follow(life: Life, name: str, pattern: str, filled: dict[str, str], mistake: dict[str, str]) -> None:
    """Open the link of a mail in wrong ways, fill its form with a mistake, then rightly; it works once."""
    found = life.system.wait_for(lambda: re.search(pattern, in_mails(life)))
    life.plant(given_out(name, found[1]))
    for end in ("/", ".", "%3E", "?utm_source=mail", "/?next=/", ")"):
        life.call("GET", found[0] + end, headers={})
    assert send_form(life, found[0], filled | mistake).status_code == 200
    assert send_form(life, found[0], filled).status_code == 302
    life.call("GET", found[0], headers={})


def in_mails(life: Life) -> str:
    return "".join(file.read_text() for file in (life.system.place / "mail").glob("*"))


def send_form(life: Life, path: str, filled: dict[str, str], *, kept: bool = True) -> requests.Response:
    """Fill in the form of a page as a fresh browser does; the answer, which is not followed."""
    browser = requests.Session()
    page = browser.get(life.system.web + path, timeout=30)
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)
    assert token, page.text
    form = {"csrfmiddlewaretoken": token[1]} | filled
    answer = browser.post(page.url, form, headers={"Referer": page.url}, timeout=30, allow_redirects=False)
    if kept:
        life.said.append((f"form {path}", page.content + str(answer.headers).encode() + answer.content))
    return answer


def look_at_every_page(life: Life, session: str) -> int:
    """Each list and form of the admin and the newest rows of each; how many pages."""
    browser = requests.Session()
    browser.cookies.set("sessionid", session)
    seen: set[str] = set()

    def read(path: str) -> str:
        seen.add(path)
        answer = browser.get(life.system.web + path, timeout=60)
        assert answer.status_code in (200, 403), (path, answer.status_code)
        life.said.append((f"page {path}", answer.content))
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
    make_endpoint(life, browser)
    return len(seen)


def make_endpoint(life: Life, browser: requests.Session) -> None:
    """An endpoint's secret is on one page, once."""
    add = f"{life.system.web}/admin/webhooks/webhookendpoint/add/"
    page = browser.get(add, timeout=30).text
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)[1]
    merchant = with_input(life, "from apikeys.models import Merchant; print(Merchant.objects.get(slug='demo').pk)", {})
    form = {"csrfmiddlewaretoken": token, "merchant": merchant, "mode": "test", "is_active": "on"}
    form |= {"url": f"http://127.0.0.1:{life.system.receiver_port}/shop", "event_types": "", "description": "shop"}
    shown = browser.post(add, form, headers={"Referer": add}, timeout=30)
    secret = re.search(r"whsec_[A-Za-z0-9+/=]+", shown.text)[0]
    life.plant(given_out("generated endpoint secret", secret))
    again = browser.get(f"{life.system.web}/admin/webhooks/webhookendpoint/", timeout=30)
    life.said.append(("page after the one with the secret", again.content))


def look_at_the_rest(life: Life) -> None:
    for path in (
        "/metrics",
        "/health",
        "/api/v1/events?limit=100",
        "/api/v1/usage",
        "/api/v1/api-keys",
        "/api/schema/",
    ):
        life.call("GET", path)
    cursor = life.ok("GET", "/api/v1/events?limit=100")["pagination"]["next_cursor"]
    while cursor:
        cursor = life.ok("GET", f"/api/v1/events?limit=100&cursor={cursor}")["pagination"]["next_cursor"]
    for command in (["reconcile_shipments", "-v3"], ["list_errors"], ["check"], ["migrate", "-v3"]):
        life.system.manage(*command)


def everything(life: Life) -> list[tuple[str, bytes]]:
    """All that is on record anywhere: values by column, files (the database's with what was deleted), answers."""
    found = [(name, as_bytes(value)) for name, value in life.system.database.values() if value is not None]
    carriers_own = life.system.place / "sandbox"
    for file in life.system.place.rglob("*"):
        if file.is_file() and carriers_own not in file.parents:
            found.append((str(file.relative_to(life.system.place)), file.read_bytes()))
    return found + life.said


def as_bytes(value: Any) -> bytes:
    if isinstance(value, bytes | memoryview):
        return bytes(value)
    return (json.dumps(value) if isinstance(value, dict | list) else str(value)).encode()


def leaks(life: Life) -> dict[str, set[str]]:
    """Where which canary stands."""
    found: dict[str, set[str]] = {}
    for where, content in everything(life):
        names = found_in(content, life.canaries) - READABLE.get(where, set())
        if where.startswith("mail/"):
            names -= SHOWN_BY_MAIL
        if where.startswith("system_"):  # the file as a whole, with the one column that may
            names -= set().union(*READABLE.values())
        if names:
            found.setdefault(where, set()).update(names)
    return found


def test_a_secret_is_nowhere_after_its_one_showing(life):
    one = life.system.start("sandbox", "web")
    planted = meet_people(life)
    one.start("worker")
    open_account(life)
    number = ship(life)
    be_refused(life, number)
    lose_the_token(life)
    be_called_by_the_carrier(life)
    use_keys(life)
    sign_in(life, planted["password"])
    for path in ("/admin/login/", "/portal/sign-in"):
        sign_in_by_form(life, path, planted["password"])
    follow_links(life, planted["password"])
    one.wait_for(lambda: len(life.echo.got) > 4)
    one.wait_for(lambda: list((one.place / "mail").glob("*")))
    pages = look_at_every_page(life, planted["session"])
    look_at_the_rest(life)
    one.kill("worker")
    one.kill("web")

    assert leaks(life) == {}

    # The search would have found them: they were used, and the places that it looked into hold what happened.
    assert pages > 60
    assert with_input(life, "import logging; print(logging.getLogger('carriers').getEffectiveLevel())", {}) == "10"
    log = (one.logs / "web.log").read_text()
    assert all(told in log for told in ("/portal/invitation/…", "/api/v1/auth/token", "InvalidHeader"))
    columns = {name for name, _value in one.database.values()}
    assert {"carriers_carriercall.response_body", "webhooks_attempt.response", "apikeys_event.data"} <= columns
    world = b"".join(file.read_bytes() for file in (one.place / "sandbox").iterdir())
    assert found_in(world, life.canaries) >= {"client secret", "webhook secret", "carrier's token 0"}
