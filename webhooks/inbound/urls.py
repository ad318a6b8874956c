"""Routes for carriers' webhooks: the bare path for the platform's credential, one path per credential."""

from django.urls import path

from webhooks.inbound.views import InboundViewSet

receive = InboundViewSet.as_view({"post": "receive"})

urlpatterns = [
    path("<str:carrier>/events", receive, name="carrier-events"),
    path("<str:carrier>/events/<uuid:credential_id>", receive, name="credential-events"),
]
