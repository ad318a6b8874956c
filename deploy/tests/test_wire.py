"""Compression, logs, cross-origin requests and static files of a running installation."""

import gzip
import json
import re
import secrets
from datetime import datetime
from urllib.parse import quote

import pytest
import requests

from deploy.tests.system import System

pytestmark = [pytest.mark.system, pytest.mark.once]

SHOP, OTHER_ORIGIN = "https://shop.example.com", "https://elsewhere.example.com"
KEY = {"X-API-Key": "test-api-key"}


@pytest.fixture(scope="module")
def api():
    """An installation that allows requests of one origin."""
    system = System(keep_logs=True, CORS_ALLOWED_ORIGINS=SHOP, LOG_LEVEL="INFO")
    system.environment["STATIC_ROOT"] = str(system.directory / "nothing")
    system.start("web", "worker")
    for number in range(12):
        body = {
            "tracking_id": f"WIRE-{number:04}",
            "status": "CREATED",
            "location": "Bogotá, Colombia",
            "description": "Paquete creado",
            "timestamp": "2024-01-15T10:30:00Z",
        }
        assert system.api("POST", "/api/v1/checkpoints", body).status_code == 201
    yield system
    system.close()


@pytest.fixture(scope="module")
def production():
    """An installation with production settings and collected static files."""
    system = System()
    system.environment |= {
        "DEBUG": "false",
        "SECURE_SSL_REDIRECT": "false",
        "STATIC_ROOT": str(system.directory / "collected"),
        "SECRET_KEY": secrets.token_urlsafe(50),
        "ENCRYPTION_KEYS": "k1:b3duLWtleS1vd24ta2V5LW93bi1rZXktb3duLWtleSE=",
        "API_KEY_PEPPER": secrets.token_urlsafe(),
        "TRACKING_NUMBER_SECRETS": f"1:{secrets.token_urlsafe()}",
    }
    system.manage("collectstatic", "--noinput", "-v0")
    system.start("web")
    yield system
    system.close()


def fetched(url, **headers):
    """Return the response and its body without decompression."""
    response = requests.get(url, headers={"Accept-Encoding": "identity"} | headers, stream=True, timeout=30)
    return response, response.raw.read(decode_content=False)


# Compression


@pytest.mark.parametrize("accepted", ["gzip", "br;q=1, gzip;q=0.5", "*", "deflate, GZIP"])
def test_long_response_is_compressed_for_clients_that_accept_gzip(api, accepted):
    plain, expected = fetched(f"{api.web}/api/v1/shipments", **KEY)
    response, content = fetched(f"{api.web}/api/v1/shipments", **KEY, **{"Accept-Encoding": accepted})
    assert response.headers["Content-Encoding"] == "gzip"
    assert json.loads(gzip.decompress(content)) == json.loads(expected)
    assert int(response.headers["Content-Length"]) == len(content) < len(expected) / 2
    assert "Accept-Encoding" in response.headers["Vary"]
    assert "Accept-Encoding" in plain.headers["Vary"]


@pytest.mark.parametrize("accepted", ["identity", "", "br", "gzip;q=0", "gzip;q=0, *", "gzip;q=much"])
def test_response_is_not_compressed_for_other_clients(api, accepted):
    response, content = fetched(f"{api.web}/api/v1/shipments", **KEY, **{"Accept-Encoding": accepted})
    assert "Content-Encoding" not in response.headers
    assert json.loads(content)["pagination"]


