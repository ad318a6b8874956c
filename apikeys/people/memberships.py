"""Who belongs to a merchant: invitations, roles, and the end of a membership."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import uuid

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apikeys.audit import events, security
from apikeys.db.tenancy import Mode, Tenant
from apikeys.http.errors import Conflict, NotFound, PermissionRefused
from apikeys.models import Invitation, Membership, Merchant, User
from apikeys.models.scopes import MEMBERS_MANAGE, OF_ROLES

_OWNER = Membership.Role.OWNER
OVER = gettext_lazy("This invitation is not valid any more. Ask for a new one.")


def invite(merchant: Merchant, *, email: str, role: str, by: User, reach: frozenset[str]) -> tuple[Invitation, str]:
    """An open invitation and the token for its link, which is kept nowhere. An earlier one to the address ends.

    ``reach``: the scopes of who invites; nobody gives a role that can do more. Raises ``Conflict`` for a member.
    """
    _check_reach(role, reach)
    email = email.lower()
    token = secrets.token_urlsafe(32)
    with transaction.atomic():
        if Membership.objects.filter(merchant=merchant, user__email__iexact=email).exists():
            raise Conflict(_("This person is a member already."))
        now = timezone.now()
        invitation, _created = Invitation.objects.update_or_create(
            merchant=merchant,
            email=email,
            accepted_at=None,
            defaults={
                "role": role,
                "digest": _digest(token),
                "invited_by": by,
                "created_at": now,
                "expires_at": now + settings.INVITATION_KEEP,
            },
        )
        events.record(
            security.MEMBER_INVITED, tenant=_stream(merchant.id), subject_id=invitation.id, data={"role": role}
        )
    return invitation, token


def open_invitation(token: str) -> Invitation:
    """Raises ``NotFound`` when there is none, or it was accepted, withdrawn, or not accepted in time."""
    found = _open(token).first()
    if found is None:
        raise NotFound(OVER)
    return found


@transaction.atomic
def accept(token: str, user: User) -> Membership:
    """Join as the person that was invited. Raises ``NotFound``; ``PermissionRefused`` for another person."""
    invitation = _held(token)
    if not is_for(invitation, user):
        raise PermissionRefused(_("This invitation is for another e-mail address."))
    return _join(invitation, user)


def accept_as_new(token: str, *, name: str, password: str) -> User:
    """Join as a new person. Raises ``NotFound``; ``Conflict`` where the address belongs to somebody already."""
    hashed = make_password(password)
    try:
        with transaction.atomic():
            invitation = _held(token)
            if User.objects.filter(email__iexact=invitation.email).exists():
                raise Conflict(_("There is an account with this e-mail address already: sign in."))
            user = User.objects.create(
                username=_free_username(invitation.email), email=invitation.email, first_name=name, password=hashed
            )
            _join(invitation, user)
    except IntegrityError as error:  # an invitation of another merchant was accepted in the same moment
        raise Conflict(_("There is an account with this e-mail address already: sign in.")) from error
    return user


def is_for(invitation: Invitation, user: User) -> bool:
    """Whether it was this person that was invited."""
    return (user.email or "").lower() == invitation.email.lower()


def find(tenant: Tenant, member_id: uuid.UUID) -> Membership:
    """Raises ``NotFound``, also for another merchant's member."""
    row = Membership.objects.select_related("user").filter(merchant_id=tenant.merchant_id, id=member_id).first()
    if row is None:
        raise NotFound
    return row


@transaction.atomic
def change_role(tenant: Tenant, member_id: uuid.UUID, *, role: str, reach: frozenset[str]) -> Membership:
    """Raises ``NotFound``; ``Conflict`` for the last owner; ``PermissionRefused`` for what lies beyond ``reach``."""
    row = _locked(tenant, member_id)
    _check_reach(role, reach)
    _check_reach(row.role, reach)
    if row.role == role:
        return row
    _check_another_owner(row)
    before, row.role = row.role, role
    row.save(update_fields=["role"])
    if MEMBERS_MANAGE not in OF_ROLES[role]:
        _withdraw_invitations(row)
    data = {"person": str(row.user_id)} | events.changes({"role": before}, {"role": role})
    events.record(security.MEMBER_CHANGED, tenant=_stream(row.merchant_id), subject_id=row.id, data=data)
    return row


@transaction.atomic
def remove(tenant: Tenant, member_id: uuid.UUID, *, reach: frozenset[str]) -> None:
    """End a membership, and the invitations that the person has sent for it. Raises like ``change_role``."""
    row = _locked(tenant, member_id)
    _check_reach(row.role, reach)
    _check_another_owner(row)
    _withdraw_invitations(row)
    data = {"person": str(row.user_id), "role": row.role}
    events.record(security.MEMBER_REMOVED, tenant=_stream(row.merchant_id), subject_id=row.id, data=data)
    row.delete()


def _open(token: str) -> QuerySet[Invitation]:
    return Invitation.objects.select_related("merchant").filter(
        digest=_digest(token), accepted_at=None, expires_at__gt=timezone.now(), merchant__is_active=True
    )


def _held(token: str) -> Invitation:
    """The invitation, for this transaction alone: whoever waits for it finds it used up."""
    found = _open(token).select_for_update(of=("self",)).first()
    if found is None:
        raise NotFound(OVER)
    return found


def _join(invitation: Invitation, user: User) -> Membership:
    row, is_new = Membership.objects.get_or_create(
        merchant=invitation.merchant, user=user, defaults={"role": invitation.role}
    )
    invitation.accepted_at = timezone.now()
    invitation.save(update_fields=["accepted_at"])
    if is_new:
        data = {"person": str(user.id), "role": row.role, "invitation": str(invitation.id)}
        events.record(security.MEMBER_JOINED, tenant=_stream(row.merchant_id), subject_id=row.id, data=data)
    return row


def _locked(tenant: Tenant, member_id: uuid.UUID) -> Membership:
    """The merchant's row is held first: two that remove each other, the last two owners, take turns."""
    Merchant.objects.select_for_update(no_key=True).get(id=tenant.merchant_id)
    return find(tenant, member_id)


def _check_another_owner(row: Membership) -> None:
    if row.role != _OWNER:
        return
    others = Membership.objects.filter(merchant_id=row.merchant_id, role=_OWNER, user__is_active=True)
    if not others.exclude(id=row.id).exists():
        raise Conflict(_("A merchant keeps at least one owner."))


def _check_reach(role: str, reach: frozenset[str]) -> None:
    if not OF_ROLES[role] <= reach:
        raise PermissionRefused(details={"role": [_("You cannot do what this role can.")]})


def _withdraw_invitations(row: Membership) -> None:
    """Nobody comes back, or brings others, by an invitation that they could not send any more."""
    Invitation.objects.filter(merchant_id=row.merchant_id, invited_by=row.user_id, accepted_at=None).delete()


def _free_username(email: str) -> str:
    taken = len(email) > 150 or User.objects.filter(username__iexact=email).exists()
    return str(uuid.uuid4()) if taken else email


def _stream(merchant_id: uuid.UUID) -> Tenant:
    """People belong to a merchant in both modes; what happens to them stands among its live events."""
    return Tenant(merchant_id, Mode.LIVE)


def _digest(token: str) -> str:
    return hmac.new(settings.API_KEY_PEPPER.encode(), f"invitation:{token}".encode(), hashlib.sha256).hexdigest()
