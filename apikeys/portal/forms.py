"""Forms of the portal."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth import password_validation
from django.contrib.auth.forms import PasswordResetForm
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from apikeys.audit import mail
from apikeys.models import User


class SignInForm(forms.Form):
    """Sign-in with e-mail and password."""

    email = forms.CharField(
        label=_("E-mail"), max_length=254, widget=forms.TextInput(attrs={"autocomplete": "username", "autofocus": True})
    )
    password = forms.CharField(
        label=_("Password"),
        max_length=1000,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )


class CodeForm(forms.Form):
    """A code of the second factor."""

    code = forms.CharField(
        label=_("Code"),
        max_length=20,
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "autofocus": True, "spellcheck": "false"}),
    )


class JoinForm(forms.Form):
    """Name and password of a new person."""

    name = forms.CharField(
        label=_("Your name"), max_length=150, widget=forms.TextInput(attrs={"autocomplete": "name", "autofocus": True})
    )
    password = forms.CharField(
        label=_("Password"),
        max_length=1000,
        strip=False,
        help_text=_("At least 10 characters, and not a common password."),
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )
    repeated = forms.CharField(
        label=_("Repeat the password"),
        max_length=1000,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    def __init__(self, *args: Any, email: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.email = email

    def clean(self) -> dict[str, Any]:
        """Check the password, also against the name and the e-mail address."""
        data = super().clean()
        if "password" not in data:
            return data
        if data["password"] != data.get("repeated", data["password"]):
            self.add_error("repeated", _("The two passwords differ."))
        person = User(username=self.email, email=self.email, first_name=data.get("name", ""))
        try:
            password_validation.validate_password(data["password"], person)
        except forms.ValidationError as error:
            self.add_error("password", error)
        return data


class ResetForm(PasswordResetForm):
    """Django's form, but the mail is sent in the background: the response time reveals no account."""

    def send_mail(
        self,
        subject_template_name: str,
        email_template_name: str,
        context: dict[str, Any],
        from_email: str | None,
        to_email: str,
        html_email_template_name: str | None = None,
    ) -> None:
        """Send the link. Django calls this for each active person with this address."""
        path = reverse("portal:password-reset-confirm", args=[context["uid"], context["token"]])
        link = mail.absolute_url(context["request"], path)
        mail.send_in_background(mail.render_mail("password_reset", to_email, link=link, person=context["user"]))
