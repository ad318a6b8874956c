"""Routes of the carriers' part of the API; neutral paths, and the documented ones of each carrier as aliases."""

from django.urls import path

from carriers.api import converters, views  # noqa: F401 registers "carrier" for paths

credentials = views.CarrierCredentialViewSet.as_view({"post": "save"})
coverage = views.CoverageViewSet.as_view({"get": "retrieve"})

reports = views.ReportViewSet.as_view({"get": "retrieve"})

carriers = views.CarrierListViewSet.as_view({"get": "list"})
carrier = views.CarrierListViewSet.as_view({"get": "retrieve"})
health = views.CarrierListViewSet.as_view({"get": "health"})
rate_limit = views.CarrierListViewSet.as_view({"get": "rate_limit"})
own_credentials = views.CourierCredentialViewSet.as_view({"get": "list", "post": "create"})
own_credential = views.CourierCredentialViewSet.as_view({"put": "update", "delete": "destroy"})
test_credential = views.CourierCredentialViewSet.as_view({"post": "test"})
rotate_credential = views.CourierCredentialViewSet.as_view({"post": "rotate"})

urlpatterns = [
    path("carriers", carriers, name="carriers"),
    path("carriers/<carrier:carrier>", carrier, name="carrier"),
    path("carriers/<carrier:carrier>/health", health, name="carrier-health"),
    path("<carrier:carrier>/health", health, name="documented-carrier-health"),
    path("carriers/<carrier:carrier>/rate-limit", rate_limit, name="carrier-rate-limit"),
    path("courier-credentials", own_credentials, name="courier-credentials"),
    path("courier-credentials/<uuid:own_credential_id>", own_credential, name="courier-credential"),
    path("courier-credentials/<uuid:own_credential_id>/test", test_credential, name="courier-credential-test"),
    path("courier-credentials/<uuid:own_credential_id>/rotate", rotate_credential, name="courier-credential-rotate"),
    path("carriers/<carrier:carrier>/credentials", credentials, name="credentials"),
    path("service-coverage", coverage, name="coverage"),
    path("reports", reports, name="reports"),
    path("<carrier:carrier>/reports", reports, name="carrier-reports"),
    path("<carrier:carrier>/service-coverage", coverage, name="carrier-coverage"),
]
