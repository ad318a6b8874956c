"""All URL routes."""

from django.contrib import admin
from django.urls import include, path

from apikeys.access.health import HealthViewSet, metrics
from apikeys.api.openapi import DocsView, SchemaView
from carriers.api.figures import figure_metrics
from config.worker.metrics import breaker_metrics, work_metrics
from shipping.reports.views import BusinessMetricsViewSet

api = [
    path("", include("apikeys.api.urls")),
    path("", include("carriers.api.urls")),
    path("", include("shipping.urls")),
    path("", include("config.worker.urls")),
]

urlpatterns = [
    path("health", HealthViewSet.as_view({"get": "retrieve"}), name="health"),
    path("metrics", metrics, {"sources": (work_metrics, breaker_metrics, figure_metrics)}, name="metrics"),
    path(
        "metrics/business",
        BusinessMetricsViewSet.as_view({"get": "retrieve"}),
        name="documented-business-metrics",
    ),
    path("", include("tracking.urls")),
    path("api/v1/", include(api)),
    # The second documented prefix serves the same views.
    path("api/week3-integrations/", include((api, "week3"), namespace="week3")),
    path("webhooks/", include("webhooks.inbound.urls")),
    path("api/schema/", SchemaView.as_view(), name="schema"),
    path("api/docs/", DocsView.as_view(url_name="schema"), name="docs"),
    path("portal/", include("apikeys.portal.urls")),
    path("admin/", admin.site.urls),
]

handler400 = "apikeys.http.handler.bad_request"
handler403 = "apikeys.http.handler.forbidden"
handler404 = "apikeys.http.handler.not_found"
handler500 = "apikeys.http.handler.server_error"
