"""Members of a merchant: serializers and endpoints."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from django.db.models import Exists, OuterRef
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django_otp.plugins.otp_totp.models import TOTPDevice
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from apikeys.access.idempotency import idempotent
from apikeys.access.views import ApiViewSet
from apikeys.audit import mail
from apikeys.http import pagination
from apikeys.http.errors import Unavailable
from apikeys.http.pagination import PageSerializer, PaginationSerializer
from apikeys.models import Invitation, Membership, Merchant, User, scopes
from apikeys.people import memberships

_MAX_INVITATIONS = 100


class RoleSerializer(serializers.Serializer):
    """The role of a member."""

    role = serializers.ChoiceField(choices=Membership.Role.choices)


class InvitationRequestSerializer(RoleSerializer):
    """An invitation to send."""

    email = serializers.EmailField(max_length=120)


class MemberSerializer(serializers.Serializer):
    id = serializers.UUIDField(help_text="The id of the membership.")
    person_id = serializers.UUIDField(help_text="The id of the person, as in the actor of events.")
    name = serializers.CharField(allow_blank=True)
    email = serializers.CharField(allow_null=True)
    role = serializers.ChoiceField(choices=Membership.Role.choices)
    is_active = serializers.BooleanField(help_text="Whether the person can sign in.")
    two_factor = serializers.BooleanField(help_text="Whether the person signs in with a second factor.")


class InvitationSerializer(serializers.Serializer):
    id = serializers.UUIDField()
    email = serializers.CharField()
    role = serializers.ChoiceField(choices=Membership.Role.choices)
    invited_by = serializers.UUIDField(allow_null=True, help_text="A person's id.")
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()


class MemberPageSerializer(serializers.Serializer):
    members = MemberSerializer(many=True)
    invitations = InvitationSerializer(many=True, help_text="Open invitations, newest first.")
    pagination = PaginationSerializer()


class MemberViewSet(ApiViewSet):
    """Members of the merchant, the same in both modes. No API key has the scope for them, only people."""

    scopes: ClassVar = dict.fromkeys(("list", "invite", "update", "destroy"), scopes.MEMBERS_MANAGE)
    sensitive = frozenset({"invite", "update", "destroy"})
    merchant_wide = True

    @extend_schema(parameters=[PageSerializer], responses={200: MemberPageSerializer}, tags=["members"])
    def list(self, request: Request) -> Response:
        """List members, newest first, and open invitations."""
        query = self.validate(PageSerializer, request.query_params)
        rows = _annotate_second_factor().filter(merchant_id=self.tenant.merchant_id)
        page, page_info = pagination.newest_first(rows, **query)
        invitations = Invitation.objects.filter(
            merchant_id=self.tenant.merchant_id, accepted_at=None, expires_at__gt=timezone.now()
        )
        return Response(
            {
                "members": [render_member(row) for row in page],
                "invitations": [render_invitation(row) for row in invitations.order_by("-id")[:_MAX_INVITATIONS]],
                "pagination": page_info,
            }
        )

    @extend_schema(request=InvitationRequestSerializer, responses={201: InvitationSerializer}, tags=["members"])
    @idempotent()
    def invite(self, request: Request) -> Response:
        """Invite a person by e-mail. The link works once, for seven days. A new invitation to the same address
        replaces the earlier one."""
        data = self.validate(InvitationRequestSerializer, request.data)
        inviter = User.objects.get(id=request.auth.name.removeprefix("person:"))
        merchant = Merchant.objects.get(id=self.tenant.merchant_id)
        invitation, token = memberships.invite(
            merchant, email=data["email"], role=data["role"], by=inviter, granted=request.auth.scopes
        )
        link = mail.absolute_url(request._request, reverse("portal:invitation", args=[token]))
        message = mail.render_mail("invitation", invitation.email, invitation=invitation, merchant=merchant, link=link)
        try:
            message.send()
        except OSError as error:  # smtplib's errors are OSErrors
            raise Unavailable(_("The mail could not be sent; invite again later."), retry_after_s=60) from error
        return Response(render_invitation(invitation), status=status.HTTP_201_CREATED)

    @extend_schema(request=RoleSerializer, responses={200: MemberSerializer}, tags=["members"])
    def update(self, request: Request, member_id: uuid.UUID) -> Response:
        """Change a member's role, from the next request on. A merchant keeps at least one owner."""
        memberships.get_member(self.tenant, member_id)
        role = self.validate(RoleSerializer, request.data)["role"]
        memberships.change_role(self.tenant, member_id, role=role, granted=request.auth.scopes)
        return Response(render_member(_annotate_second_factor().get(id=member_id)))

    @extend_schema(request=None, responses={204: None}, tags=["members"])
    def destroy(self, request: Request, member_id: uuid.UUID) -> Response:
        """End a membership immediately. A merchant keeps at least one owner."""
        memberships.remove_member(self.tenant, member_id, granted=request.auth.scopes)
        return Response(status=status.HTTP_204_NO_CONTENT)


def _annotate_second_factor() -> Any:
    devices = TOTPDevice.objects.filter(user=OuterRef("user"), confirmed=True)
    return Membership.objects.select_related("user").annotate(two_factor=Exists(devices))


def render_member(row: Any) -> dict[str, Any]:
    """Return a row of ``_annotate_second_factor`` as ``MemberSerializer`` describes it."""
    return {
        "id": row.id,
        "person_id": row.user_id,
        "name": row.user.get_full_name(),
        "email": row.user.email,
        "role": row.role,
        "is_active": row.user.is_active,
        "two_factor": row.two_factor,
    }


def render_invitation(row: Invitation) -> dict[str, Any]:
    """Return an invitation as ``InvitationSerializer`` describes it."""
    return {
        "id": row.id,
        "email": row.email,
        "role": row.role,
        "invited_by": row.invited_by_id,
        "created_at": row.created_at,
        "expires_at": row.expires_at,
    }
