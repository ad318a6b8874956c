"""Staff find a number by what a customer can tell, and change nothing."""

import pytest

from tracking import services
from tracking.models import IssuedNumber
from tracking.tests.test_numbers import REQUEST

LIST = "/admin/tracking/issuednumber/"

pytestmark = pytest.mark.django_db


@pytest.fixture
def row():
    services.issue(REQUEST, correlation_id="other")
    return IssuedNumber.objects.get(number=services.issue(REQUEST, correlation_id="wanted").number)


def found(client, text):
    return [row.correlation_id for row in client.get(LIST, {"q": text}).context["cl"].result_list]


def test_a_number_is_found_by_itself_and_by_its_correlation_id(admin_client, row):
    assert found(admin_client, row.number) == ["wanted"]
    assert found(admin_client, "wanted") == ["wanted"]
    assert sorted(found(admin_client, str(REQUEST.customer_id))) == ["other", "wanted"]
    assert found(admin_client, "nothing") == []


def test_its_page_shows_it_and_offers_no_change(admin_client, row):
    page = admin_client.get(f"{LIST}{row.number}/change/")
    assert page.status_code == 200
    assert row.fingerprint in page.content.decode()
    assert admin_client.post(f"{LIST}{row.number}/change/", {"correlation_id": "x"}).status_code == 403
    assert admin_client.post(f"{LIST}{row.number}/delete/", {"post": "yes"}).status_code == 403
    assert admin_client.get(f"{LIST}add/").status_code == 403
    assert IssuedNumber.objects.get(number=row.number).correlation_id == "wanted"
