"""Files are downloaded only from the carrier's hosts."""

import pytest

from carriers.adapters.base import CarrierAdapter
from carriers.http.call_log import Caller
from carriers.http.transport import HttpTransport
from carriers.models import CarrierCall
from carriers.types import errors

pytestmark = [pytest.mark.django_db, pytest.mark.once]


@pytest.fixture
def fetch(credential, carrier):
    def download(url=None, hosts=None, credential=credential, **kwargs):
        transport = HttpTransport(Caller(credential, credential.merchant_id, "Pickit"))
        own = carrier.url.removeprefix("http://")
        return transport.fetch("label_file", url or f"{carrier.url}/label.pdf", hosts=hosts or [own], **kwargs)

    return download


def test_file_is_downloaded_and_logged_without_its_content(fetch, carrier):
    carrier.answers = [(200, b"%PDF canary \xff\x00", {})]
    answer = fetch(f"{carrier.url}/label.pdf?signature=canary&k=canary")
    assert answer.content == b"%PDF canary \xff\x00"
    call = CarrierCall.objects.get()
    assert (call.operation, call.outcome, call.response_body) == ("label_file", "ok", "<a file of 14 bytes>")
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


def test_redirect_of_a_file_is_not_followed(fetch, carrier):
    carrier.answers = [(302, b"", {"Location": f"{carrier.url}/elsewhere"})]
    assert fetch().status == 302
    assert len(carrier.requests) == 1


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


def test_token_is_sent_only_to_the_base_urls_host(credential, carrier):
    class Tokens:
        def current(self):
            return "canary-token"

    class Adapter(CarrierAdapter):
        slug, name = "x", "X"
        file_hosts = (carrier.url.removeprefix("http://"),)

        def label_file(self, url):
            return self._download("label_file", url)

    http = HttpTransport(Caller(credential, credential.merchant_id, "X"))
    carrier.answers = [(200, b"a file", {})]
    for base, is_sent in (("https://api.example", False), (carrier.url, True)):
        adapter = Adapter(fields={}, base_url=base, http=http, tokens=Tokens())
        assert adapter.label_file(f"{carrier.url}/label.pdf") == b"a file"
        assert ("Authorization" in carrier.requests[-1][1]) is is_sent
