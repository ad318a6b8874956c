"""The base of the portal's pages: counted, refused in HTML, kept out of caches and frames."""

from __future__ import annotations

from typing import Any, ClassVar

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme, urlencode

from apikeys.access import limits
from apikeys.access.limits import RequestFacts
from apikeys.http import actors
from apikeys.http.errors import WaybillError
from apikeys.models import User
from apikeys.people import second_factor

_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


class PortalPage:
    """A mixin for Django's views. What is refused, limits included, answers with a page and the error's status."""

    # What a POST is counted against, besides the public limit.
    sensitive: ClassVar[bool] = False
    signed_in_only: ClassVar[bool] = False
    usage: limits.Usage | None = None

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Count, see who asks, answer."""
        try:
            response = self._answer(request, *args, **kwargs)
        except WaybillError as error:
            response = refused(request, error)
        for name, value in self.usage.headers().items() if self.usage else ():
            response[name] = value
        response["Cache-Control"] = "no-store, private"
        response["Content-Security-Policy"] = _POLICY
        return response

    def count(self, *policies: str, account: str = "") -> None:
        """Raises ``RateLimited``, or ``Unavailable`` when a limit that must hold cannot be counted."""
        address = actors.current().address or "0.0.0.0"  # noqa: S104 no socket, no address
        self.usage = limits.count(RequestFacts(address, account=account), policies)
        limits.refuse_if_exceeded(self.usage)

    def count_account(self, account: str) -> None:
        """Guesses at one account, from wherever; spelt in any case, it is one account."""
        self.count("account", account=account.lower())

    def _answer(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        self.count("public", *(("sensitive",) if self.sensitive and request.method == "POST" else ()))
        if request.user.is_authenticated:
            actors.identify(f"person:{request.user.id}")
        if self.signed_in_only and (not request.user.is_authenticated or lacks_code(request)):
            return to_sign_in(request.get_full_path())
        return super().dispatch(request, *args, **kwargs)


def lacks_code(request: HttpRequest) -> bool:
    """Whether a person is signed in with their password alone, though they have a second factor."""
    user = request.user
    return user.is_authenticated and not user.is_verified() and second_factor.is_enrolled(user)


def refused(request: HttpRequest, error: WaybillError) -> HttpResponse:
    """The error as a page."""
    response = render(request, "portal/refused.html", {"error": error}, status=error.status)
    if error.retry_after_s is not None:
        response["Retry-After"] = str(error.retry_after_s)
    return response


def own_path(path: str | None) -> str:
    """``path`` where it leads to a page of ours, else the portal's first page."""
    is_ours = bool(path) and path.startswith("/") and url_has_allowed_host_and_scheme(path, allowed_hosts=None)
    return path if is_ours else reverse("portal:home")


def with_next(name: str, path: str) -> str:
    """The address of a page that leads on to ``path``."""
    return f"{reverse(name)}?{urlencode({'next': path})}"


def to_sign_in(path: str) -> HttpResponseRedirect:
    """Sign in first, then come back."""
    return redirect(with_next("portal:sign-in", path))


def is_in_admin(path: str) -> bool:
    """Whether a path of ours is one of the admin's."""
    return path.startswith(reverse("admin:index"))


def merchants_of(user: User) -> list[Any]:
    """The person's memberships."""
    rows = user.membership_set.select_related("merchant").filter(merchant__is_active=True)
    return list(rows.order_by("merchant__name"))
