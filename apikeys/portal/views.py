"""Views of the portal: sign-in, password, second factor and invitations."""

from __future__ import annotations

import time
from typing import Any

from django.conf import settings
from django.contrib import auth, messages
from django.contrib.auth import views as django_views
from django.contrib.auth.forms import PasswordChangeForm
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse, reverse_lazy
from django.utils.decorators import method_decorator
from django.utils.safestring import mark_safe
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.generic import View
from django_otp import login as verify_session

from apikeys.http.errors import NotAuthenticated, NotFound
from apikeys.models import User
from apikeys.people import memberships, second_factor, sign_in
from apikeys.portal.forms import CodeForm, JoinForm, ResetForm, SignInForm
from apikeys.portal.pages import PortalPage, is_in_admin, lacks_code, memberships_of, safe_path, with_next

_AWAITING_CODE = "waiting_for_code"
_CODE_WAIT_S = 300


class Home(PortalPage, View):
    """Home page: the person's data and merchants."""

    signed_in_only = True

    def get(self, request: HttpRequest) -> HttpResponse:
        context = {
            "memberships": memberships_of(request.user),
            "two_factor": second_factor.is_enrolled(request.user),
        }
        return render(request, "portal/home.html", context)


@method_decorator(sensitive_post_parameters(), name="dispatch")
class SignIn(PortalPage, View):
    """Sign-in: the password, then the code if there is a second factor."""

    sensitive = True

    def get(self, request: HttpRequest) -> HttpResponse:
        path = safe_path(request.GET.get("next"))
        if lacks_code(request):
            _await_code(request, request.user)
        elif request.user.is_authenticated:
            return redirect(_next_path(request.user, path))
        return self._render(request, path, SignInForm() if _person_awaiting_code(request) is None else CodeForm())

    def post(self, request: HttpRequest) -> HttpResponse:
        path = safe_path(request.POST.get("next"))
        if "again" in request.POST:
            auth.logout(request)
            return redirect(with_next("portal:sign-in", path))
        check = self._check_code if "code" in request.POST else self._check_password
        return check(request, path)

    def _check_password(self, request: HttpRequest, path: str) -> HttpResponse:
        form = SignInForm(request.POST)
        if not form.is_valid():
            return self._render(request, path, form)
        self.count_account(form.cleaned_data["email"])
        try:
            user = sign_in.check_password(request, **form.cleaned_data)
        except NotAuthenticated:
            form.add_error(None, _("E-mail and password do not match."))
            return self._render(request, path, form, status=401)
        if second_factor.is_enrolled(user):
            _await_code(request, user)
            return redirect(with_next("portal:sign-in", path))
        sign_in.open_session(request, user)
        return redirect(_next_path(user, path))

    def _check_code(self, request: HttpRequest, path: str) -> HttpResponse:
        user, form = _person_awaiting_code(request), CodeForm(request.POST)
        if user is None:
            messages.info(request, _("That took too long; please start again."))
            return redirect(with_next("portal:sign-in", path))
        if not form.is_valid():
            return self._render(request, path, form)
        self.count_account(user.get_username())
        try:
            device = sign_in.check_code(request, user, form.cleaned_data["code"])
        except NotAuthenticated:
            form.add_error("code", _("This code does not match, or was used before."))
            return self._render(request, path, form, status=401)
        request.session.pop(_AWAITING_CODE, None)
        sign_in.open_session(request, user, device)
        return redirect(_next_path(user, path))

    def _render(self, request: HttpRequest, path: str, form: Any, status: int = 200) -> HttpResponse:
        template = "code" if isinstance(form, CodeForm) else "sign_in"
        return render(request, f"portal/{template}.html", {"form": form, "next": path}, status=status)


def _await_code(request: HttpRequest, user: User) -> None:
    """Note in the session who has passed the password check. The person is not signed in yet."""
    request.session.cycle_key()
    request.session[_AWAITING_CODE] = [str(user.id), user.get_session_auth_hash(), time.time()]


def _person_awaiting_code(request: HttpRequest) -> User | None:
    person, auth_hash, since = request.session.get(_AWAITING_CODE) or ("", "", 0.0)
    if not person or time.time() - since > _CODE_WAIT_S:
        return None
    user = User.objects.filter(id=person, is_active=True).first()
    return user if user is not None and user.get_session_auth_hash() == auth_hash else None


def _next_path(user: User, path: str) -> str:
    """Return the path to go to after sign-in. Staff first set up a second factor if the admin requires it."""
    if not is_in_admin(path):
        return path
    if not user.is_staff:
        return reverse("portal:home")
    is_verified = getattr(user, "otp_device", None) is not None
    return with_next("portal:two-factor", path) if settings.STAFF_TWO_FACTOR and not is_verified else path


class SignOut(PortalPage, View):
    """Sign-out."""

    def post(self, request: HttpRequest) -> HttpResponse:
        auth.logout(request)
        messages.success(request, _("You are signed out."))
        return redirect("portal:sign-in")


