"""The door to the admin: people sign in at the portal, and staff with a second factor."""

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
    """Lets in who is staff and has proved it.

    With ``STAFF_TWO_FACTOR`` only sessions that showed a code; without it the password is enough for who has no second
    factor, and who has one must have used it.
    """

    site_header = site_title = "Waybill"
    index_title = "Operations"
    site_url = None  # an API has no front page to go to

    def has_permission(self, request: HttpRequest) -> bool:
        return super().has_permission(request) and _has_proved(request.user)

    def login(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Sends people to the portal, and from there back to where they wanted to go."""
        path = _own_path(request, request.GET.get("next", ""))
        if self.has_permission(request):
            return HttpResponseRedirect(path)
        user = request.user
        if user.is_authenticated and not user.is_staff:
            raise PermissionDenied
        enrols = user.is_authenticated and settings.STAFF_TWO_FACTOR and not second_factor.is_enrolled(user)
        page = reverse("portal:two-factor" if enrols else "portal:sign-in")
        return HttpResponseRedirect(f"{page}?{urlencode({'next': path})}")

    def password_change(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """One page for everybody's password: it ends sessions and tokens as well."""
        return HttpResponseRedirect(reverse("portal:password"))


class StaffActorMiddleware:
    """What is done in the admin is on record as done by this member of staff. After AuthenticationMiddleware."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path.startswith("/admin/") and request.user.is_authenticated:
            actors.identify(f"staff:{request.user.pk}")
        return self.get_response(request)


def _has_proved(user: Any) -> bool:
    return user.is_verified() or not (settings.STAFF_TWO_FACTOR or second_factor.is_enrolled(user))


def _own_path(request: HttpRequest, path: str) -> str:
    is_ours = path.startswith("/admin/") and url_has_allowed_host_and_scheme(path, allowed_hosts=None)
    return path if is_ours and not path.startswith(reverse("admin:login")) else reverse("admin:index")
