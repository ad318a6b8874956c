"""Public views of the OpenAPI document and of Swagger UI."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from django.http import HttpResponse
from django.utils.translation import get_language
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from apikeys.access.views import CountedMixin
from apikeys.http.errors import MethodNotAllowed
from apikeys.http.rendering import error_response


class _PublicPage(CountedMixin):
    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        self.count("public")
        super().initial(request, *args, **kwargs)

    def http_method_not_allowed(self, request: Request, *args: Any, **kwargs: Any) -> Any:
        response = error_response(MethodNotAllowed())
        response["Allow"] = "GET, HEAD, OPTIONS"
        return response


class SchemaView(_PublicPage, SpectacularAPIView):
    """The OpenAPI document as YAML."""

    @extend_schema(exclude=True)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        """Return the document. It is generated once per process, language and format: that takes a second or two."""
        content = _generate_document(get_language() or "", type(request.accepted_renderer))
        return HttpResponse(content, content_type=request.accepted_renderer.media_type)


class DocsView(_PublicPage, SpectacularSwaggerView):
    """Swagger UI, with assets served by Waybill."""


@lru_cache(maxsize=8)
def _generate_document(language: str, renderer: type[BaseRenderer]) -> bytes:
    return renderer().render(SchemaGenerator().get_schema(public=True), renderer_context={})
