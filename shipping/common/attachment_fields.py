"""Request serializers of files: the documents to make, and the merchant's own ones."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from shipping.common.detail_fields import UpperCaseChoiceField
from shipping.common.request_fields import LowerCaseChoiceField

# ``carriers.types.Document.kind`` without labels, which every order has, and proofs of delivery.
WANTED = ("invoice", "cn23", "qr", "receipt", "manifest", "waybill", "other")
MAX_ATTACHMENTS = 10
MAX_ATTACHMENT_BYTES = 5 * 1024 * 1024  # of one file; all together are limited by the body (``MAX_BODY_BYTES``)
_BEGINNINGS: dict[str, tuple[bytes, ...]] = {
    "PDF": (b"%PDF-",),
    "PNG": (b"\x89PNG\r\n\x1a\n",),
    "GIF": (b"GIF87a", b"GIF89a"),
    "TIFF": (b"II*\x00", b"MM\x00*"),
}


@extend_schema_field({"type": "string", "format": "byte", "minLength": 1})
class FileField(serializers.Field):
    """A file in base64 (RFC 4648), returned as bytes. Line breaks are ignored."""

    default_error_messages = {
        "base64": _("The file in base64 is expected."),
        "size": _("The file has more than {most} bytes."),
    }

    def to_internal_value(self, data: Any) -> Any:
        text = "".join(data.split()) if isinstance(data, str) else ""
        if not text:
            self.fail("base64")
        if len(text) > MAX_ATTACHMENT_BYTES * 4 // 3 + 4:
            self.fail("size", most=MAX_ATTACHMENT_BYTES)
        try:
            content = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            self.fail("base64")
        if len(content) > MAX_ATTACHMENT_BYTES:
            self.fail("size", most=MAX_ATTACHMENT_BYTES)
        return content

    def to_representation(self, value: bytes) -> str:
        return base64.b64encode(value).decode()


class AttachmentSerializer(serializers.Serializer):
    """A file of the merchant for the carrier or for customs, such as a commercial invoice."""

    kind = LowerCaseChoiceField(choices=("invoice", "cn23", "waybill", "other"), default="invoice")
    format = UpperCaseChoiceField(choices=tuple(_BEGINNINGS), default="PDF")
    content = FileField(help_text="The file in base64.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not attrs["content"].startswith(_BEGINNINGS[attrs["format"]]):
            raise serializers.ValidationError({"content": [_("This is no %s file.") % attrs["format"]]})
        return attrs


class WantedDocumentsField(serializers.ListField):
    """The kinds of documents that an order needs besides its label, each once."""

    def __init__(self, **kwargs: Any) -> None:
        child = LowerCaseChoiceField(choices=WANTED)
        super().__init__(child=child, max_length=len(WANTED), **kwargs)

    def to_internal_value(self, data: Any) -> list[str]:
        return list(dict.fromkeys(super().to_internal_value(data)))
