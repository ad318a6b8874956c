"""API routes of credentials, carriers, coverage and reports: neutral paths, and the documented aliases per carrier."""

from django.urls import path

from carriers.api import converters  # noqa: F401 registers "carrier" for paths
from carriers.api.calls import CarrierCallViewSet
from carriers.api.carriers import CarrierListViewSet
from carriers.api.coverage import CoverageViewSet
from carriers.api.credentials import CarrierCredentialViewSet, CourierCredentialViewSet
from carriers.api.reports import ReportViewSet

credentials = CarrierCredentialViewSet.as_view({"post": "save"})
coverage = CoverageViewSet.as_view({"get": "retrieve"})
reports = ReportViewSet.as_view({"get": "retrieve"})

carriers = CarrierListViewSet.as_view({"get": "list"})
carrier = CarrierListViewSet.as_view({"get": "retrieve"})
health = CarrierListViewSet.as_view({"get": "health"})
rate_limit = CarrierListViewSet.as_view({"get": "rate_limit"})
own_credentials = CourierCredentialViewSet.as_view({"get": "list", "post": "create"})
own_credential = CourierCredentialViewSet.as_view({"get": "retrieve", "put": "update", "delete": "destroy"})
test_credential = CourierCredentialViewSet.as_view({"post": "test"})
rotate_credential = CourierCredentialViewSet.as_view({"post": "rotate"})

urlpatterns = [
    path("carriers", carriers, name="carriers"),
    path("carrier-calls", CarrierCallViewSet.as_view({"get": "list"}), name="carrier-calls"),
    path("carrier-calls/<uuid:call_id>", CarrierCallViewSet.as_view({"get": "retrieve"}), name="carrier-call"),
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
