"""Documents of shipments: their list, their files, and the section on a shipment's page."""

from __future__ import annotations

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html

from apikeys.admin.base import NOTHING, Section, badge, build_section, join_lines
from apikeys.http.errors import NotFound
from shipping.admin.base import ShippingAdmin
from shipping.common import downloads
from shipping.labels import files
from shipping.models import Document, Shipment


def documents_section(request: HttpRequest, row: Shipment) -> Section | None:
    """Return the documents of a shipment."""
    return build_section(
        request,
        "Documents",
        Document.objects.filter(shipment=row).order_by("parcel", "id"),
        {
            "kind": lambda one: one.kind,
            "parcel": lambda one: one.parcel or "all",
            "format": lambda one: f"{one.format} {one.size}".strip(),
            "source": document_source,
            "file": document_link,
        },
        shipment=row.pk,
    )


def document_source(row: Document) -> str:
    """Return who made a document."""
    return "merchant" if row.by_merchant else "carrier"


def document_link(row: Document) -> str:
    """Return a link to a document's file, or its state."""
    if not row.file:
        return badge(f"waiting for the carrier's {row.kind}", "waiting" if row.fetch_at else "bad")
    return _link(reverse("admin:shipping_document_file", args=[row.pk]), f"Open the {row.format} file")


def file_links(shipment: Shipment) -> str:
    """Return links to the files that print a shipment: its labels, and the manifest if the carrier provides one."""
    first = {document.kind: document for document in reversed(shipment.documents.all())}
    links = []
    for kind in ("label", "manifest"):
        if kind in first and not first[kind].file:
            links.append(document_link(first[kind]))
        elif kind in first:
            text = f"Open the {files.joined_format(shipment, kind)} label" if kind == "label" else "Open the manifest"
            links.append(_link(reverse(f"admin:shipping_shipment_{kind}", args=[shipment.pk]), text))
    return join_lines(links) if links else NOTHING


def _link(url: str, text: str) -> str:
    return format_html('<a href="{}" target="_blank" rel="noopener">{}</a>', url, text)


@admin.register(Document)
class DocumentAdmin(ShippingAdmin):
    """Files of shipments, also those that merchants have attached to orders."""

    list_display = ("shipment", "kind", "parcel", "format", "size", "source", "opened", "created_at")
    list_select_related = ("shipment",)
    list_filter = ("kind", "format", "size", "by_merchant", "created_at")
    search_fields = ("shipment__search",)
    search_help_text = "Tracking number of the shipment or a parcel, any text that finds the shipment, or its id."
    id_search = ("id", "shipment_id")
    ordering = ("-id",)
    fields = (
        "id",
        "shipment",
        "kind",
        "parcel",
        "format",
        "size",
        "copies",
        "source",
        "opened",
        "carrier_url",
        "created_at",
    )

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.file)
        return [path("<path:object_id>/file/", view, name="shipping_document_file"), *super().get_urls()]

    def file(self, request: HttpRequest, object_id: str) -> HttpResponse | FileResponse:
        """Return a document's file to staff who may see documents. ``admin_view`` forbids caching."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        row = self.get_object(request, unquote(object_id))
        if row is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
        try:
            found = files.get_document(row.shipment, str(row.id))
        except NotFound as error:
            self.message_user(request, str(error), messages.ERROR)
            return HttpResponseRedirect(reverse("admin:shipping_document_change", args=[row.pk]))
        return downloads.file_response(found.file.open("rb"), found.format, found.file_name.rpartition(".")[0])

    @admin.display(description="source", ordering="by_merchant")
    def source(self, row: Document) -> str:
        return document_source(row)

    @admin.display(description="file")
    def opened(self, row: Document) -> str:
        return document_link(row)
