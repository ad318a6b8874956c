"""Routes for carriers: the platform's account on the bare path, every credential on its own."""

from django.urls import path

from webhooks.inbound.views import InboundViewSet

receive = InboundViewSet.as_view({"post": "receive"})

urlpatterns = [
    path("<str:carrier>/events", receive, name="carrier-events"),
    path("<str:carrier>/events/<uuid:credential_id>", receive, name="credential-events"),
]
