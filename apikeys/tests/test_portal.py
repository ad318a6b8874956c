"""The portal: sign-in, sessions and the second factor."""

import logging
import re
from urllib.parse import urlencode

import pytest
from axes.models import AccessAttempt
from django.contrib.sessions.models import Session
from django.core import mail as outgoing
from django_otp.plugins.otp_totp.models import TOTPDevice

from apikeys.audit import mail
from apikeys.models import Event, Merchant, User
from apikeys.tests.browser import NEW_PASSWORD, PASSWORD, Browser
from apikeys.tests.test_people import code_of, enrol

pytestmark = [pytest.mark.django_db, pytest.mark.once]
OTHER_SITES = ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", "evil", "///x", ""]


@pytest.fixture
def staff(db, settings):
    """Operations staff, who need a second factor for the admin."""
    settings.STAFF_TWO_FACTOR = True
    return User.objects.create_superuser("ops", "ops@example.com", PASSWORD)


def test_home_page_shows_the_person_and_their_merchants(browser, person):
    redirect = browser.get("/portal/")
    assert (redirect.status_code, redirect["Location"]) == (302, "/portal/sign-in?next=%2Fportal%2F")
    assert browser.sign_in()["Location"] == "/portal/"
    page = browser.get("/portal/").content.decode()
    assert all(text in page for text in ("Jane", "shop@example.com", "Acme", "Owner"))
    assert Event.objects.filter(type="person.signed_in", actor=f"person:{person.id}").exists()


def test_other_merchants_are_not_shown(browser, person):
    Merchant.objects.create(name="Other", slug="other")
    browser.sign_in()
    assert "Other" not in browser.get("/portal/").content.decode()


def test_unknown_person_and_wrong_password_get_the_same_page(browser, person):
    def page_without_values(**wrong):
        page = browser.sign_in(**wrong)
        assert page.status_code == 401
        return re.sub(r'value="[^"]*"', "", page.content.decode())

    assert page_without_values(password="wrong") == page_without_values(email="nobody@example.com")
    User.objects.update(is_active=False)
    assert page_without_values() == page_without_values(password="wrong")


def test_password_is_not_in_responses_logs_or_recorded_attempts(browser, person, caplog):
    caplog.set_level(logging.DEBUG)
    page = browser.sign_in(password="wrong-CANARY").content.decode()
    recorded = page + caplog.text + str([record.__dict__ for record in caplog.records])
    assert "CANARY" not in recorded + str(list(AccessAttempt.objects.values()))


def test_locked_account_is_explained_on_the_page(browser, person):
    pages = [browser.sign_in(password="wrong") for _attempt in range(5)]
    assert [page.status_code for page in pages] == [401] * 4 + [429]
    locked = browser.sign_in()
    assert (locked.status_code, locked["Retry-After"]) == (429, "900")
    assert locked["Content-Type"].startswith("text/html")
    assert "Try again in 15 minutes" in locked.content.decode()


@pytest.mark.parametrize(("rates", "limit"), [("SENSITIVE_RATES", "sensitive"), ("ACCOUNT_RATES", "account")])
def test_attempts_are_limited_by_address_and_by_account(browser, person, settings, clock, rates, limit):
    setattr(settings, rates, ["2/h"])
    pages = [browser.sign_in(password="wrong") for _attempt in range(3)]
    assert [page.status_code for page in pages] == [401, 401, 429]
    assert pages[2]["Content-Type"].startswith("text/html")
    assert 0 < int(pages[2]["Retry-After"]) <= 3600
    assert pages[2]["X-RateLimit-Remaining"] == "0"
    assert Event.objects.get(type="rate_limit.exceeded").data["limit"] == limit


def test_pages_count_against_the_public_limit(browser, db, settings, clock):
    settings.PUBLIC_RATES = ["2/m"]
    assert [browser.get("/portal/sign-in").status_code for _ in range(3)] == [200, 200, 429]


def test_next_ignores_other_sites(browser, person):
    for path in OTHER_SITES:
        assert browser.sign_in(to=path)["Location"] == "/portal/", path
        assert browser.get(f"/portal/sign-in?{urlencode({'next': path})}")["Location"] == "/portal/", path
        browser.logout()


def test_sign_in_continues_to_next(browser, person):
    assert browser.sign_in(to="/portal/two-factor?a=b")["Location"] == "/portal/two-factor?a=b"


def test_sign_in_changes_the_session_key_and_cookie_is_http_only(browser, person, clock):
    enrol(person)
    clock.shift(60)
    browser.sign_in()
    before = browser.cookies["sessionid"].value
    browser.fill("/portal/sign-in", code=code_of(TOTPDevice.objects.get()))
    cookie = browser.cookies["sessionid"]
    assert cookie.value != before
    assert (cookie["httponly"], cookie["samesite"]) == (True, "Lax")
    assert not Session.objects.filter(session_key=before).exists()


def test_forms_without_csrf_token_are_refused(browser, person):
    for path in ("sign-in", "sign-out", "two-factor", "password", "password-reset"):
        assert browser.post(f"/portal/{path}", {"email": "shop@example.com", "password": PASSWORD}).status_code == 403


def test_pages_forbid_caching_and_framing(browser, db):
    page = browser.get("/portal/sign-in")
    assert "no-store" in page["Cache-Control"]
    assert "frame-ancestors 'none'" in page["Content-Security-Policy"]
    assert b"<script" not in page.content


