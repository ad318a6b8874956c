"""Endpoints for manifests."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.http import FileResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apikeys.access.idempotency import idempotent
from apikeys.access.views import ApiViewSet
from apikeys.http import pagination
from apikeys.models import scopes
from shipping import openapi_examples
from shipping.common import downloads
from shipping.manifests import manifests, rendering, serializers
from shipping.models import Manifest, ManifestFile


class ManifestViewSet(ApiViewSet):
    """Manifests of closed days."""

    scopes: ClassVar = {
        "create": scopes.SHIPMENTS_WRITE,
        **dict.fromkeys(("list", "retrieve", "download"), scopes.SHIPMENTS_READ),
    }

    @extend_schema(
        request=serializers.ManifestRequestSerializer,
        examples=openapi_examples.MANIFESTS,
        responses={200: rendering.ManifestSerializer},
        tags=["manifests"],
    )
    @idempotent()
    def create(self, request: Request) -> Response:
        """Close a day at a carrier that needs it, and get its manifest.

        After ``carrier_timeout`` the same request may be sent again. A carrier that closes days itself refuses with
        ``unsupported_operation``.
        """
        data = self.validate(serializers.ManifestRequestSerializer, request.data)
        return Response(self._render(request, manifests.close_day(self.tenant, data)))

    @extend_schema(
        parameters=[serializers.ManifestListSerializer],
        responses={200: rendering.ManifestListSerializer},
        tags=["manifests"],
    )
    def list(self, request: Request) -> Response:
        """List manifests, the newest first."""
        query = self.validate(serializers.ManifestListSerializer, request.query_params)
        rows = manifests.filter_manifests(self.tenant, query)
        page, page_info = pagination.newest_first(rows, limit=query["limit"], cursor=query.get("cursor"))
        return Response({"manifests": [self._render(request, row) for row in page], "pagination": page_info})

    @extend_schema(responses={200: rendering.ManifestSerializer}, tags=["manifests"])
    def retrieve(self, request: Request, manifest_id: uuid.UUID) -> Response:
        """Get one manifest."""
        return Response(self._render(request, manifests.get_manifest(self.tenant, manifest_id)))

    @extend_schema(responses=downloads.RESPONSES, tags=["manifests"])
    def download(self, request: Request, manifest_id: uuid.UUID, document_id: uuid.UUID) -> FileResponse:
        """Download a file of a manifest."""
        found = manifests.get_file(self.tenant, manifest_id, document_id)
        return downloads.file_response(found.file.open("rb"), found.format, f"manifest-{found.manifest.day}")

    def _render(self, request: Request, row: Manifest) -> dict[str, object]:
        def url(file: ManifestFile) -> str:
            return downloads.absolute_url(
                request, "manifest-document", {"manifest_id": file.manifest_id, "document_id": file.id}
            )

        return rendering.manifest(row, url)
