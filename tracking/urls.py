"""Routes of the tracking-number generator, at the root as documented and in the API."""

from django.urls import path

from tracking.views import TrackingNumberViewSet

urlpatterns = [
    path(
        "next-tracking-number",
        TrackingNumberViewSet.as_view({"get": "retrieve"}),
        name="next-tracking-number",
    ),
    path(
        "api/v1/tracking-numbers",
        TrackingNumberViewSet.as_view({"post": "create"}),
        name="tracking-numbers",
    ),
]
