"""The portal as a person with a browser meets it."""

import logging
import re
from urllib.parse import urlencode

import pytest
from axes.models import AccessAttempt
from django.contrib.sessions.models import Session
from django.core import mail as outgoing
from django.test import Client
from django.urls import reverse
from django_otp.plugins.otp_totp.models import TOTPDevice

from apikeys.audit import mail
from apikeys.models import Event, Membership, Merchant, User
from apikeys.models.scopes import OF_ROLES
from apikeys.people import access_tokens, memberships
from apikeys.tests.test_people import code_of, enrol

pytestmark = [pytest.mark.django_db, pytest.mark.once]
PASSWORD = "a good long passphrase"
NEW_PASSWORD = "another good passphrase"
OTHER_SITES = ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", "evil", "///x", ""]


@pytest.fixture
def person(merchant):
    """An owner of the merchant."""
    user = User.objects.create_user("shop@example.com", "shop@example.com", PASSWORD, first_name="Jane")
    Membership.objects.create(merchant=merchant, user=user, role="owner")
    return user


@pytest.fixture
def staff(db, settings):
    """Operations staff, who need a second factor for the admin."""
    settings.STAFF_TWO_FACTOR = True
    return User.objects.create_superuser("ops", "ops@example.com", PASSWORD)


@pytest.fixture
def browser():
    """Checks CSRF tokens as in real life; ``browser.fill(path, field=…)`` fetches the page and sends its form."""
    return Browser(enforce_csrf_checks=True)


class Browser(Client):
    def fill(self, path, **fields):
        page = self.get(path)
        assert page.status_code == 200, page
        return self.send(page, path, **fields)

    def send(self, page, path, **fields):
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.content.decode())[1]
        return self.post(path.split("?")[0], {"csrfmiddlewaretoken": token} | fields)

    def sign_in(self, email="shop@example.com", password=PASSWORD, to=""):
        return self.fill("/portal/sign-in", email=email, password=password, next=to)


def invitation_for(merchant, email, role="viewer"):
    owner = User.objects.get(email="shop@example.com")
    _row, token = memberships.invite(merchant, email=email, role=role, by=owner, granted=OF_ROLES["owner"])
    return reverse("portal:invitation", args=[token])


def test_home_page_shows_the_person_and_their_merchants(browser, person):
    asked = browser.get("/portal/")
    assert (asked.status_code, asked["Location"]) == (302, "/portal/sign-in?next=%2Fportal%2F")
    assert browser.sign_in()["Location"] == "/portal/"
    page = browser.get("/portal/").content.decode()
    assert all(text in page for text in ("Jane", "shop@example.com", "Acme", "Owner"))
    assert Event.objects.filter(type="person.signed_in", actor=f"person:{person.id}").exists()


def test_other_merchants_are_not_shown(browser, person):
    Merchant.objects.create(name="Other", slug="other")
    browser.sign_in()
    assert "Other" not in browser.get("/portal/").content.decode()


def test_unknown_person_and_wrong_password_get_the_same_page(browser, person):
    def words(**wrong):
        answer = browser.sign_in(**wrong)
        assert answer.status_code == 401
        return re.sub(r'value="[^"]*"', "", answer.content.decode())

    assert words(password="wrong") == words(email="nobody@example.com")
    User.objects.update(is_active=False)
    assert words() == words(password="wrong")


def test_password_is_not_in_responses_logs_or_recorded_attempts(browser, person, caplog):
    caplog.set_level(logging.DEBUG)
    page = browser.sign_in(password="wrong-CANARY").content.decode()
    kept = page + caplog.text + str([record.__dict__ for record in caplog.records])
    assert "CANARY" not in kept + str(list(AccessAttempt.objects.values()))


def test_locked_account_is_explained_on_the_page(browser, person):
    answers = [browser.sign_in(password="wrong") for _attempt in range(5)]
    assert [answer.status_code for answer in answers] == [401] * 4 + [429]
    locked = browser.sign_in()
    assert (locked.status_code, locked["Retry-After"]) == (429, "900")
    assert locked["Content-Type"].startswith("text/html")
    assert "Try again in 15 minutes" in locked.content.decode()


@pytest.mark.parametrize(("rates", "limit"), [("SENSITIVE_RATES", "sensitive"), ("ACCOUNT_RATES", "account")])
def test_attempts_are_limited_by_address_and_by_account(browser, person, settings, clock, rates, limit):
    setattr(settings, rates, ["2/h"])
    answers = [browser.sign_in(password="wrong") for _attempt in range(3)]
    assert [answer.status_code for answer in answers] == [401, 401, 429]
    assert answers[2]["Content-Type"].startswith("text/html")
    assert 0 < int(answers[2]["Retry-After"]) <= 3600
    assert answers[2]["X-RateLimit-Remaining"] == "0"
    assert Event.objects.get(type="rate_limit.exceeded").data["limit"] == limit


def test_pages_count_against_the_public_limit(browser, db, settings, clock):
    settings.PUBLIC_RATES = ["2/m"]
    assert [browser.get("/portal/sign-in").status_code for _ in range(3)] == [200, 200, 429]


@pytest.mark.parametrize("path", OTHER_SITES)
def test_next_ignores_other_sites(browser, person, path):
    assert browser.sign_in(to=path)["Location"] == "/portal/"
    assert browser.get(f"/portal/sign-in?{urlencode({'next': path})}")["Location"] == "/portal/"


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
    assert fresh.get("/portal/").status_code == 302, "the password alone opens nothing"
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
    asked = browser.get("/portal/")
    assert asked["Location"].startswith("/portal/sign-in")
    assert browser.fill(asked["Location"], code=code_of(device), next="/portal/")["Location"] == "/portal/"
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
    answer = browser.get("/portal/invitation/nonsense")
    assert (answer.status_code, answer["Content-Type"]) == (404, "text/html; charset=utf-8")


def test_log_contains_no_invitation_token(browser, person, merchant, caplog):
    caplog.set_level(logging.DEBUG)
    path = invitation_for(merchant, "jane.smith@example.com")
    browser.get(path)
    assert path.rpartition("/")[2] not in caplog.text + str([record.__dict__ for record in caplog.records])


def reset_link(browser, email="shop@example.com"):
    browser.fill("/portal/password-reset", email=email)
    mail.wait_until_sent()
    return re.search(r"http://testserver(/portal/password-reset/\S+)", outgoing.outbox[-1].body)[1]


def test_reset_response_is_the_same_for_every_address(browser, person):
    answers = [browser.fill("/portal/password-reset", email=email) for email in ("shop@example.com", "no@example.com")]
    assert {(answer.status_code, answer["Location"]) for answer in answers} == {(302, "/portal/password-reset/sent")}
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


@pytest.mark.parametrize("weak", ["short", "password123", "shop@example.com"])
def test_weak_passwords_are_refused(browser, person, weak):
    step = browser.get(reset_link(browser))["Location"]
    assert browser.fill(step, new_password1=weak, new_password2=weak).status_code == 200
    assert User.objects.get().check_password(PASSWORD)


def test_password_change_ends_other_sessions(browser, person):
    other = Browser()
    for one in (browser, other):
        one.sign_in()
    form = {"old_password": PASSWORD, "new_password1": NEW_PASSWORD, "new_password2": NEW_PASSWORD}
    assert browser.fill("/portal/password", **form | {"old_password": "wrong"}).status_code == 200
    assert browser.fill("/portal/password", **form).status_code == 302
    assert browser.get("/portal/").status_code == 200
    assert other.get("/portal/").status_code == 302
