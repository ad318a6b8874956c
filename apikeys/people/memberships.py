"""Members of a merchant: invitations, roles, and the end of a membership."""

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
INVITATION_INVALID = gettext_lazy("This invitation is not valid any more. Ask for a new one.")


def invite(merchant: Merchant, *, email: str, role: str, by: User, granted: frozenset[str]) -> tuple[Invitation, str]:
    """Create an invitation; it replaces an open one to the same address.

    Args:
        granted: the scopes of the person who invites. The role may not include more.
    Returns: the invitation and the token for its link, which is stored only as a digest.
    Raises:
        Conflict: the person is a member already.
        PermissionRefused: the role includes scopes that are not in ``granted``.
    """
    _check_role_granted(role, granted)
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
            security.MEMBER_INVITED, tenant=_event_tenant(merchant.id), subject_id=invitation.id, data={"role": role}
        )
    return invitation, token


def get_open_invitation(token: str) -> Invitation:
    """Return the invitation for a token. Raises ``NotFound`` if it was accepted or withdrawn, or has expired."""
    found = _open_invitations(token).first()
    if found is None:
        raise NotFound(INVITATION_INVALID)
    return found


@transaction.atomic
def accept_invitation(token: str, user: User) -> Membership:
    """Make a person with an account a member.

    Raises:
        NotFound: the invitation is not open.
        PermissionRefused: it is for another person.
    """
    invitation = _lock_open_invitation(token)
    if not is_invited(invitation, user):
        raise PermissionRefused(_("This invitation is for another e-mail address."))
    return _join(invitation, user)


def accept_as_new_person(token: str, *, name: str, password: str) -> User:
    """Create an account for the invited person and make them a member.

    Raises:
        NotFound: the invitation is not open.
        Conflict: there is an account with this e-mail address.
    """
    hashed = make_password(password)
    try:
        with transaction.atomic():
            invitation = _lock_open_invitation(token)
            email = invitation.email
            if User.objects.filter(email__iexact=email).exists():
                raise Conflict(_("There is an account with this e-mail address already: sign in."))
            is_taken = len(email) > 150 or User.objects.filter(username__iexact=email).exists()
            username = str(uuid.uuid4()) if is_taken else email
            user = User.objects.create(username=username, email=email, first_name=name, password=hashed)
            _join(invitation, user)
    except IntegrityError as error:  # the person accepted another merchant's invitation at the same moment
        raise Conflict(_("There is an account with this e-mail address already: sign in.")) from error
    return user


def is_invited(invitation: Invitation, user: User) -> bool:
    """Return whether the invitation is for this person."""
    return (user.email or "").lower() == invitation.email.lower()


def get_member(tenant: Tenant, member_id: uuid.UUID) -> Membership:
    """Return a membership of this merchant. Raises ``NotFound``."""
    row = Membership.objects.select_related("user").filter(merchant_id=tenant.merchant_id, id=member_id).first()
    if row is None:
        raise NotFound
    return row


@transaction.atomic
def change_role(tenant: Tenant, member_id: uuid.UUID, *, role: str, granted: frozenset[str]) -> Membership:
    """Change a member's role.

    Args:
        granted: the scopes of the person who changes it. Neither role may include more.
    Raises:
        NotFound: no such member of this merchant.
        Conflict: the member is the last active owner.
        PermissionRefused: the old or the new role includes scopes that are not in ``granted``.
    """
    row = _lock_member(tenant, member_id)
    _check_role_granted(role, granted)
    _check_role_granted(row.role, granted)
    if row.role == role:
        return row
    _check_not_last_owner(row)
    before, row.role = row.role, role
    row.save(update_fields=["role"])
    if MEMBERS_MANAGE not in OF_ROLES[role]:
        _withdraw_invitations(row)
    data = {"person": str(row.user_id)} | events.changes({"role": before}, {"role": role})
    events.record(security.MEMBER_CHANGED, tenant=_event_tenant(row.merchant_id), subject_id=row.id, data=data)
    return row


@transaction.atomic
def remove_member(tenant: Tenant, member_id: uuid.UUID, *, granted: frozenset[str]) -> None:
    """End a membership and withdraw the invitations that the member sent. Raises like ``change_role``."""
    row = _lock_member(tenant, member_id)
    _check_role_granted(row.role, granted)
    _check_not_last_owner(row)
    _withdraw_invitations(row)
    data = {"person": str(row.user_id), "role": row.role}
    events.record(security.MEMBER_REMOVED, tenant=_event_tenant(row.merchant_id), subject_id=row.id, data=data)
    row.delete()


def _open_invitations(token: str) -> QuerySet[Invitation]:
    return Invitation.objects.select_related("merchant").filter(
        digest=_digest(token), accepted_at=None, expires_at__gt=timezone.now(), merchant__is_active=True
    )


def _lock_open_invitation(token: str) -> Invitation:
    """Lock an invitation until the transaction ends: of two concurrent uses, the second finds it accepted."""
    found = _open_invitations(token).select_for_update(of=("self",)).first()
    if found is None:
        raise NotFound(INVITATION_INVALID)
    return found


def _join(invitation: Invitation, user: User) -> Membership:
    row, is_new = Membership.objects.get_or_create(
        merchant=invitation.merchant, user=user, defaults={"role": invitation.role}
    )
    invitation.accepted_at = timezone.now()
    invitation.save(update_fields=["accepted_at"])
    if is_new:
        data = {"person": str(user.id), "role": row.role, "invitation": str(invitation.id)}
        events.record(security.MEMBER_JOINED, tenant=_event_tenant(row.merchant_id), subject_id=row.id, data=data)
    return row


def _lock_member(tenant: Tenant, member_id: uuid.UUID) -> Membership:
    # Lock the merchant first. Otherwise the last two owners could remove each other at the same time.
    Merchant.objects.select_for_update(no_key=True).get(id=tenant.merchant_id)
    return get_member(tenant, member_id)


def _check_not_last_owner(row: Membership) -> None:
    if row.role != _OWNER:
        return
    others = Membership.objects.filter(merchant_id=row.merchant_id, role=_OWNER, user__is_active=True)
    if not others.exclude(id=row.id).exists():
        raise Conflict(_("A merchant keeps at least one owner."))


def _check_role_granted(role: str, granted: frozenset[str]) -> None:
    if not OF_ROLES[role] <= granted:
        raise PermissionRefused(details={"role": [_("This role has scopes that you do not have.")]})


def _withdraw_invitations(row: Membership) -> None:
    """Delete a member's open invitations. Otherwise a removed member could use one to return."""
    Invitation.objects.filter(merchant_id=row.merchant_id, invited_by=row.user_id, accepted_at=None).delete()


def _event_tenant(merchant_id: uuid.UUID) -> Tenant:
    """Members belong to a merchant in both modes; their events are stored under live mode."""
    return Tenant(merchant_id, Mode.LIVE)


def _digest(token: str) -> str:
    return hmac.new(settings.API_KEY_PEPPER.encode(), f"invitation:{token}".encode(), hashlib.sha256).hexdigest()
