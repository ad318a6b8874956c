"""Members and invitations: permissions, events, concurrency, and the last owner."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.core import mail
from django.db import connection
from django.test import Client
from django.utils import timezone

from apikeys.http.errors import Conflict, NotFound, PermissionRefused
from apikeys.models import Event, Invitation, Membership, Merchant, User
from apikeys.models.scopes import OF_ROLES
from apikeys.people import access_tokens, memberships, second_factor
from apikeys.tests.test_people import code_of

pytestmark = pytest.mark.django_db
PASSWORD = "a good long passphrase"
NEW = {"name": "Jane Smith", "password": "another good passphrase"}


@pytest.fixture
def member(merchant):
    """``member(role, email)``: create a person who is a member of the merchant."""

    def make(role="owner", email="shop@example.com", of=merchant):
        user = User.objects.create_user(email, email, PASSWORD)
        return Membership.objects.create(merchant=of, user=user, role=role)

    return make


@pytest.fixture
def owner(member):
    return member()


class Caller:
    """Sends JSON requests as a member: ``caller.get("members")``."""

    def __init__(self, membership, mode="test"):
        access = access_tokens.issue_tokens(membership.user, membership, mode).access
        self.headers = {"Authorization": f"Bearer {access}"}

    def __getattr__(self, method):
        def call(path, body=None, **headers):
            send = getattr(Client(), method)
            return send(f"/api/v1/{path}", body or {}, content_type="application/json", headers=self.headers | headers)

        return call


def invite(owner, **body):
    return Caller(owner).post("members/invitations", {"email": "jane.smith@example.com", "role": "operator"} | body)


def mailed_token():
    return re.search(r"/portal/invitation/(\S+)", mail.outbox[-1].body)[1]


def run_concurrently(calls):
    def run(call):
        try:
            return call()
        except (Conflict, NotFound) as error:
            return error.code
        finally:
            connection.close()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def test_list_has_members_with_roles_and_open_invitations(owner, member):
    viewer = member("viewer", "view@example.com")
    second_factor.confirm_enrolment(viewer.user, code_of(second_factor.start_enrolment(viewer.user)))
    invite(owner)
    body = Caller(owner).get("members").json()
    shown = [(row["email"], row["role"], row["two_factor"]) for row in body["members"]]
    assert shown == [("view@example.com", "viewer", True), ("shop@example.com", "owner", False)]
    assert body["members"][0]["id"] == str(viewer.id)
    assert [(row["email"], row["role"]) for row in body["invitations"]] == [("jane.smith@example.com", "operator")]
    assert body["pagination"]["has_more"] is False


def test_only_owners_manage_members(owner, member):
    for role in ("developer", "operator", "viewer"):
        caller = Caller(member(role, f"{role}@example.com"))
        for response in (
            caller.get("members"),
            caller.post("members/invitations", {"email": "x@example.com", "role": "viewer"}),
            caller.put(f"members/{owner.id}", {"role": "viewer"}),
            caller.delete(f"members/{owner.id}"),
        ):
            assert (response.status_code, response.json()["error"]) == (403, "permission_denied"), role


def test_api_key_cannot_manage_members(owner, api):
    assert api.get("/api/v1/members").status_code == 403
    assert api.post("/api/v1/members/invitations", {"email": "x@example.com", "role": "viewer"}).status_code == 403


def test_role_with_more_scopes_cannot_be_granted(owner, merchant):
    granted = OF_ROLES["developer"]
    with pytest.raises(PermissionRefused):
        memberships.invite(merchant, email="x@example.com", role="owner", by=owner.user, granted=granted)


def test_members_of_another_merchant_are_not_found(owner, member):
    other = Merchant.objects.create(name="Other", slug="other")
    caller = Caller(member("owner", "other@example.com", of=other))
    assert caller.put(f"members/{owner.id}", {"role": "viewer"}).status_code == 404
    assert caller.put(f"members/{owner.id}").status_code == 404
    assert caller.delete(f"members/{owner.id}").status_code == 404
    assert [row["email"] for row in caller.get("members").json()["members"]] == ["other@example.com"]


def test_changed_role_is_recorded_and_applies_immediately(owner, member):
    row = member("viewer", "view@example.com")
    changed = Caller(owner).put(f"members/{row.id}", {"role": "developer"})
    assert (changed.status_code, changed.json()["role"]) == (200, "developer")
    assert Caller(row).get("api-keys").status_code == 200
    event = Event.objects.get(type="member.changed")
    assert event.data == {"person": str(row.user_id), "role": {"before": "viewer", "after": "developer"}}
    assert (event.actor, event.merchant_id) == (f"person:{owner.user_id}", owner.merchant_id)
    Caller(owner).put(f"members/{row.id}", {"role": "developer"})
    assert Event.objects.filter(type="member.changed").count() == 1


def test_removed_member_is_refused_on_the_next_request(owner, member):
    row = member("developer", "dev@example.com")
    caller = Caller(row)
    assert caller.get("api-keys").status_code == 200
    assert Caller(owner).delete(f"members/{row.id}").status_code == 204
    assert caller.get("api-keys").status_code == 401
    assert Caller(owner).delete(f"members/{row.id}").status_code == 404
    assert Event.objects.get(type="member.removed").data == {"person": str(row.user_id), "role": "developer"}


def test_invalid_role_is_reported(owner, member):
    row = member("viewer", "view@example.com")
    for body in ({}, {"role": "emperor"}, {"role": None}, {"role": 1}):
        refused = Caller(owner).put(f"members/{row.id}", body)
        assert (refused.status_code, set(refused.json()["details"])) == (400, {"role"}), body


def test_last_active_owner_stays(owner, member):
    member("developer", "dev@example.com")
    inactive = member("owner", "inactive@example.com")
    User.objects.filter(id=inactive.user_id).update(is_active=False)
    for response in (
        Caller(owner).put(f"members/{owner.id}", {"role": "viewer"}),
        Caller(owner).delete(f"members/{owner.id}"),
    ):
        assert (response.status_code, response.json()["error"]) == (409, "conflict")
    assert Membership.objects.get(id=owner.id).role == "owner"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("how", ["remove", "demote"])
def test_one_owner_stays_when_all_leave_run_concurrently(owner, member, tenant, how):
    rows = [owner, *(member("owner", f"owner{number}@example.com") for number in range(3))]

    def leave(row):
        if how == "remove":
            return memberships.remove_member(tenant, row.id, granted=OF_ROLES["owner"])
        memberships.change_role(tenant, row.id, role="viewer", granted=OF_ROLES["owner"])
        return None

    outcomes = run_concurrently([lambda row=row: leave(row) for row in rows])
    assert sorted(str(outcome) for outcome in outcomes) == ["None"] * 3 + ["conflict"]
    assert Membership.objects.filter(role="owner").count() == 1


def test_invitation_is_mailed_and_its_token_is_not_stored(owner, settings):
    settings.PUBLIC_URL = "https://waybill.example.com/"
    response = invite(owner, email="Jane.Smith@Example.com")
    assert response.status_code == 201
    assert response.json()["email"] == "jane.smith@example.com"
    assert mail.outbox[-1].to == ["jane.smith@example.com"]
    assert "Acme" in mail.outbox[-1].subject
    assert "https://waybill.example.com/portal/invitation/" in mail.outbox[-1].body
    token = mailed_token()
    stored = str(list(Invitation.objects.values())) + str(list(Event.objects.values()))
    assert token not in stored + response.content.decode()
    event = Event.objects.get(type="member.invited")
    assert event.data == {"role": "operator"}
    assert "smith" not in str(event.data)


def test_invalid_invitations_are_reported_by_field(owner):
    too_long = "x" * 300 + "@example.com"
    for body in ({"email": "not an address"}, {"email": ""}, {"role": "emperor"}, {"email": too_long}):
        refused = invite(owner, **body)
        assert (refused.status_code, set(refused.json()["details"])) == (400, set(body))
    assert not mail.outbox


def test_member_cannot_be_invited(owner):
    assert invite(owner, email="SHOP@example.com").status_code == 409


def test_new_invitation_replaces_the_earlier_one(owner):
    invite(owner)
    first = mailed_token()
    invite(owner, role="viewer")
    with pytest.raises(NotFound):
        memberships.get_open_invitation(first)
    assert memberships.get_open_invitation(mailed_token()).role == "viewer"
    assert Invitation.objects.count() == 1


def test_repeated_request_sends_one_mail(owner):
    caller, body = Caller(owner), {"email": "jane.smith@example.com", "role": "viewer"}
    responses = [caller.post("members/invitations", body, **{"Idempotency-Key": "one"}) for _ in range(3)]
    assert {(response.status_code, response.content) for response in responses} == {(201, responses[0].content)}
    assert len(mail.outbox) == 1


def test_mail_failure_is_reported(owner, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    refused = invite(owner)
    assert (refused.status_code, refused.json()["error"]) == (503, "unavailable")


@pytest.mark.django_db(transaction=True)
def test_concurrent_acceptances_succeed_once(owner):
    invite(owner)
    token = mailed_token()
    outcomes = run_concurrently([lambda: memberships.accept_as_new_person(token, **NEW)] * 6)
    assert sorted(outcome for outcome in outcomes if isinstance(outcome, str)) == ["not_found"] * 5
    assert User.objects.filter(email="jane.smith@example.com").count() == 1
    assert Event.objects.filter(type="member.joined").count() == 1


@pytest.mark.django_db(transaction=True)
def test_invitations_of_two_merchants_accepted_at_once_create_one_person(owner, member):
    other = Merchant.objects.create(name="Other", slug="other")
    second = member("owner", "other@example.com", of=other)
    links = []
    for one in (owner, second):
        invite(one)
        links.append(mailed_token())
    run_concurrently([lambda token=token: memberships.accept_as_new_person(token, **NEW) for token in links])
    person = User.objects.get(email="jane.smith@example.com")
    left = [token for token in links if Invitation.objects.filter(accepted_at=None).exists()]
    for token in left:  # the second attempt found the account: the person signs in and accepts
        try:
            memberships.accept_invitation(token, person)
        except NotFound:
            continue
    assert person.membership_set.count() == 2


def test_invitation_is_only_for_its_address(owner, member):
    invite(owner)
    other = User.objects.create_user("other", "other@example.com", PASSWORD)
    with pytest.raises(PermissionRefused):
        memberships.accept_invitation(mailed_token(), other)
    invited = User.objects.create_user("jane", "Jane.Smith@example.com", PASSWORD)
    assert memberships.accept_invitation(mailed_token(), invited).role == "operator"


def test_invitation_expires(owner, time_machine):
    invite(owner)
    token = mailed_token()
    time_machine.move_to(timezone.now() + timedelta(days=7, minutes=1))
    with pytest.raises(NotFound):
        memberships.accept_as_new_person(token, **NEW)


def test_invitation_of_an_inactive_merchant_is_not_found(owner):
    invite(owner)
    Merchant.objects.update(is_active=False)
    with pytest.raises(NotFound):
        memberships.get_open_invitation(mailed_token())


@pytest.mark.parametrize("change", ["remove", "demote"])
def test_invitations_by_a_former_owner_are_withdrawn(owner, member, tenant, change):
    second = member("owner", "second@example.com")
    invite(second)
    if change == "remove":
        memberships.remove_member(tenant, second.id, granted=OF_ROLES["owner"])
    else:
        memberships.change_role(tenant, second.id, role="developer", granted=OF_ROLES["owner"])
    with pytest.raises(NotFound):
        memberships.get_open_invitation(mailed_token())


def test_members_are_the_same_in_both_modes(owner):
    assert Caller(owner, "live").get("members").json() == Caller(owner, "test").get("members").json()


def test_member_changes_count_as_sensitive(owner, settings, clock):
    settings.SENSITIVE_RATES = ["1/m"]
    caller = Caller(owner)
    body = {"email": "jane.smith@example.com", "role": "viewer"}
    assert [caller.post("members/invitations", body).status_code for _ in range(2)] == [201, 429]
    assert caller.get("members").status_code == 200
