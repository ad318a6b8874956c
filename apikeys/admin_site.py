"""The admin site: staff sign in at the portal, with a second factor where it is required."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.admin import AdminSite
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

from apikeys.http import actors
from apikeys.people import second_factor


class StaffSite(AdminSite):
    """An admin site that requires a second factor.

    With ``STAFF_TWO_FACTOR``, every session must have passed a code. Without it, only the sessions of staff who have a
    second factor.
    """

    site_header = site_title = "Waybill"
    index_title = "Operations"
    site_url = None  # there is no public home page to link to

    def has_permission(self, request: HttpRequest) -> bool:
        user = request.user
        return super().has_permission(request) and (
            user.is_verified() or not (settings.STAFF_TWO_FACTOR or second_factor.is_enrolled(user))
        )

    def login(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Redirect to sign-in at the portal, which continues to the requested page."""
        path = request.GET.get("next", "")
        is_admin_path = path.startswith("/admin/") and url_has_allowed_host_and_scheme(path, allowed_hosts=None)
        if not is_admin_path or path.startswith(reverse("admin:login")):
            path = reverse("admin:index")
        if self.has_permission(request):
            return HttpResponseRedirect(path)
        user = request.user
        if user.is_authenticated and not user.is_staff:
            raise PermissionDenied
        must_enrol = user.is_authenticated and settings.STAFF_TWO_FACTOR and not second_factor.is_enrolled(user)
        page = reverse("portal:two-factor" if must_enrol else "portal:sign-in")
        return HttpResponseRedirect(f"{page}?{urlencode({'next': path})}")

    def password_change(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Redirect to the portal's page, which also ends sessions and tokens."""
        return HttpResponseRedirect(reverse("portal:password"))


class StaffActorMiddleware:
    """Record the member of staff as the actor of events in the admin. Must come after AuthenticationMiddleware."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path.startswith("/admin/") and request.user.is_authenticated:
            actors.identify(f"staff:{request.user.pk}")
        return self.get_response(request)
