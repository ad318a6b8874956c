"""What travels: answers that are compressed, pages of other origins, files of our own pages; over real servers."""

import gzip
import json
import re
import secrets

import pytest
import requests

from deploy.tests.system import System

pytestmark = pytest.mark.system

SHOP, STRANGER = "https://shop.example.com", "https://elsewhere.example.com"
KEY = {"X-API-Key": "test-api-key"}


@pytest.fixture(scope="module")
def api():
    """An installation that one shop's pages may call."""
    system = System(CORS_ALLOWED_ORIGINS=SHOP)
    system.environment["STATIC_ROOT"] = str(system.place / "nothing")
    system.start("web")
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
    """An installation as it runs in earnest, its files collected."""
    system = System()
    system.environment |= {
        "DEBUG": "false",
        "SECURE_SSL_REDIRECT": "false",
        "STATIC_ROOT": str(system.place / "collected"),
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
    """The answer as it travels, not unpacked: status, headers, bytes."""
    response = requests.get(url, headers={"Accept-Encoding": "identity"} | headers, stream=True, timeout=30)
    return response, response.raw.read(decode_content=False)


# Compression


@pytest.mark.parametrize("accepted", ["gzip", "br;q=1, gzip;q=0.5", "*", "deflate, GZIP"])
def test_a_long_answer_is_compressed_for_a_client_that_takes_gzip(api, accepted):
    plain, expected = fetched(f"{api.web}/api/v1/shipments", **KEY)
    response, content = fetched(f"{api.web}/api/v1/shipments", **KEY, **{"Accept-Encoding": accepted})
    assert response.headers["Content-Encoding"] == "gzip"
    assert json.loads(gzip.decompress(content)) == json.loads(expected)
    assert int(response.headers["Content-Length"]) == len(content) < len(expected) / 2
    assert "Accept-Encoding" in response.headers["Vary"]
    assert "Accept-Encoding" in plain.headers["Vary"]


@pytest.mark.parametrize("accepted", ["identity", "", "br", "gzip;q=0", "gzip;q=0, *", "gzip;q=much"])
def test_others_get_it_as_it_is(api, accepted):
    response, content = fetched(f"{api.web}/api/v1/shipments", **KEY, **{"Accept-Encoding": accepted})
    assert "Content-Encoding" not in response.headers
    assert json.loads(content)["pagination"]


def test_a_short_answer_is_not_touched(api):
    response, content = fetched(f"{api.web}/health", **{"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in response.headers
    assert json.loads(content)["status"] == "healthy"
    assert "Accept-Encoding" not in response.headers.get("Vary", "")


def test_a_page_with_a_form_and_whatever_comes_with_cookies_is_not_compressed(api):
    page, content = fetched(f"{api.web}/portal/sign-in", **{"Accept-Encoding": "gzip"})
    assert b"csrfmiddlewaretoken" in content
    assert "Content-Encoding" not in page.headers
    answer, content = fetched(f"{api.web}/api/v1/shipments", **KEY, **{"Accept-Encoding": "gzip", "Cookie": "a=b"})
    assert "Content-Encoding" not in answer.headers
    assert json.loads(content)["pagination"]


def test_head_tells_what_get_would_send(api):
    asked = {"headers": KEY | {"Accept-Encoding": "gzip"}, "timeout": 30}
    head = requests.head(f"{api.web}/api/v1/shipments", **asked)
    assert head.headers["Content-Encoding"] == "gzip"
    assert head.content == b""


# Pages of other origins


def preflight(system, path, origin, method="POST", headers="x-api-key,content-type,idempotency-key"):
    asked = {"Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers}
    return requests.options(f"{system.web}{path}", headers=asked, timeout=30)


@pytest.mark.parametrize("path", ["/api/v1/checkpoints", "/api/week3-integrations/labels", "/next-tracking-number"])
def test_a_configured_origin_may_call(api, path):
    answer = preflight(api, path, SHOP)
    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Origin"] == SHOP
    assert {"x-api-key", "authorization", "idempotency-key", "x-correlation-id"} <= set(
        answer.headers["Access-Control-Allow-Headers"].split(", ")
    )
    assert "DELETE" in answer.headers["Access-Control-Allow-Methods"]
    assert "Access-Control-Allow-Credentials" not in answer.headers
    assert "origin" in answer.headers["Vary"].lower()


def test_its_pages_may_read_the_limits_and_what_went_wrong(api):
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


def test_a_stranger_s_page_may_not(api):
    answers = [
        preflight(api, "/api/v1/checkpoints", STRANGER),
        requests.get(f"{api.web}/api/v1/shipments", headers=KEY | {"Origin": STRANGER}, timeout=30),
        preflight(api, "/portal/sign-in", SHOP),
        preflight(api, "/admin/", SHOP),
        preflight(api, "/webhooks/pickit/events", SHOP),
    ]
    assert not [answer for answer in answers if "Access-Control-Allow-Origin" in answer.headers]


def test_without_configured_origins_nothing_is_run_for_them(production):
    answer = requests.get(f"{production.web}/health", headers={"Origin": SHOP}, timeout=30)
    assert not [name for name in answer.headers if name.startswith("Access-Control")]
    told = production.manage("shell", "-v0", "-c", "from django.conf import settings; print(settings.MIDDLEWARE)")
    assert "corsheaders" not in told


# Files of our pages


def test_collected_files_are_compressed_and_kept_for_ever(production):
    page = requests.get(f"{production.web}/portal/sign-in", timeout=30).text
    (sheet,) = re.findall(r'href="(/static/portal/portal\.[0-9a-f]{12}\.css)"', page)
    response, content = fetched(production.web + sheet, **{"Accept-Encoding": "gzip"})
    assert response.status_code == 200
    assert response.headers["Content-Encoding"] == "gzip"
    assert "immutable" in response.headers["Cache-Control"]
    assert "Accept-Encoding" in response.headers["Vary"]
    assert b"{" in gzip.decompress(content)


def test_the_pages_of_django_and_of_the_documentation_have_theirs(production):
    for page in ("/admin/login/", "/api/docs/"):
        text = requests.get(production.web + page, timeout=30).text
        files = re.findall(r'(?:href|src)="(/static/[^"]+)"', text)
        assert files
        for file in files:
            assert re.search(r"\.[0-9a-f]{12}\.\w+$", file), file
            assert requests.get(production.web + file, timeout=30).status_code == 200


def test_what_nobody_has_collected_is_served_all_the_same(api):
    page = requests.get(f"{api.web}/portal/sign-in", timeout=30).text
    (sheet,) = re.findall(r'href="(/static/portal/portal\.css)"', page)
    assert requests.get(api.web + sheet, timeout=30).status_code == 200