@method_decorator(sensitive_post_parameters(), name="dispatch")
class TwoFactor(PortalPage, View):
    """Set-up and removal of a second factor."""

    signed_in_only = True
    sensitive = True

    def get(self, request: HttpRequest) -> HttpResponse:
        return self._render(request, CodeForm())

    def post(self, request: HttpRequest) -> HttpResponse:
        steps = {"begin": self._start, "confirm": self._confirm, "remove": self._remove}
        step = steps.get(request.POST.get("step", ""))
        if step is None:
            raise NotFound
        return step(request)

    def _start(self, request: HttpRequest) -> HttpResponse:
        second_factor.start_enrolment(request.user)
        return redirect(with_next("portal:two-factor", safe_path(request.POST.get("next"))))

    def _confirm(self, request: HttpRequest) -> HttpResponse:
        form = CodeForm(request.POST)
        if not form.is_valid():
            return self._render(request, form)
        confirmed = second_factor.confirm_enrolment(request.user, form.cleaned_data["code"])
        if confirmed is None:
            form.add_error("code", _("This code does not match. Wait for the next one and try again."))
            return self._render(request, form)
        device, codes = confirmed
        request.session.cycle_key()
        verify_session(request, device)
        context = {"codes": codes, "next": safe_path(request.POST.get("next"))}
        return render(request, "portal/recovery_codes.html", context)

    def _remove(self, request: HttpRequest) -> HttpResponse:
        form = CodeForm(request.POST)
        if not form.is_valid():
            return self._render(request, form)
        self.count_account(request.user.get_username())
        try:
            sign_in.check_code(request, request.user, form.cleaned_data["code"])
        except NotAuthenticated:
            form.add_error("code", _("This code does not match, or was used before."))
            return self._render(request, form)
        second_factor.remove(request.user)
        messages.success(request, _("Two-factor sign-in is off."))
        return redirect("portal:two-factor")

    def _render(self, request: HttpRequest, form: CodeForm) -> HttpResponse:
        fields = request.POST if request.method == "POST" else request.GET
        context: dict[str, Any] = {"form": form, "next": safe_path(fields.get("next"))}
        if second_factor.is_enrolled(request.user):
            context["left"] = second_factor.recovery_codes_left(request.user)
            return render(request, "portal/two_factor_on.html", context)
        if device := second_factor.pending_device(request.user):
            # segno escapes the text in its SVG.
            context |= {"qr": mark_safe(second_factor.qr_code(device)), "secret": second_factor.secret_text(device)}  # noqa: S308
        return render(request, "portal/two_factor_off.html", context)


@method_decorator(sensitive_post_parameters(), name="dispatch")
class Join(PortalPage, View):
    """An invitation: a new person creates an account, a person with an account signs in first."""

    sensitive = True

    def get(self, request: HttpRequest, token: str) -> HttpResponse:
        invitation = memberships.get_open_invitation(token)
        return self._render(request, invitation, JoinForm(email=invitation.email))

    def post(self, request: HttpRequest, token: str) -> HttpResponse:
        invitation = memberships.get_open_invitation(token)
        if request.user.is_authenticated:
            if lacks_code(request):
                return redirect(with_next("portal:sign-in", request.path))
            memberships.accept_invitation(token, request.user)
        else:
            form = JoinForm(request.POST, email=invitation.email)
            if not form.is_valid():
                return self._render(request, invitation, form)
            data = form.cleaned_data
            user = memberships.accept_as_new_person(token, name=data["name"], password=data["password"])
            sign_in.open_session(request, user)
        messages.success(request, _("You are a member of %s now.") % invitation.merchant.name)
        return redirect("portal:home")

    def _render(self, request: HttpRequest, invitation: Any, form: JoinForm) -> HttpResponse:
        user = request.user
        context = {
            "invitation": invitation,
            "form": form,
            "is_mine": user.is_authenticated and memberships.is_invited(invitation, user),
            "is_known": sign_in.find_person(invitation.email) is not None,
            "sign_in": with_next("portal:sign-in", request.path),
        }
        return render(request, "portal/invitation.html", context)


class PasswordReset(PortalPage, django_views.PasswordResetView):
    """Request of a link by e-mail. The response is the same for every address."""

    sensitive = True
    template_name = "portal/password_reset.html"
    form_class = ResetForm
    success_url = reverse_lazy("portal:password-reset-sent")

    def form_valid(self, form: ResetForm) -> HttpResponse:
        self.count_account(form.cleaned_data["email"])
        self.extra_email_context = {"request": self.request}
        return super().form_valid(form)


class PasswordResetSent(PortalPage, django_views.PasswordResetDoneView):
    """Confirmation that a link was sent, if there is an account."""

    template_name = "portal/password_reset_sent.html"


class PasswordResetConfirm(PortalPage, django_views.PasswordResetConfirmView):
    """Form for a new password, opened by the link of the mail."""

    sensitive = True
    template_name = "portal/password_new.html"
    success_url = reverse_lazy("portal:sign-in")

    def form_valid(self, form: Any) -> HttpResponse:
        with transaction.atomic():
            response = super().form_valid(form)
            sign_in.finish_password_change(self.user, how="reset")
        messages.success(self.request, _("Your password is changed. Sign in with the new one."))
        return response


@method_decorator(sensitive_post_parameters(), name="dispatch")
class PasswordChange(PortalPage, View):
    """Change of the password by a person who is signed in. Other sessions end."""

    signed_in_only = True
    sensitive = True

    def get(self, request: HttpRequest) -> HttpResponse:
        return render(request, "portal/password_change.html", {"form": PasswordChangeForm(request.user)})

    def post(self, request: HttpRequest) -> HttpResponse:
        self.count_account(request.user.get_username())
        form = PasswordChangeForm(request.user, request.POST)
        if not form.is_valid():
            return render(request, "portal/password_change.html", {"form": form})
        with transaction.atomic():
            sign_in.finish_password_change(form.save(), how="change")
        auth.update_session_auth_hash(request, form.user)
        messages.success(request, _("Your password is changed."))
        return redirect("portal:home")
