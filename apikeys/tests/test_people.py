"""Sign-in of people: passwords, codes of the second factor, and locked accounts."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from axes.models import AccessAttempt
from django.db import connection
from django.test import Client, RequestFactory
from django_otp.oath import TOTP
from django_otp.plugins.otp_static.models import StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

from apikeys.http.errors import Conflict, NotAuthenticated, RateLimited
from apikeys.models import Event, SecurityNotice, User
from apikeys.people import second_factor, sign_in

pytestmark = pytest.mark.django_db
PASSWORD = "a good long passphrase"


@pytest.fixture
def person(db):
    return User.objects.create_user("shop@example.com", "shop@example.com", PASSWORD)


def code_of(device):
    """Return the code that an authenticator app shows now."""
    return f"{TOTP(device.bin_key).token():06d}"


def enrol(user):
    """Set up a second factor; return (device, recovery codes)."""
    return second_factor.confirm_enrolment(user, code_of(second_factor.start_enrolment(user)))


def sign_in_person(address="203.0.113.7", email="shop@example.com", password=PASSWORD, otp=""):
    request = RequestFactory().post("/", REMOTE_ADDR=address)
    return sign_in.sign_in_for_tokens(request, email=email, password=password, otp=otp)


def reasons():
    return [event.data["reason"] for event in Event.objects.filter(type="person.sign_in_refused").order_by("id")]


def test_email_address_matches_in_any_case(person):
    for email in ("shop@example.com", "SHOP@example.com"):
        assert sign_in_person(email=email) == person


def test_person_without_email_signs_in_by_user_name():
    staff = User.objects.create_user("staff", None, PASSWORD)
    assert sign_in_person(email="staff") == staff


def test_five_failures_lock_the_account_for_that_address_for_15_minutes(person, clock):
    for _attempt in range(4):
        with pytest.raises(NotAuthenticated):
            sign_in_person(password="wrong")
    with pytest.raises(RateLimited):
        sign_in_person(password="wrong")
    with pytest.raises(RateLimited) as refused:
        sign_in_person()
    assert refused.value.retry_after_s == 900
    assert "15 minutes" in str(refused.value.text)
    assert sign_in_person(address="198.51.100.1") == person
    clock.shift(timedelta(minutes=16))
    assert sign_in_person() == person


def test_attempts_during_a_lock_do_not_extend_it(person, clock):
    for _attempt in range(8):
        with pytest.raises((NotAuthenticated, RateLimited)):
            sign_in_person(password="wrong")
        clock.shift(timedelta(minutes=1))
    clock.shift(timedelta(minutes=12))
    assert sign_in_person() == person


def test_failures_count_for_all_spellings_of_the_address(person):
    for spelling in ("shop@example.com", "Shop@example.com", "SHOP@example.com", "shop@Example.com"):
        with pytest.raises(NotAuthenticated):
            sign_in_person(email=spelling, password="wrong")
    with pytest.raises(RateLimited):
        sign_in_person(email="shop@EXAMPLE.com", password="wrong")


def test_unknown_account_is_locked_in_the_same_way(db):
    for _attempt in range(4):
        with pytest.raises(NotAuthenticated):
            sign_in_person(email="nobody@example.com")
    with pytest.raises(RateLimited):
        sign_in_person(email="nobody@example.com")


def test_success_resets_the_count(person):
    for _round in range(2):
        for _attempt in range(4):
            with pytest.raises(NotAuthenticated):
                sign_in_person(password="wrong")
        assert sign_in_person() == person


def test_token_endpoint_reports_a_locked_account(person):
    def request_token():
        body = {"email": "shop@example.com", "password": "wrong"}
        return Client().post("/api/v1/auth/token", body, content_type="application/json")

    responses = [request_token() for _attempt in range(6)]
    assert [response.status_code for response in responses] == [401] * 4 + [429] * 2
    assert responses[-1].json()["error"] == "rate_limited"
    assert responses[-1]["Retry-After"] == "900"


def test_refusals_are_recorded_with_reason_and_without_email(person):
    with pytest.raises(NotAuthenticated):
        sign_in_person(password="wrong-CANARY")
    with pytest.raises(NotAuthenticated):
        sign_in_person(email="nobody-CANARY@example.com")
    User.objects.update(is_active=False)
    with pytest.raises(NotAuthenticated):
        sign_in_person()
    assert reasons() == ["wrong_password", "wrong_password", "inactive"]
    stored = str(list(Event.objects.values())) + str(list(AccessAttempt.objects.values()))
    assert "CANARY" not in stored
    assert "shop@" not in str(list(Event.objects.values()))


def test_sign_in_is_recorded(person):
    sign_in_person()
    event = Event.objects.get(type="person.signed_in")
    assert (event.subject_id, event.data) == (person.id, {"how": "token"})


def test_unconfirmed_second_factor_is_not_required(person):
    second_factor.start_enrolment(person)
    assert not second_factor.is_enrolled(person)
    assert second_factor.confirm_enrolment(person, "000000") is None
    assert sign_in_person() == person


def test_second_factor_is_required_after_confirmation(person, clock):
    device, _codes = enrol(person)
    clock.shift(60)
    for wrong in ("", "abc"):
        with pytest.raises(NotAuthenticated):
            sign_in_person(otp=wrong)
    assert "wrong_code" in reasons()
    clock.shift(60)
    assert sign_in_person(otp=code_of(device)) == person


def test_code_works_once(person, clock):
    device, _codes = enrol(person)
    with pytest.raises(NotAuthenticated):  # the code that confirmed the device is used up
        sign_in_person(otp=code_of(device))
    clock.shift(60)
    used = code_of(device)
    assert sign_in_person(otp=used) == person
    clock.shift(5)
    with pytest.raises(NotAuthenticated):
        sign_in_person(otp=used)


@pytest.mark.django_db(transaction=True)
def test_concurrent_uses_of_a_code_succeed_once(person, clock):
    _device, codes = enrol(person)

    def match(code):
        try:
            return second_factor.match_code(person, code) is not None
        finally:
            connection.close()

    for code in (lambda: codes[0], lambda: code_of(TOTPDevice.objects.get())):
        clock.shift(600)
        with ThreadPoolExecutor(4) as pool:
            assert sorted(pool.map(match, [code()] * 8)) == [False] * 7 + [True]


def test_wrong_codes_lock_the_account(person, clock):
    device, _codes = enrol(person)
    clock.shift(60)
    for _attempt in range(4):
        with pytest.raises(NotAuthenticated):
            sign_in_person(otp="000000")
    with pytest.raises(RateLimited):
        sign_in_person(otp="000000")
    clock.shift(300)
    with pytest.raises(RateLimited):
        sign_in_person(otp=code_of(device))
    assert reasons()[-1] == "locked"


def test_recovery_codes_work_once_in_any_case_and_grouping(person, clock):
    _device, codes = enrol(person)
    assert len(set(codes)) == 10
    assert all(re.fullmatch(r"[a-z2-9]{4}-[a-z2-9]{4}-[a-z2-9]{4}", code) for code in codes)
    assert sign_in_person(otp=codes[0]) == person
    assert sign_in_person(otp=codes[1].upper().replace("-", " ")) == person
    assert second_factor.recovery_codes_left(person) == 8
    with pytest.raises(NotAuthenticated):
        sign_in_person(otp=codes[0])


def test_recovery_codes_are_not_stored(person):
    _device, codes = enrol(person)
    stored = "".join(StaticToken.objects.values_list("token", flat=True)).lower()
    assert not any(code in stored or code.replace("-", "") in stored for code in codes)


def test_recovery_code_of_another_person_is_refused(person):
    enrol(person)
    _device, codes = enrol(User.objects.create_user("other", "other@example.com", PASSWORD))
    assert second_factor.match_code(person, codes[0]) is None


def test_person_has_one_second_factor(person):
    first = second_factor.start_enrolment(person)
    second = second_factor.start_enrolment(person)
    assert first.key != second.key
    assert list(TOTPDevice.objects.all()) == [second]
    second_factor.confirm_enrolment(person, code_of(second))
    with pytest.raises(Conflict):
        second_factor.start_enrolment(person)
    with pytest.raises(Conflict):
        second_factor.confirm_enrolment(person, code_of(second))


def test_set_up_and_removal_are_recorded_and_send_notices(person):
    enrol(person)
    second_factor.remove(person)
    assert sign_in_person() == person
    events = Event.objects.filter(type="person.two_factor_changed").order_by("id")
    assert [event.data for event in events] == [{"enabled": True}, {"enabled": False}]
    assert SecurityNotice.objects.filter(event__in=events).count() == 2
