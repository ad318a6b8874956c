"""Proving who one is: a password, a code that works once, and a lock after too many wrong ones."""

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
    """What an authenticator shows now."""
    return f"{TOTP(device.bin_key).token():06d}"


def enrol(user):
    """(device, recovery codes) of a person with a confirmed second factor."""
    return second_factor.confirm_enrolment(user, code_of(second_factor.start_enrolment(user)))


def attempt(address="203.0.113.7", email="shop@example.com", password=PASSWORD, otp=""):
    request = RequestFactory().post("/", REMOTE_ADDR=address)
    return sign_in.sign_in_for_tokens(request, email=email, password=password, otp=otp)


def reasons():
    return [event.data["reason"] for event in Event.objects.filter(type="person.sign_in_refused").order_by("id")]


@pytest.mark.parametrize("name", ["shop@example.com", "SHOP@example.com"])
def test_the_address_is_taken_in_any_case(person, name):
    assert attempt(email=name) == person


def test_people_without_an_address_sign_in_by_their_user_name():
    staff = User.objects.create_user("staff", None, PASSWORD)
    assert attempt(email="staff") == staff


def test_five_failures_lock_the_account_for_that_address_and_a_quarter_of_an_hour(person, clock):
    for _attempt in range(4):
        with pytest.raises(NotAuthenticated):
            attempt(password="wrong")
    with pytest.raises(RateLimited):
        attempt(password="wrong")
    with pytest.raises(RateLimited) as refused:
        attempt()
    assert refused.value.retry_after_s == 900
    assert "15 minutes" in str(refused.value.text)
    assert attempt(address="198.51.100.1") == person
    clock.shift(timedelta(minutes=16))
    assert attempt() == person


def test_trying_on_does_not_prolong_a_lock(person, clock):
    for _attempt in range(8):
        with pytest.raises((NotAuthenticated, RateLimited)):
            attempt(password="wrong")
        clock.shift(timedelta(minutes=1))
    clock.shift(timedelta(minutes=12))
    assert attempt() == person


def test_other_spellings_of_the_account_are_no_further_guesses(person):
    for spelling in ("shop@example.com", "Shop@example.com", "SHOP@example.com", "shop@Example.com"):
        with pytest.raises(NotAuthenticated):
            attempt(email=spelling, password="wrong")
    with pytest.raises(RateLimited):
        attempt(email="shop@EXAMPLE.com", password="wrong")


def test_an_account_that_does_not_exist_is_locked_alike(db):
    for _attempt in range(4):
        with pytest.raises(NotAuthenticated):
            attempt(email="nobody@example.com")
    with pytest.raises(RateLimited):
        attempt(email="nobody@example.com")


def test_success_starts_the_count_afresh(person):
    for _round in range(2):
        for _attempt in range(4):
            with pytest.raises(NotAuthenticated):
                attempt(password="wrong")
        assert attempt() == person


def test_a_lock_holds_for_tokens_and_says_so(person):
    def ask():
        body = {"email": "shop@example.com", "password": "wrong"}
        return Client().post("/api/v1/auth/token", body, content_type="application/json")

    answers = [ask() for _attempt in range(6)]
    assert [answer.status_code for answer in answers] == [401] * 4 + [429] * 2
    assert answers[-1].json()["error"] == "rate_limited"
    assert answers[-1]["Retry-After"] == "900"


def test_refusals_are_on_record_with_their_reason_and_nobodys_address(person):
    with pytest.raises(NotAuthenticated):
        attempt(password="wrong-CANARY")
    with pytest.raises(NotAuthenticated):
        attempt(email="nobody-CANARY@example.com")
    User.objects.update(is_active=False)
    with pytest.raises(NotAuthenticated):
        attempt()
    assert reasons() == ["wrong_password", "wrong_password", "inactive"]
    told = str(list(Event.objects.values())) + str(list(AccessAttempt.objects.values()))
    assert "CANARY" not in told
    assert "shop@" not in str(list(Event.objects.values()))


