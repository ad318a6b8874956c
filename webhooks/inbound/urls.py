"""Routes for carriers' webhooks: one path for the platform's credential, and one per credential.

The last has a secret key, for a carrier whose webhooks carry no proof.
"""

from django.urls import path

from webhooks.inbound.views import InboundViewSet

receive = InboundViewSet.as_view({"post": "receive"})

urlpatterns = [
    path("<str:carrier>/events", receive, name="carrier-events"),
    path("<str:carrier>/events/<uuid:credential_id>", receive, name="credential-events"),
    path("<str:carrier>/events/<uuid:credential_id>/<str:key>", receive, name="credential-events-by-key"),
]
