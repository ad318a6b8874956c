"""Files are downloaded only from the carrier's hosts."""

import time

import pytest

from carriers.adapters.apis import Api, Bearer
from carriers.adapters.pickit import PickitAdapter
from carriers.adapters.registry import ADAPTERS
from carriers.http import environments
from carriers.http.call_log import Caller
from carriers.http.transport import HttpTransport
from carriers.models import CarrierCall
from carriers.tests.replay import Tokens
from carriers.types import errors

pytestmark = [pytest.mark.django_db, pytest.mark.once]


@pytest.fixture
def fetch(credential, carrier):
    def download(url=None, credential=credential, **kwargs):
        transport = HttpTransport(Caller(credential, credential.merchant_id, "Pickit"))
        return transport.fetch("documents", url or f"{carrier.url}/label.pdf", **kwargs)

    return download


def test_file_is_downloaded_and_logged_without_its_content(fetch, carrier):
    carrier.answers = [(200, b"%PDF canary \xff\x00", {})]
    answer = fetch(f"{carrier.url}/label.pdf?signature=canary&k=canary")
    assert answer.content == b"%PDF canary \xff\x00"
    call = CarrierCall.objects.get()
    assert (call.operation, call.outcome, call.response_body) == ("documents", "ok", "<a file of 14 bytes>")
    assert "canary" not in call.url


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data",
        "http://127.0.0.1:1/other-port",
        "https://evil.example/label.pdf",
        "ftp://127.0.0.1/label.pdf",
        "file:///etc/passwd",
        "//evil.example/label.pdf",
        "http://[::1",
        "http://{own}@evil.example/label.pdf",
        "http://evil.example\\@{own}/label.pdf",
        "http://{own}.evil.example/label.pdf",
        "http://evil.example#@{own}/",
        "",
    ],
)
def test_file_on_another_host_is_not_requested(fetch, carrier, url):
    own = carrier.url.removeprefix("http://")
    with pytest.raises(errors.CarrierUnavailable) as refusal:
        fetch(url.replace("{own}", own) or "no url")
    assert refusal.value.carrier_code == "unreadable_answer"
    assert carrier.requests == []


def redirect(url):
    return (302, b"", {"Location": url})


def test_redirects_are_followed_without_the_credential_on_another_host(fetch, carrier):
    other = carrier.url.replace("127.0.0.1", "localhost")
    carrier.answers = [
        redirect("/second"),
        redirect(f"{other}/third"),
        redirect(f"{carrier.url}/last"),
        (200, b"x", {}),
    ]
    assert fetch(headers={"X-Key": "canary", "Authorization": "canary"}).content == b"x"
    sent = [(path, "X-Key" in headers or "Authorization" in headers) for path, headers, _body in carrier.requests]
    # Once dropped, the credential is not sent again, not even to its own host.
    assert sent == [("/label.pdf", True), ("/second", True), ("/third", False), ("/last", False)]
    assert list(CarrierCall.objects.order_by("id").values_list("status", flat=True)) == [302, 302, 302, 200]


@pytest.mark.parametrize(
    "url",
    ["https://evil.example/x", "http://169.254.169.254/", "file:///etc/passwd", "//evil.example/x"],
)
def test_redirect_to_another_host_is_not_requested(fetch, carrier, url):
    carrier.answers = [redirect(url)]
    with pytest.raises(errors.CarrierUnavailable) as refusal:
        fetch()
    assert refusal.value.carrier_code == "unreadable_answer"
    assert len(carrier.requests) == 1


def test_redirects_share_the_deadline_of_the_call(fetch, carrier, settings):
    def slow_redirect(handler):
        time.sleep(0.4)
        handler.send_response(302)
        handler.send_header("Location", "/again")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    settings.CARRIER_TIMEOUT_S = 0.7
    carrier.answers = [slow_redirect]
    with pytest.raises(errors.CarrierTimeout):
        fetch()
    assert len(carrier.requests) <= 2


def test_fourth_redirect_is_not_followed(fetch, carrier):
    carrier.answers = [redirect("/again")]
    with pytest.raises(errors.CarrierUnavailable, match="not available") as refusal:
        fetch()
    assert "redirects" in refusal.value.carrier_message
    assert len(carrier.requests) == 4


@pytest.mark.parametrize(
    ("url", "is_allowed"),
    [
        ("https://api.pickit.net/x", True),
        ("https://api.pickit.net:443/x", True),
        ("https://files.example/x", True),
        ("https://FILES.example/x", True),
        ("https://files.example:8443/x", False),
        ("https://port.example:8443/x", True),
        ("https://port.example/x", False),
        ("https://a.store.example/x", True),
        ("https://a.b.store.example/x", True),
        ("https://store.example/x", False),
        ("https://evilstore.example/x", False),
        ("https://files.example@evil.example/x", False),
        ("https://user:pw@files.example/x", False),
        ("http://files.example/x", False),
        ("http://api.pickit.net/x", False),
        ("http://127.0.0.1:8010/x", False),
    ],
)
def test_hosts_of_files_in_production(credential, monkeypatch, settings, url, is_allowed):
    class Adapter(PickitAdapter):
        hosts = ("files.example", "port.example:8443", "*.store.example")
        apis = {"main": Api(production="https://api.pickit.net/v2", file_hosts=hosts)}

    monkeypatch.setitem(ADAPTERS, "pickit", Adapter)
    settings.CARRIER_BASE_URLS = {}
    credential.mode = "live"
    assert environments.may_download(credential, url) is is_allowed


def test_production_file_needs_https(fetch, carrier, credential):
    credential.mode = "live"
    with pytest.raises(errors.CarrierUnavailable):
        fetch(credential=credential)
    assert carrier.requests == []


def test_file_over_the_size_limit_is_dropped(fetch, carrier, settings):
    settings.CARRIER_MAX_ANSWER_BYTES, settings.CARRIER_MAX_RETRIES = 1000, 0
    carrier.answers = [(200, b"x" * 5000, {})]
    with pytest.raises(errors.CarrierUnavailable):
        fetch()


def test_token_is_sent_only_to_the_base_urls_host(credential, carrier, monkeypatch):
    class Adapter(PickitAdapter):
        apis = {"main": Api(production="https://api.pickit.net/v2", auth=(Bearer(),), file_hosts=(carrier.url[7:],))}

        def read_file(self, url):
            return self._download("documents", url)

    monkeypatch.setitem(ADAPTERS, "pickit", Adapter)
    http = HttpTransport(Caller(credential, credential.merchant_id, "Pickit"))
    carrier.answers = [(200, b"a file", {})]
    for base, is_sent in (("https://api.example", False), (carrier.url, True)):
        adapter = Adapter(fields={}, environment="sandbox", urls={"main": base}, http=http, tokens=Tokens())
        assert adapter.read_file(f"{carrier.url}/label.pdf") == b"a file"
        assert ("Authorization" in carrier.requests[-1][1]) is is_sent
