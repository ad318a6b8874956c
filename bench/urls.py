"""One and the same view behind nothing, behind a key, and behind a key and its limits."""

from typing import Any, ClassVar

from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response

from apikeys import scopes
from apikeys.views import ApiViewSet, PublicViewSet
from config.urls import urlpatterns as of_waybill


class Open(PublicViewSet):
    policies = ()

    def retrieve(self, request: Request) -> Response:
        return Response({"status": "ok"})


class Limited(ApiViewSet):
    scopes: ClassVar = {"retrieve": scopes.TRACKING_READ}

    def retrieve(self, request: Request) -> Response:
        return Response({"status": "ok"})


class Keyed(Limited):
    def count(self, *policies: str, **facts: Any) -> None:
        """Counts nothing."""


urlpatterns = [
    *of_waybill,
    path("bench/open", Open.as_view({"get": "retrieve"})),
    path("bench/keyed", Keyed.as_view({"get": "retrieve"})),
    path("bench/limited", Limited.as_view({"get": "retrieve"})),
]
handler400 = "apikeys.handler.bad_request"
handler403 = "apikeys.handler.forbidden"
handler404 = "apikeys.handler.not_found"
handler500 = "apikeys.handler.server_error"
