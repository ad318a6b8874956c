"""The portal: reset and change of passwords."""

import re

import pytest
from django.core import mail as outgoing
from django.test import Client

from apikeys.audit import mail
from apikeys.models import Event, User
from apikeys.people import access_tokens
from apikeys.tests.browser import NEW_PASSWORD, PASSWORD, Browser
from apikeys.tests.test_people import code_of, enrol

pytestmark = [pytest.mark.django_db, pytest.mark.once]


def reset_link(browser, email="shop@example.com"):
    browser.fill("/portal/password-reset", email=email)
    mail.wait_until_sent()
    return re.search(r"http://testserver(/portal/password-reset/\S+)", outgoing.outbox[-1].body)[1]


def test_reset_response_is_the_same_for_every_address(browser, person):
    pages = [browser.fill("/portal/password-reset", email=email) for email in ("shop@example.com", "no@example.com")]
    assert {(page.status_code, page["Location"]) for page in pages} == {(302, "/portal/password-reset/sent")}
    mail.wait_until_sent()
    assert [message.to for message in outgoing.outbox] == [["shop@example.com"]]


@pytest.mark.django_db(transaction=True)
def test_reset_ends_sessions_and_refresh_tokens_and_works_once(browser, person):
    old = Browser()
    old.sign_in()
    pair = access_tokens.issue_tokens(person, person.membership_set.get(), "test")
    link = reset_link(browser, "Shop@Example.com")
    step = browser.get(link)["Location"]
    assert browser.fill(step, new_password1=NEW_PASSWORD, new_password2=NEW_PASSWORD)["Location"] == "/portal/sign-in"
    assert old.get("/portal/").status_code == 302
    body = {"refresh": pair.refresh}
    assert Client().post("/api/v1/auth/token/refresh", body, content_type="application/json").status_code == 401
    assert "not valid any more" in Browser().get(link).content.decode()
    assert browser.sign_in(password=NEW_PASSWORD)["Location"] == "/portal/"
    assert Event.objects.get(type="person.password_changed").data == {"how": "reset"}
    mail.wait_until_sent()
    assert "changed" in outgoing.outbox[-1].subject


def test_reset_does_not_bypass_the_second_factor(browser, person, clock):
    device, _codes = enrol(person)
    step = browser.get(reset_link(browser))["Location"]
    browser.fill(step, new_password1=NEW_PASSWORD, new_password2=NEW_PASSWORD)
    assert browser.sign_in(password=NEW_PASSWORD)["Location"].startswith("/portal/sign-in")
    clock.shift(60)
    assert browser.fill("/portal/sign-in", code=code_of(device))["Location"] == "/portal/"


def test_reset_unlocks_the_account(browser, person):
    for _attempt in range(5):
        browser.sign_in(password="wrong")
    step = browser.get(reset_link(browser))["Location"]
    browser.fill(step, new_password1=NEW_PASSWORD, new_password2=NEW_PASSWORD)
    assert browser.sign_in(password=NEW_PASSWORD).status_code == 302


def test_weak_passwords_are_refused(browser, person):
    step = browser.get(reset_link(browser))["Location"]
    for weak in ("short", "password123", "shop@example.com"):
        assert browser.fill(step, new_password1=weak, new_password2=weak).status_code == 200, weak
    assert User.objects.get().check_password(PASSWORD)


def test_password_change_ends_other_sessions(browser, person):
    other = Browser()
    browser.sign_in()
    other.sign_in()
    form = {"old_password": PASSWORD, "new_password1": NEW_PASSWORD, "new_password2": NEW_PASSWORD}
    assert browser.fill("/portal/password", **form | {"old_password": "wrong"}).status_code == 200
    assert browser.fill("/portal/password", **form).status_code == 302
    assert browser.get("/portal/").status_code == 200
    assert other.get("/portal/").status_code == 302
