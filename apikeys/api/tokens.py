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
    """Sign-in of a person for one merchant and mode."""

    email = TextField(max_length=254, help_text="The e-mail address or the user name.")
    password = serializers.CharField(max_length=1000, trim_whitespace=False)
    otp = TextField(
        max_length=20, default="", allow_blank=True, help_text="The code of the second factor, if one is set up."
    )
    merchant = TextField(
        max_length=64,
        default="",
        allow_blank=True,
        help_text="The merchant's slug. Required for members of several merchants.",
    )
    mode = serializers.ChoiceField(choices=Mode.choices, default=Mode.TEST)


class RefreshSerializer(serializers.Serializer):
    refresh = TextField(max_length=4000)


class TokenSerializer(serializers.Serializer):
    access = serializers.CharField()
    refresh = serializers.CharField(help_text="Valid for one use.")
    token_type = serializers.CharField()
    expires_in = serializers.IntegerField(help_text="Seconds until the access token expires.")
    merchant = serializers.CharField()
    role = serializers.CharField()
    mode = serializers.ChoiceField(choices=Mode.choices)
    scopes = serializers.ListField(child=serializers.CharField())


class TokenViewSet(PublicViewSet):
    """Access tokens of people."""

    sensitive = frozenset({"create"})

    @extend_schema(
        request=TokenRequestSerializer,
        responses={200: TokenSerializer},
        tags=["sign-in"],
        auth=[],
    )
    def create(self, request: Request) -> Response:
        """Sign in with e-mail and password. Returns an access token, valid for 15 minutes, and a refresh token."""
        data = self.validate(TokenRequestSerializer, request.data)
        self.count("account", account=data["email"].lower())
        user = sign_in.sign_in_for_tokens(
            request._request, email=data["email"], password=data["password"], otp=data["otp"]
        )
        membership = _choose_membership(user, data["merchant"])
        return _token_response(access_tokens.issue_tokens(user, membership, data["mode"]))

    @extend_schema(request=RefreshSerializer, responses={200: TokenSerializer}, tags=["sign-in"], auth=[])
    def refresh(self, request: Request) -> Response:
        """Exchange a refresh token for a new pair of tokens. The refresh token is then invalid."""
        refresh = self.validate(RefreshSerializer, request.data)["refresh"]
        return _token_response(access_tokens.renew_tokens(refresh))

    @extend_schema(request=RefreshSerializer, responses={204: None}, tags=["sign-in"], auth=[])
    def logout(self, request: Request) -> Response:
        """Revoke a refresh token. Its access token stays valid until it expires."""
        access_tokens.revoke_refresh_token(self.validate(RefreshSerializer, request.data)["refresh"])
        return Response(status=status.HTTP_204_NO_CONTENT)


def _choose_membership(user: User, slug: str) -> Membership:
    """Return the membership at this merchant or, without a slug, the only one.

    Raises ``PermissionRefused`` if there is none, ``ValidationFailed`` if a merchant must be named.
    """
    rows = Membership.objects.select_related("merchant").filter(user=user, merchant__is_active=True)
    found = list(rows.filter(merchant__slug=slug) if slug else rows[:20])
    if not found:
        raise PermissionRefused(_("You are not a member of this merchant.") if slug else None)
    if len(found) > 1:
        known = sorted(row.merchant.slug for row in found)
        text = _("You are a member of several merchants; name one: %s") % ", ".join(known)
        raise ValidationFailed(details={"merchant": [text]})
    return found[0]


def _token_response(pair: access_tokens.TokenPair) -> Response:
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
