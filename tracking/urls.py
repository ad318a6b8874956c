"""Routes of the tracking-number generator: the documented one at the root, and one in the API."""

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
