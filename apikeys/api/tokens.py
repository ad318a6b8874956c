"""Access tokens: serializers and endpoints."""

from __future__ import annotations

from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from apikeys.access.views import PublicViewSet
from apikeys.db.tenancy import Mode
from apikeys.http.errors import PermissionRefused, ValidationFailed
from apikeys.http.fields import TextField
from apikeys.models import Membership, User, scopes
from apikeys.people import access_tokens, sign_in


class TokenRequestSerializer(serializers.Serializer):
    """A person signs in for one merchant and mode."""

    email = TextField(max_length=254, help_text="Or the user name.")
    password = serializers.CharField(max_length=1000, trim_whitespace=False)
    otp = TextField(max_length=20, default="", allow_blank=True, help_text="The code of the second factor, if any.")
    merchant = TextField(max_length=64, default="", allow_blank=True, help_text="The slug, for members of several.")
    mode = serializers.ChoiceField(choices=Mode.choices, default=Mode.TEST)


class RefreshSerializer(serializers.Serializer):
    refresh = TextField(max_length=4000)


class TokenSerializer(serializers.Serializer):
    access = serializers.CharField()
    refresh = serializers.CharField(help_text="For one use.")
    token_type = serializers.CharField()
    expires_in = serializers.IntegerField(help_text="Seconds that the access token lives.")
    merchant = serializers.CharField()
    role = serializers.CharField()
    mode = serializers.ChoiceField(choices=Mode.choices)
    scopes = serializers.ListField(child=serializers.CharField())


class TokenViewSet(PublicViewSet):
    """People sign in, and stay signed in."""

    sensitive = frozenset({"create"})

    @extend_schema(
        request=TokenRequestSerializer,
        responses={200: TokenSerializer},
        tags=["sign-in"],
        auth=[],
    )
    def create(self, request: Request) -> Response:
        """An access token for 15 minutes and a refresh token, for an e-mail and a password."""
        data = self.validate(TokenRequestSerializer, request.data)
        self.count("account", account=data["email"].lower())
        user = sign_in.sign_in_for_tokens(
            request._request, email=data["email"], password=data["password"], otp=data["otp"]
        )
        return _tokens(access_tokens.issue_tokens(user, _membership(user, data["merchant"]), data["mode"]))

    @extend_schema(request=RefreshSerializer, responses={200: TokenSerializer}, tags=["sign-in"], auth=[])
    def refresh(self, request: Request) -> Response:
        """A new pair; the refresh token that was sent is used up."""
        return _tokens(access_tokens.renew_tokens(self.validate(RefreshSerializer, request.data)["refresh"]))

    @extend_schema(request=RefreshSerializer, responses={204: None}, tags=["sign-in"], auth=[])
    def logout(self, request: Request) -> Response:
        """End a refresh token; the access token dies with its 15 minutes."""
        access_tokens.revoke_refresh_token(self.validate(RefreshSerializer, request.data)["refresh"])
        return Response(status=status.HTTP_204_NO_CONTENT)


def _membership(user: User, slug: str) -> Membership:
    rows = Membership.objects.select_related("merchant").filter(user=user, merchant__is_active=True)
    found = list(rows.filter(merchant__slug=slug) if slug else rows[:20])
    if not found:
        raise PermissionRefused(_("You are not a member of this merchant.") if slug else None)
    if len(found) > 1:
        known = sorted(row.merchant.slug for row in found)
        text = _("You are a member of several merchants; name one: %s") % ", ".join(known)
        raise ValidationFailed(details={"merchant": [text]})
    return found[0]


def _tokens(pair: access_tokens.TokenPair) -> Response:
    body = {
        "access": pair.access,
        "refresh": pair.refresh,
        "token_type": "Bearer",
        "expires_in": pair.expires_in,
        "merchant": pair.membership.merchant.slug,
        "role": pair.membership.role,
        "mode": pair.mode,
        "scopes": sorted(scopes.OF_ROLES[pair.membership.role]),
    }
    response = Response(body)
    response["Cache-Control"] = "no-store"
    return response