def test_sign_out_needs_post_and_ends_the_session(browser, person):
    browser.sign_in()
    assert browser.get("/portal/sign-out").status_code == 405
    session = browser.cookies["sessionid"].value
    assert browser.send(browser.get("/portal/"), "/portal/sign-out").status_code == 302
    assert not Session.objects.filter(session_key=session).exists()
    assert browser.get("/portal/").status_code == 302


def test_second_factor_is_set_up_and_then_required(browser, person, clock):
    browser.sign_in()
    browser.fill("/portal/two-factor", step="begin")
    device = TOTPDevice.objects.get()
    page = browser.get("/portal/two-factor").content.decode()
    assert "<svg" in page
    assert re.search(r"secret\">([A-Z2-7]{4} ){7}[A-Z2-7]{4}<", page)
    wrong = browser.fill("/portal/two-factor", step="confirm", code="000000")
    assert "does not match" in wrong.content.decode()
    clock.shift(60)
    shown = browser.fill("/portal/two-factor", step="confirm", code=code_of(device)).content.decode()
    codes = re.findall(r"<code>([a-z2-9-]{14})</code>", shown)
    assert len(codes) == 10
    assert codes[0] not in browser.get("/portal/two-factor").content.decode()

    clock.shift(60)
    fresh = Browser(enforce_csrf_checks=True)
    step = fresh.sign_in(to="/portal/password")
    assert step["Location"] == "/portal/sign-in?next=%2Fportal%2Fpassword"
    assert fresh.get("/portal/").status_code == 302, "the password alone is not enough"
    assert fresh.fill(step["Location"], code="000000").status_code == 401
    clock.shift(60)
    done = fresh.fill(step["Location"], code=code_of(device), next="/portal/password")
    assert done["Location"] == "/portal/password"
    assert fresh.get("/portal/").status_code == 200


def test_recovery_code_replaces_a_code(browser, person):
    _device, codes = enrol(person)
    browser.sign_in()
    assert browser.fill("/portal/sign-in", code=codes[0])["Location"] == "/portal/"
    assert "9 recovery codes" in browser.get("/portal/two-factor").content.decode()


def test_wrong_codes_lock_the_account(browser, person, clock):
    enrol(person)
    browser.sign_in()
    answers = []
    for _attempt in range(5):
        clock.shift(60)
        answers.append(browser.fill("/portal/sign-in", code="000000").status_code)
    assert answers[:4] == [401] * 4
    assert answers[4] == 429


def test_code_must_follow_within_five_minutes(browser, person, clock):
    device, _codes = enrol(person)
    browser.sign_in()
    page = browser.get("/portal/sign-in")
    clock.shift(301)
    late = browser.send(page, "/portal/sign-in", code=code_of(device))
    assert late.status_code == 302
    assert browser.get("/portal/").status_code == 302


def test_code_is_refused_after_a_password_change(browser, person, clock):
    device, _codes = enrol(person)
    clock.shift(60)
    browser.sign_in()
    page = browser.get("/portal/sign-in")
    person.set_password(NEW_PASSWORD)
    person.save()
    browser.send(page, "/portal/sign-in", code=code_of(device))
    assert browser.get("/portal/").status_code == 302


def test_older_sessions_must_pass_the_new_second_factor(browser, person, clock):
    browser.sign_in()
    device, _codes = enrol(person)
    clock.shift(60)
    redirect = browser.get("/portal/")
    assert redirect["Location"].startswith("/portal/sign-in")
    assert browser.fill(redirect["Location"], code=code_of(device), next="/portal/")["Location"] == "/portal/"
    assert browser.get("/portal/").status_code == 200


@pytest.mark.django_db(transaction=True)
def test_removal_of_the_second_factor_needs_a_code(browser, person, clock):
    device, codes = enrol(person)
    browser.sign_in()
    browser.fill("/portal/sign-in", code=codes[0])
    clock.shift(60)
    browser.fill("/portal/two-factor", step="remove", code="000000")
    assert TOTPDevice.objects.exists()
    clock.shift(60)
    browser.fill("/portal/two-factor", step="remove", code=code_of(device))
    assert not TOTPDevice.objects.exists()
    mail.wait_until_sent()
    assert "off" in outgoing.outbox[-1].subject


def test_staff_without_second_factor_set_it_up_before_the_admin(browser, staff, clock):
    step = browser.sign_in("ops", to="/admin/")["Location"]
    assert step == "/portal/two-factor?next=%2Fadmin%2F"
    browser.fill(step, step="begin", next="/admin/")
    clock.shift(60)
    shown = browser.fill(step, step="confirm", code=code_of(TOTPDevice.objects.get()), next="/admin/")
    assert 'href="/admin/"' in shown.content.decode()
    assert browser.get("/portal/sign-in?next=/admin/")["Location"] == "/admin/"
    assert "otp_device_id" in browser.session


def test_staff_with_second_factor_reach_the_admin_verified(browser, staff, clock):
    device, _codes = enrol(staff)
    clock.shift(60)
    step = browser.sign_in("ops", to="/admin/?q=1")["Location"]
    assert browser.fill(step, code=code_of(device), next="/admin/?q=1")["Location"] == "/admin/?q=1"
    assert browser.session["otp_device_id"] == device.persistent_id


def test_person_who_is_not_staff_is_redirected_to_the_home_page(browser, person):
    assert browser.sign_in(to="/admin/")["Location"] == "/portal/"
    assert browser.get("/portal/sign-in?next=/admin/")["Location"] == "/portal/"
