"""URLs of the portal."""

from django.urls import path

from apikeys.portal import views

app_name = "portal"
urlpatterns = [
    path("", views.Home.as_view(), name="home"),
    path("sign-in", views.SignIn.as_view(), name="sign-in"),
    path("sign-out", views.SignOut.as_view(), name="sign-out"),
    path("two-factor", views.TwoFactor.as_view(), name="two-factor"),
    path("invitation/<str:token>", views.Join.as_view(), name="invitation"),
    path("password", views.PasswordChange.as_view(), name="password"),
    path("password-reset", views.PasswordReset.as_view(), name="password-reset"),
    path("password-reset/sent", views.PasswordResetSent.as_view(), name="password-reset-sent"),
    path(
        "password-reset/<str:uidb64>/<str:token>", views.PasswordResetConfirm.as_view(), name="password-reset-confirm"
    ),
]
