"""The endpoint for webhooks from carriers."""

from __future__ import annotations

import uuid

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from apikeys.access.views import OptionsMixin
from webhooks.inbound import service


class AcknowledgementSerializer(serializers.Serializer):
    status = serializers.CharField()
    message = serializers.CharField()


class InboundViewSet(OptionsMixin, ViewSet):
    """Webhooks from carriers. They need no API key: a signature or a secret authenticates them."""

    authentication_classes = ()
    permission_classes = ()

    @extend_schema(
        request=OpenApiTypes.OBJECT, responses={200: AcknowledgementSerializer}, tags=["carrier webhooks"], auth=[]
    )
    def receive(
        self, request: Request, carrier: str, credential_id: uuid.UUID | None = None, key: str = ""
    ) -> HttpResponse:
        """Receive a webhook from a carrier. A wrong signature, token or key, or an old timestamp, gets 401."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        body = request._request.body
        if reply := service.reply_to_validation(carrier, headers=headers, body=body):
            return HttpResponse(reply[1], status=reply[0], content_type="text/plain")
        service.receive(carrier, credential_id, key=key, headers=headers, body=body)
        return Response({"status": "success", "message": "Event processed"})
