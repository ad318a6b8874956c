"""Endpoints to post checkpoints, one or many per request."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from apikeys.access.idempotency import idempotent
from apikeys.access.views import ApiViewSet
from apikeys.http import correlation
from apikeys.http.errors import WaybillError
from apikeys.http.parsing import JsonParser, NdjsonParser
from apikeys.models import scopes
from shipping.checkpoints import batches, posting, rendering, serializers


class CheckpointViewSet(ApiViewSet):
    """Checkpoints of the merchant's own units."""

    scopes: ClassVar = {"create": scopes.TRACKING_WRITE, "batch": scopes.TRACKING_WRITE}

    def render(self, request: Request, checkpoint_id: uuid.UUID) -> Response:
        """Render a checkpoint that an earlier request stored."""
        result = posting.get_posted(self.tenant, checkpoint_id)
        return Response(rendering.checkpoint(result, _("Checkpoint already registered")))

    @extend_schema(
        request=serializers.CheckpointRequestSerializer,
        responses={201: rendering.CheckpointSerializer, 200: rendering.CheckpointSerializer},
        tags=["tracking"],
    )
    @idempotent(render)
    def create(self, request: Request) -> Response:
        """Register a checkpoint. Returns 201, or 200 with the first id if the checkpoint is registered already."""
        self.warn_of_unknown(batches.find_unknown(request.data))
        (item,) = batches.validate([request.data])
        if isinstance(item, WaybillError):
            raise item
        correlation.note(request._request, tracking_id=item.tracking_id, status=item.status.upper())
        result = posting.post(self.tenant, item)
        if result.repeated:
            correlation.note(request._request, "Checkpoint already registered")
            return Response(rendering.checkpoint(result, _("Checkpoint already registered")))
        correlation.note(request._request, "Checkpoint registered")
        return Response(rendering.checkpoint(result, _("Checkpoint registered")), status=status.HTTP_201_CREATED)

    @extend_schema(
        request={
            "application/json": serializers.CheckpointRequestSerializer(
                many=True, min_length=1, max_length=batches.MAX_ITEMS
            ),
            "application/x-ndjson": OpenApiTypes.STR,
        },
        responses={200: rendering.BatchSerializer},
        tags=["tracking"],
    )
    @action(detail=False, methods=["post"], parser_classes=[JsonParser, NdjsonParser])
    @idempotent()
    def batch(self, request: Request) -> Response:
        """Register up to 1,000 checkpoints: a JSON array, or one JSON object per line (NDJSON).

        Each item is stored, repeated or refused separately. Items of one unit are applied in their order.
        """
        self.warn_of_unknown(batches.find_unknown(request.data))
        return Response(rendering.batch(batches.post(self.tenant, request.data)))