def test_short_response_is_not_compressed(api):
    response, content = fetched(f"{api.web}/health", **{"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in response.headers
    assert json.loads(content)["status"] == "healthy"
    assert "Accept-Encoding" not in response.headers.get("Vary", "")


def test_pages_with_forms_and_requests_with_cookies_are_not_compressed(api):
    page, content = fetched(f"{api.web}/portal/sign-in", **{"Accept-Encoding": "gzip"})
    assert b"csrfmiddlewaretoken" in content
    assert "Content-Encoding" not in page.headers
    answer, content = fetched(f"{api.web}/api/v1/shipments", **KEY, **{"Accept-Encoding": "gzip", "Cookie": "a=b"})
    assert "Content-Encoding" not in answer.headers
    assert json.loads(content)["pagination"]


def test_head_has_the_headers_of_get(api):
    asked = {"headers": KEY | {"Accept-Encoding": "gzip"}, "timeout": 30}
    head = requests.head(f"{api.web}/api/v1/shipments", **asked)
    assert head.headers["Content-Encoding"] == "gzip"
    assert head.content == b""


# Logs


def lines(system, process, **wanted):
    """What a process has logged, each line read as JSON; only those with these fields."""
    logged = [json.loads(line) for line in (system.logs / f"{process}.log").read_text().splitlines()]
    return [line for line in logged if wanted.items() <= line.items()]


def test_every_line_of_every_process_is_json_with_the_documented_fields(api):
    for process in ("web", "worker"):
        for line in api.wait_for(lambda process=process: lines(api, process)):
            assert {"timestamp", "level", "message", "request_id"} <= set(line), line
            assert datetime.fromisoformat(line["timestamp"]).tzinfo
            assert line["level"] in ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


def test_registered_checkpoint_is_logged_with_all_documented_fields(api):
    body = {
        "tracking_id": "LOGGED-0001",
        "status": "created",
        "location": "Bogotá, Colombia",
        "description": "Paquete creado",
        "timestamp": "2024-01-15T10:30:00Z",
    }
    headers = KEY | {"X-Correlation-ID": "of-the-shop"}
    for status in ("created", "created", "DELIVERED"):
        body["status"] = status
        requests.post(f"{api.web}/api/v1/checkpoints", json=body, headers=headers, timeout=30)
    api.wait_for(lambda: lines(api, "web", tracking_id="LOGGED-0001", status="DELIVERED"))
    first, again, *others = lines(api, "web", tracking_id="LOGGED-0001")
    assert first["message"] == "Checkpoint registered"
    assert (first["level"], first["status"], first["request_id"]) == ("INFO", "CREATED", "of-the-shop")
    assert first["user_id"].startswith("key:")
    assert isinstance(first["duration_ms"], int)
    assert (again["message"], again["http_status"]) == ("Checkpoint already registered", 200)
    assert [(line["message"], line["http_status"]) for line in others] == [("request", 400)]


def test_tracking_id_cannot_forge_a_log_line(api):
    name = '"}\n{"level": "ERROR", "message": "forged'
    requests.get(f"{api.web}/api/v1/tracking/{quote(name, safe='')}", headers=KEY, timeout=30)
    (line,) = api.wait_for(lambda: lines(api, "web", tracking_id=name))
    assert (line["message"], line["http_status"]) == ("request", 404)


# Requests of other origins


def preflight(system, path, origin, method="POST", headers="x-api-key,content-type,idempotency-key"):
    asked = {"Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers}
    return requests.options(f"{system.web}{path}", headers=asked, timeout=30)


@pytest.mark.parametrize("path", ["/api/v1/checkpoints", "/api/week3-integrations/labels", "/next-tracking-number"])
def test_configured_origin_may_call(api, path):
    answer = preflight(api, path, SHOP)
    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Origin"] == SHOP
    assert {"x-api-key", "authorization", "idempotency-key", "x-correlation-id"} <= set(
        answer.headers["Access-Control-Allow-Headers"].split(", ")
    )
    assert "DELETE" in answer.headers["Access-Control-Allow-Methods"]
    assert "Access-Control-Allow-Credentials" not in answer.headers
    assert "origin" in answer.headers["Vary"].lower()


def test_configured_origin_may_read_limits_and_errors(api):
    answer = requests.get(f"{api.web}/api/v1/shipments", headers=KEY | {"Origin": SHOP}, timeout=30)
    assert answer.headers["Access-Control-Allow-Origin"] == SHOP
    exposed = set(answer.headers["Access-Control-Expose-Headers"].split(", "))
    assert {"Retry-After", "X-Correlation-ID"} <= exposed
    assert {name for name in answer.headers if name.startswith("X-RateLimit-")} <= exposed
    refused = requests.get(f"{api.web}/api/v1/shipments", headers={"Origin": SHOP}, timeout=30)
    assert (refused.status_code, refused.headers["Access-Control-Allow-Origin"]) == (401, SHOP)
    too_large = requests.post(
        f"{api.web}/api/v1/checkpoints", data=b"x" * 2_000_000, headers=KEY | {"Origin": SHOP}, timeout=30
    )
    assert (too_large.status_code, too_large.headers["Access-Control-Allow-Origin"]) == (413, SHOP)


def test_other_origins_and_pages_are_not_allowed(api):
    answers = [
        preflight(api, "/api/v1/checkpoints", OTHER_ORIGIN),
        requests.get(f"{api.web}/api/v1/shipments", headers=KEY | {"Origin": OTHER_ORIGIN}, timeout=30),
        preflight(api, "/portal/sign-in", SHOP),
        preflight(api, "/admin/", SHOP),
        preflight(api, "/webhooks/pickit/events", SHOP),
    ]
    assert not [answer for answer in answers if "Access-Control-Allow-Origin" in answer.headers]


def test_without_configured_origins_no_middleware_is_installed(production):
    answer = requests.get(f"{production.web}/health", headers={"Origin": SHOP}, timeout=30)
    assert not [name for name in answer.headers if name.startswith("Access-Control")]
    middleware = production.manage("shell", "-v0", "-c", "from django.conf import settings; print(settings.MIDDLEWARE)")
    assert "corsheaders" not in middleware


# Static files


def test_collected_files_are_compressed_and_cached_without_limit(production):
    page = requests.get(f"{production.web}/portal/sign-in", timeout=30).text
    (sheet,) = re.findall(r'href="(/static/portal/portal\.[0-9a-f]{12}\.css)"', page)
    response, content = fetched(production.web + sheet, **{"Accept-Encoding": "gzip"})
    assert response.status_code == 200
    assert response.headers["Content-Encoding"] == "gzip"
    assert "immutable" in response.headers["Cache-Control"]
    assert "Accept-Encoding" in response.headers["Vary"]
    assert b"{" in gzip.decompress(content)


def test_admin_and_documentation_pages_have_collected_files(production):
    for page in ("/admin/login/", "/api/docs/"):
        text = requests.get(production.web + page, timeout=30).text
        files = re.findall(r'(?:href|src)="(/static/[^"]+)"', text)
        assert files
        for file in files:
            assert re.search(r"\.[0-9a-f]{12}\.\w+$", file), file
            assert requests.get(production.web + file, timeout=30).status_code == 200


def test_files_are_served_without_collecting_them(api):
    page = requests.get(f"{api.web}/portal/sign-in", timeout=30).text
    (sheet,) = re.findall(r'href="(/static/portal/portal\.css)"', page)
    assert requests.get(api.web + sheet, timeout=30).status_code == 200
