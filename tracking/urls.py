"""Routes of the tracking-number generator, at the root as documented."""

from django.urls import path

from tracking.views import NextTrackingNumberViewSet

urlpatterns = [
    path(
        "next-tracking-number",
        NextTrackingNumberViewSet.as_view({"get": "retrieve"}),
        name="next-tracking-number",
    ),
]
