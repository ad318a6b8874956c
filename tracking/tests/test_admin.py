"""Admin pages of issued numbers: search, and no changes."""

import pytest

from tracking import services
from tracking.models import IssuedNumber
from tracking.tests.test_numbers import REQUEST

LIST = "/admin/tracking/issuednumber/"

pytestmark = pytest.mark.django_db


@pytest.fixture
def row():
    services.issue(REQUEST, correlation_id="other")
    return IssuedNumber.objects.get(number=services.issue(REQUEST, correlation_id="searched").number)


def search(client, text):
    return [row.correlation_id for row in client.get(LIST, {"q": text}).context["cl"].result_list]


def test_number_is_found_by_number_correlation_id_and_customer(admin_client, row):
    assert search(admin_client, row.number) == ["searched"]
    assert search(admin_client, "searched") == ["searched"]
    assert sorted(search(admin_client, str(REQUEST.customer_id))) == ["other", "searched"]
    assert search(admin_client, "nothing") == []


def test_page_shows_the_number_read_only(admin_client, row):
    page = admin_client.get(f"{LIST}{row.number}/change/")
    assert page.status_code == 200
    assert row.fingerprint in page.content.decode()
    assert admin_client.post(f"{LIST}{row.number}/change/", {"correlation_id": "x"}).status_code == 403
    assert admin_client.post(f"{LIST}{row.number}/delete/", {"post": "yes"}).status_code == 403
    assert admin_client.get(f"{LIST}add/").status_code == 403
    assert IssuedNumber.objects.get(number=row.number).correlation_id == "searched"
