"""The portal: invitations."""

import logging
import re

import pytest
from django.urls import reverse

from apikeys.models import Membership, User
from apikeys.models.scopes import OF_ROLES
from apikeys.people import memberships
from apikeys.tests.browser import NEW_PASSWORD, PASSWORD, Browser

pytestmark = [pytest.mark.django_db, pytest.mark.once]


def invitation_for(merchant, email, role="viewer"):
    owner = User.objects.get(email="shop@example.com")
    _row, token = memberships.invite(merchant, email=email, role=role, by=owner, granted=OF_ROLES["owner"])
    return reverse("portal:invitation", args=[token])


def test_new_person_accepts_an_invitation(browser, person, merchant):
    path = invitation_for(merchant, "jane.smith@example.com", "operator")
    form = {"name": "Jane Smith", "password": NEW_PASSWORD, "repeated": NEW_PASSWORD}
    for wrong in ({"password": "short", "repeated": "short"}, {"repeated": "x"}, {"name": ""}):
        assert browser.fill(path, **form | wrong).status_code == 200
    assert not User.objects.filter(email="jane.smith@example.com").exists()
    assert browser.fill(path, **form)["Location"] == "/portal/"
    page = browser.get("/portal/").content.decode()
    assert all(text in page for text in ("Jane Smith", "Acme", "Operator"))
    assert browser.get(path).status_code == 404
    assert Browser().sign_in("jane.smith@example.com", NEW_PASSWORD)["Location"] == "/portal/"


def test_person_with_account_signs_in_and_accepts(browser, person, merchant):
    User.objects.create_user("jane", "jane.smith@example.com", PASSWORD)
    path = invitation_for(merchant, "jane.smith@example.com")
    page = browser.get(path).content.decode()
    assert 'name="password"' not in page
    sign_in = re.search(r'href="(/portal/sign-in\?next=[^"]+)"', page)[1]
    back = browser.fill(sign_in, email="jane", password=PASSWORD, next=path)["Location"]
    assert back == path
    browser.fill(path)
    assert Membership.objects.get(user__username="jane").role == "viewer"


def test_invitation_for_another_address_is_refused(browser, person, merchant):
    User.objects.create_user("jane", "jane.smith@example.com", PASSWORD)
    path = invitation_for(merchant, "someone.else@example.com")
    browser.sign_in("jane")
    page = browser.get(path)
    assert "another e-mail address" in page.content.decode()
    assert browser.send(page, path).status_code == 403
    assert not Membership.objects.filter(user__username="jane").exists()


def test_invitation_does_not_replace_an_existing_account(browser, person, merchant):
    User.objects.create_user("jane", "Jane.Smith@example.com", PASSWORD)
    path = invitation_for(merchant, "jane.smith@example.com")
    page = browser.get("/portal/sign-in")
    taken = browser.send(page, path, name="Thief", password=NEW_PASSWORD, repeated=NEW_PASSWORD)
    assert taken.status_code == 409
    assert User.objects.get(username="jane").check_password(PASSWORD)


def test_forged_invitation_is_not_found(browser, db):
    page = browser.get("/portal/invitation/nonsense")
    assert (page.status_code, page["Content-Type"]) == (404, "text/html; charset=utf-8")


def test_log_contains_no_invitation_token(browser, person, merchant, caplog):
    caplog.set_level(logging.DEBUG)
    path = invitation_for(merchant, "jane.smith@example.com")
    browser.get(path)
    assert path.rpartition("/")[2] not in caplog.text + str([record.__dict__ for record in caplog.records])
