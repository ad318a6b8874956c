"""URLs of the access layer's API."""

from django.urls import path

from apikeys.api.events import AuditFeedViewSet, EventViewSet
from apikeys.api.keys import ApiKeyViewSet
from apikeys.api.members import MemberViewSet
from apikeys.api.tokens import TokenViewSet
from apikeys.api.usage import UsageViewSet

keys = ApiKeyViewSet.as_view({"get": "list", "post": "create"})
key = ApiKeyViewSet.as_view({"get": "retrieve", "put": "update", "patch": "update", "delete": "destroy"})

urlpatterns = [
    path("api-keys", keys, name="api-keys"),
    path("api-keys/<uuid:key_id>", key, name="api-key"),
    path("api-keys/<uuid:key_id>/regenerate", ApiKeyViewSet.as_view({"post": "regenerate"}), name="api-key-regenerate"),
    path("audit-events", AuditFeedViewSet.as_view({"get": "list"}), name="audit-events"),
    path("auth/token", TokenViewSet.as_view({"post": "create"}), name="token"),
    path("auth/token/refresh", TokenViewSet.as_view({"post": "refresh"}), name="token-refresh"),
    path("auth/token/logout", TokenViewSet.as_view({"post": "logout"}), name="token-logout"),
    path("events", EventViewSet.as_view({"get": "list"}), name="events"),
    path("members", MemberViewSet.as_view({"get": "list"}), name="members"),
    path("members/invitations", MemberViewSet.as_view({"post": "invite"}), name="member-invitations"),
    path("members/<uuid:member_id>", MemberViewSet.as_view({"put": "update", "delete": "destroy"}), name="member"),
    path("usage", UsageViewSet.as_view({"get": "list"}), name="usage"),
]
