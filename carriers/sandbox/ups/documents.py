"""Paperless documents: upload, push to the image repository and deletion."""

from __future__ import annotations

import base64
import binascii
import secrets
from datetime import UTC, datetime
from typing import Any

from carriers.sandbox.carrier import SimulatedCarrier
from carriers.sandbox.messages import Answer, Request
from carriers.sandbox.ups import auth
from carriers.sandbox.ups.errors import Invalid, NotValid, succeed
from carriers.sandbox.ups.validation import get_element, one_or_many

_FORMATS = {"bmp", "doc", "gif", "jpg", "pdf", "png", "rtf", "tif", "txt", "xls", "docx", "xlsx"}
_TYPES = {f"{number:03}" for number in range(1, 14)}
_MOST_FILES = 13
_MOST_BYTES = 1024 * 1024  # of a file, in the test environment
# Beginnings of files by format; other formats are not checked.
_SIGNATURES = {"pdf": b"%PDF", "png": b"\x89PNG", "gif": b"GIF8", "jpg": b"\xff\xd8", "bmp": b"BM"}


def upload(carrier: SimulatedCarrier, request: Request, version: str) -> Answer:
    body = _read(carrier, request, "UploadRequest")
    forms = [one for one in one_or_many(body.get("UserCreatedForm")) if isinstance(one, dict)]
    if not 1 <= len(forms) <= _MOST_FILES:
        raise NotValid("UploadRequest.UserCreatedForm")
    for form in forms:
        _check_form(form)
    names = []
    with carrier.store.atomic():
        for form in forms:
            name = _new_name()
            row = {"account": request.account, "pushed_to": ""} | {
                key: form[f"UserCreatedForm{end}"]
                for key, end in (("name", "FileName"), ("format", "FileFormat"), ("type", "DocumentType"))
            }
            carrier.store.put("ups_document", name, row)
            names.append(name)
    content = {"FormsHistoryDocumentID": {"DocumentID": names}}
    return succeed("UploadResponse", body.get("Request"), content)


def push(carrier: SimulatedCarrier, request: Request, version: str) -> Answer:
    """Attach uploaded documents to a shipment."""
    body = _read(carrier, request, "PushToImageRepositoryRequest")
    names = one_or_many(get_element(body, "FormsHistoryDocumentID").get("DocumentID"))
    number = str(body.get("ShipmentIdentifier") or "")
    if not names or body.get("ShipmentType") not in ("1", "2"):
        raise NotValid("PushToImageRepositoryRequest.FormsHistoryDocumentID, ShipmentType")
    shipment = carrier.store.get("ups_shipment", number)
    if shipment is None or shipment["account"] != request.account:
        raise Invalid("9590009", "Valid Tracking Number is Required")  # seen by others
    if body["ShipmentType"] == "1" and not (body.get("ShipmentDateAndTime") and body.get("TrackingNumber")):
        raise NotValid("PushToImageRepositoryRequest.ShipmentDateAndTime, TrackingNumber")
    with carrier.store.atomic():
        for name in map(str, names):
            carrier.store.put("ups_document", name, _get(carrier, request, name) | {"pushed_to": number})
    content = {"FormsGroupID": str(body.get("FormsGroupID") or _new_name())}
    return succeed("PushToImageRepositoryResponse", body.get("Request"), content)


def delete(carrier: SimulatedCarrier, request: Request, version: str) -> Answer:
    """Delete a document. Its id is in a header."""
    _check_shipper(carrier, request, request.headers.get("shippernumber"))
    name = request.headers.get("documentid", "")
    with carrier.store.atomic():
        _get(carrier, request, name)
        carrier.store.put("ups_document", name, {"account": ""})
    return succeed("DeleteResponse", None, {})


def _read(carrier: SimulatedCarrier, request: Request, root: str) -> dict[str, Any]:
    """Return the element of a request. The shipper number is in a header and in the body."""
    body = request.json().get(root)
    if not isinstance(body, dict):
        raise NotValid(root)
    for number in (request.headers.get("shippernumber"), body.get("ShipperNumber")):
        _check_shipper(carrier, request, number)
    return body


def _check_shipper(carrier: SimulatedCarrier, request: Request, number: Any) -> None:
    if number not in auth.shipper_numbers(carrier, request):
        raise Invalid("9590001", "Missing or Invalid Shipper Number")  # the code is assumed


def _check_form(form: dict[str, Any]) -> None:
    file_format = str(form.get("UserCreatedFormFileFormat") or "").lower()
    if not 1 <= len(str(form.get("UserCreatedFormFileName") or "")) <= 300:
        raise NotValid("UserCreatedForm.UserCreatedFormFileName")
    if file_format not in _FORMATS:
        raise NotValid("UserCreatedForm.UserCreatedFormFileFormat")
    if str(form.get("UserCreatedFormDocumentType")) not in _TYPES:
        raise NotValid("UserCreatedForm.UserCreatedFormDocumentType")
    try:
        content = base64.b64decode(str(form.get("UserCreatedFormFile") or ""), validate=True)
    except binascii.Error:
        content = b""
    if not content or not content.startswith(_SIGNATURES.get(file_format, b"")):
        raise NotValid("UserCreatedForm.UserCreatedFormFile")
    if len(content) > _MOST_BYTES:
        raise Invalid("9590011", "The file exceeds the maximum size of 1 MB")  # the code is assumed


def _get(carrier: SimulatedCarrier, request: Request, name: str) -> dict[str, Any]:
    document = carrier.store.get("ups_document", name)
    if document is None or document["account"] != request.account:
        raise Invalid("9590022", "No PDF found for given documentId")  # seen by others
    return document


def _new_name() -> str:
    """Return an id like 2016-01-18-11.01.07.589501."""
    return f"{datetime.now(UTC):%Y-%m-%d-%H.%M.%S}.{secrets.randbelow(10**6):06}"
