"""Access and refresh tokens of people: expiry, single use, and permissions read from the membership."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import jwt
import pytest
from django.conf import settings as django_settings
from django.db import connection
from django.test import Client
from django.utils import timezone
from rest_framework_simplejwt.token_blacklist.models import OutstandingToken

from apikeys.models import Event, Membership, Merchant, User
from apikeys.people import access_tokens

pytestmark = pytest.mark.django_db
PASSWORD = "a good long passphrase"


@pytest.fixture
def member(merchant):
    """``member(role)``: create a person who is a member of the merchant."""

    def make(role="owner", email="shop@example.com"):
        user = User.objects.create_user(email, email, PASSWORD)
        return Membership.objects.create(merchant=merchant, user=user, role=role)

    return make


def post(path, **body):
    return Client().post(f"/api/v1/auth/{path}", body, content_type="application/json")


def sign_in(**changes):
    return post("token", **({"email": "shop@example.com", "password": PASSWORD} | changes))


def get(path, access):
    return Client().get(f"/api/v1/{path}", headers={"Authorization": f"Bearer {access}"})


def test_member_signs_in_and_has_the_scopes_of_the_role(member):
    member("viewer")
    response = sign_in()
    assert response.status_code == 200
    assert response["Cache-Control"] == "no-store"
    body = response.json()
    assert {name: body[name] for name in ("token_type", "expires_in", "merchant", "role", "mode")} == {
        "token_type": "Bearer",
        "expires_in": 900,
        "merchant": "acme",
        "role": "viewer",
        "mode": "test",
    }
    assert get("shipments", body["access"]).status_code == 200
    assert get("api-keys", body["access"]).status_code == 403


def test_unknown_person_and_wrong_password_get_the_same_response(member):
    member()
    for wrong in ({"password": "wrong"}, {"email": "nobody@example.com"}):
        response = sign_in(**wrong)
        assert (response.status_code, response.json() | {"correlation_id": ""}) == (
            401,
            {"error": "not_authenticated", "message": "Authentication failed.", "details": {}, "correlation_id": ""},
        )


def test_blanks_and_a_code_without_second_factor_are_ignored(member):
    member()
    for extra in ({"email": "shop@example.com "}, {"otp": "123456"}):
        assert sign_in(**extra).status_code == 200, extra


def test_invalid_input_is_reported_by_field(member):
    for body in ({}, {"email": "shop@example.com"}, {"email": 1, "password": "x"}, {"mode": "prod"}):
        refused = post("token", **body)
        assert refused.status_code == 400, body
        assert set(refused.json()["details"]) <= {"email", "password", "mode"}


def test_access_token_expires_after_15_minutes(member, time_machine):
    member()
    time_machine.move_to(timezone.now())
    pair = sign_in().json()
    time_machine.shift(timedelta(minutes=14))
    assert get("shipments", pair["access"]).status_code == 200
    time_machine.shift(timedelta(minutes=2))
    assert get("shipments", pair["access"]).status_code == 401
    assert post("token/refresh", refresh=pair["refresh"]).status_code == 200


def test_refresh_token_works_once_and_not_after_logout(member):
    member()
    first = sign_in().json()
    second = post("token/refresh", refresh=first["refresh"]).json()
    assert get("shipments", second["access"]).status_code == 200
    assert post("token/refresh", refresh=first["refresh"]).status_code == 401
    assert post("token/logout", refresh=second["refresh"]).status_code == 204
    assert post("token/refresh", refresh=second["refresh"]).status_code == 401
    assert post("token/logout", refresh="nonsense").status_code == 204


@pytest.mark.django_db(transaction=True)
def test_concurrent_refreshes_succeed_once(member):
    member()
    refresh = sign_in().json()["refresh"]

    def refresh_once(_):
        try:
            return post("token/refresh", refresh=refresh).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(refresh_once, range(16))) == [200] + [401] * 15


def test_reused_refresh_token_raises_an_alarm(member):
    member()
    refresh = sign_in().json()["refresh"]
    post("token/refresh", refresh=refresh)
    post("token/refresh", refresh=refresh)
    assert Event.objects.filter(type="person.refresh_token_reused").count() == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda row: row.delete(),
        lambda row: User.objects.update(is_active=False),
        lambda row: Merchant.objects.update(is_active=False),
        lambda row: (row.user.set_password("another good passphrase"), row.user.save()),
    ],
    ids=["membership ended", "person inactive", "merchant inactive", "password changed"],
)
def test_tokens_end_with_membership_person_merchant_and_password(member, change):
    row = member()
    pair = sign_in().json()
    assert get("shipments", pair["access"]).status_code == 200
    change(row)
    assert get("shipments", pair["access"]).status_code == 401
    assert post("token/refresh", refresh=pair["refresh"]).status_code == 401


def test_changed_role_applies_to_the_next_request(member):
    row = member("owner")
    access = sign_in().json()["access"]
    assert get("api-keys", access).status_code == 200
    Membership.objects.filter(id=row.id).update(role="operator")
    assert get("api-keys", access).status_code == 403


def test_member_of_several_merchants_must_name_one(member):
    row = member()
    other = Merchant.objects.create(name="Other", slug="other")
    Membership.objects.create(merchant=other, user=row.user, role="viewer")
    refused = sign_in()
    assert refused.status_code == 400
    assert "acme, other" in refused.json()["details"]["merchant"][0]
    assert sign_in(merchant="other").json()["role"] == "viewer"
    assert sign_in(merchant="nobody").status_code == 403


def test_token_reads_only_its_own_mode(member, merchant):
    member()
    access = {mode: sign_in(mode=mode).json()["access"] for mode in ("test", "live")}
    headers = {"Authorization": f"Bearer {access['live']}"}
    response = Client().post("/api/v1/api-keys", {"name": "mine"}, content_type="application/json", headers=headers)
    created = response.json()
    assert created["key"].startswith("wb_live_")
    assert get(f"api-keys/{created['id']}", access["test"]).status_code == 404
    assert get(f"api-keys/{created['id']}", access["live"]).status_code == 200


def test_forged_tokens_are_refused(member):
    row = member()
    pair = sign_in().json()
    claims = jwt.decode(pair["access"], options={"verify_signature": False})
    forged = [
        jwt.encode(claims, None, algorithm="none"),
        jwt.encode(claims, "x" * 32, algorithm="HS256"),
        jwt.encode(claims | {"mode": "prod"}, django_settings.SECRET_KEY, algorithm="HS256"),
        jwt.encode(claims | {"merchant": str(row.user_id)}, django_settings.SECRET_KEY, algorithm="HS256"),
        jwt.encode(claims | {"token_type": "refresh"}, django_settings.SECRET_KEY, algorithm="HS256"),
        jwt.encode({"exp": claims["exp"]}, django_settings.SECRET_KEY, algorithm="HS256"),
        pair["refresh"],
        pair["access"][:-4] + "AAAA",
    ]
    for token in forged:
        assert get("shipments", token).status_code == 401, token
    assert post("token/refresh", refresh=pair["access"]).status_code == 401


def test_tokens_are_not_stored(member):
    member()
    pair = sign_in().json()
    stored = str(list(OutstandingToken.objects.values()))
    assert pair["refresh"] not in stored
    assert pair["refresh"].rpartition(".")[2] not in stored


def test_all_tokens_of_a_person_can_be_revoked(member):
    row = member()
    pairs = [sign_in().json() for _ in range(3)]
    access_tokens.revoke_all_tokens(row.user)
    assert {post("token/refresh", refresh=pair["refresh"]).status_code for pair in pairs} == {401}


def test_person_without_a_merchant_gets_no_token():
    User.objects.create_user("staff", "staff@example.com", PASSWORD, is_staff=True)
    assert sign_in(email="staff").status_code == 403
