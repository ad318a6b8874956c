"""Base class of the portal's pages: rate limits, error pages, and headers against caching and framing."""

from __future__ import annotations

from typing import Any, ClassVar

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme, urlencode

from apikeys.access import limits
from apikeys.access.limits import RequestFacts
from apikeys.http import actors
from apikeys.http.errors import WaybillError
from apikeys.models import User
from apikeys.people import second_factor

_SECURITY_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


class PortalPage:
    """A mixin for Django's views. Waybill errors, exceeded limits included, become a page with the error's status."""

    # Whether a POST is also counted against the policy ``sensitive``.
    sensitive: ClassVar[bool] = False
    signed_in_only: ClassVar[bool] = False
    usage: limits.Usage | None = None

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Handle the request, or render the error that it raises."""
        try:
            response = self._handle(request, *args, **kwargs)
        except WaybillError as error:
            response = render_error(request, error)
        for name, value in self.usage.headers().items() if self.usage else ():
            response[name] = value
        response["Cache-Control"] = "no-store, private"
        response["Content-Security-Policy"] = _SECURITY_POLICY
        return response

    def count(self, *policies: str, account: str = "") -> None:
        """Count the request against these policies.

        Raises ``RateLimited``, or ``Unavailable`` if a policy that fails closed cannot be counted.
        """
        address = actors.current().address or "0.0.0.0"  # noqa: S104 a Unix socket has no address
        self.usage = limits.count(RequestFacts(address, account=account), policies)
        limits.refuse_if_exceeded(self.usage)

    def count_account(self, account: str) -> None:
        """Count an attempt at an account, whatever its case."""
        self.count("account", account=account.lower())

    def _handle(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        self.count("public", *(("sensitive",) if self.sensitive and request.method == "POST" else ()))
        if request.user.is_authenticated:
            actors.identify(f"person:{request.user.id}")
        if self.signed_in_only and (not request.user.is_authenticated or lacks_code(request)):
            return redirect(with_next("portal:sign-in", request.get_full_path()))
        return super().dispatch(request, *args, **kwargs)


def lacks_code(request: HttpRequest) -> bool:
    """Return whether a person has signed in with only the password, although they have a second factor."""
    user = request.user
    return user.is_authenticated and not user.is_verified() and second_factor.is_enrolled(user)


def render_error(request: HttpRequest, error: WaybillError) -> HttpResponse:
    """Render an error as a page."""
    response = render(request, "portal/refused.html", {"error": error}, status=error.status)
    if error.retry_after_s is not None:
        response["Retry-After"] = str(error.retry_after_s)
    return response


def safe_path(path: str | None) -> str:
    """Return ``path`` if it is a path on this site, else the portal's home page."""
    is_ours = bool(path) and path.startswith("/") and url_has_allowed_host_and_scheme(path, allowed_hosts=None)
    return path if is_ours else reverse("portal:home")


def with_next(name: str, path: str) -> str:
    """Return the URL of a page that continues to ``path``."""
    return f"{reverse(name)}?{urlencode({'next': path})}"


def is_in_admin(path: str) -> bool:
    """Return whether a path belongs to the admin."""
    return path.startswith(reverse("admin:index"))


def memberships_of(user: User) -> list[Any]:
    """Return a person's memberships of active merchants, by name."""
    rows = user.membership_set.select_related("merchant").filter(merchant__is_active=True)
    return list(rows.order_by("merchant__name"))