def test_signing_in_is_on_record(person):
    attempt()
    event = Event.objects.get(type="person.signed_in")
    assert (event.subject_id, event.data) == (person.id, {"how": "token"})


def test_nothing_counts_before_a_code_has_confirmed_it(person):
    second_factor.start_enrolment(person)
    assert not second_factor.is_enrolled(person)
    assert second_factor.confirm_enrolment(person, "000000") is None
    assert attempt() == person


def test_with_a_second_factor_the_password_alone_does_not_do(person, clock):
    device, _codes = enrol(person)
    clock.shift(60)
    for wrong in ("", "abc"):
        with pytest.raises(NotAuthenticated):
            attempt(otp=wrong)
    assert "wrong_code" in reasons()
    clock.shift(60)
    assert attempt(otp=code_of(device)) == person


def test_a_code_does_not_work_twice(person, clock):
    device, _codes = enrol(person)
    with pytest.raises(NotAuthenticated):  # the one that confirmed it is used up as well
        attempt(otp=code_of(device))
    clock.shift(60)
    used = code_of(device)
    assert attempt(otp=used) == person
    clock.shift(5)
    with pytest.raises(NotAuthenticated):
        attempt(otp=used)


@pytest.mark.django_db(transaction=True)
def test_of_many_with_the_same_code_at_once_one_gets_in(person, clock):
    _device, codes = enrol(person)

    def one(code):
        try:
            return second_factor.match_code(person, code) is not None
        finally:
            connection.close()

    for code in (lambda: codes[0], lambda: code_of(TOTPDevice.objects.get())):
        clock.shift(600)
        with ThreadPoolExecutor(4) as pool:
            assert sorted(pool.map(one, [code()] * 8)) == [False] * 7 + [True]


def test_wrong_codes_lock_like_wrong_passwords(person, clock):
    device, _codes = enrol(person)
    clock.shift(60)
    for _attempt in range(4):
        with pytest.raises(NotAuthenticated):
            attempt(otp="000000")
    with pytest.raises(RateLimited):
        attempt(otp="000000")
    clock.shift(300)
    with pytest.raises(RateLimited):
        attempt(otp=code_of(device))
    assert reasons()[-1] == "locked"


def test_each_recovery_code_works_once_however_it_is_typed(person, clock):
    _device, codes = enrol(person)
    assert len(set(codes)) == 10
    assert all(re.fullmatch(r"[a-z2-9]{4}-[a-z2-9]{4}-[a-z2-9]{4}", code) for code in codes)
    assert attempt(otp=codes[0]) == person
    assert attempt(otp=codes[1].upper().replace("-", " ")) == person
    assert second_factor.recovery_codes_left(person) == 8
    with pytest.raises(NotAuthenticated):
        attempt(otp=codes[0])


def test_no_recovery_code_lies_in_the_database(person):
    _device, codes = enrol(person)
    kept = "".join(StaticToken.objects.values_list("token", flat=True)).lower()
    assert not any(code in kept or code.replace("-", "") in kept for code in codes)


def test_anothers_recovery_code_opens_nothing(person):
    enrol(person)
    _device, codes = enrol(User.objects.create_user("other", "other@example.com", PASSWORD))
    assert second_factor.match_code(person, codes[0]) is None


def test_one_second_factor_at_a_time(person):
    first = second_factor.start_enrolment(person)
    second = second_factor.start_enrolment(person)
    assert first.key != second.key
    assert list(TOTPDevice.objects.all()) == [second]
    second_factor.confirm_enrolment(person, code_of(second))
    for again in (
        lambda: second_factor.start_enrolment(person),
        lambda: second_factor.confirm_enrolment(person, code_of(second)),
    ):
        with pytest.raises(Conflict):
            again()


def test_switching_it_on_and_off_is_told(person):
    enrol(person)
    second_factor.remove(person)
    assert attempt() == person
    events = Event.objects.filter(type="person.two_factor_changed").order_by("id")
    assert [event.data for event in events] == [{"enabled": True}, {"enabled": False}]
    assert SecurityNotice.objects.filter(event__in=events).count() == 2
