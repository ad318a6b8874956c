"""Turn exceptions into error responses."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.http import Http404, HttpRequest, HttpResponse
from rest_framework import exceptions as drf
from rest_framework.response import Response

from apikeys.http import errors
from apikeys.http.rendering import error_body, error_response

log = logging.getLogger(__name__)


def exception_handler(exception: Exception, context: Mapping[str, Any]) -> Response:
    """DRF's ``EXCEPTION_HANDLER``."""
    error = to_waybill_error(exception)
    response = Response(error_body(error), status=error.status)
    if error.retry_after_s is not None:
        response["Retry-After"] = str(error.retry_after_s)
    if isinstance(exception, drf.MethodNotAllowed):
        response["Allow"] = ", ".join(context["view"].allowed_methods)
    return response


def to_waybill_error(exception: Exception) -> errors.WaybillError:
    """Return the API error for an exception of DRF or Django.

    Any other exception is logged with its traceback and becomes ``internal_error``.
    """
    match exception:
        case errors.WaybillError():
            return exception
        case drf.ValidationError():
            return errors.ValidationFailed(details=flatten_details(exception.detail))
        case drf.ParseError():
            return errors.ValidationFailed(details={"body": [str(exception.detail)]})
        case drf.NotAuthenticated() | drf.AuthenticationFailed():
            return errors.InvalidApiKey()
        case drf.PermissionDenied() | PermissionDenied():
            return errors.PermissionRefused()
        case drf.NotFound() | Http404():
            return errors.NotFound()
        case drf.MethodNotAllowed():
            return errors.MethodNotAllowed()
        case drf.UnsupportedMediaType():
            return errors.UnsupportedMediaType(details={"Content-Type": [errors.UnsupportedMediaType.message]})
        case RequestDataTooBig():
            return errors.PayloadTooLarge()
        case SuspiciousOperation():
            return errors.ValidationFailed(str(exception))
    log.error("unhandled exception", exc_info=exception)
    return errors.WaybillError()


def flatten_details(detail: Any, path: str = "") -> dict[str, list[str]]:
    """Return DRF's nested details as one flat mapping: ``{"packages[0].weight_kg": ["…"]}``."""
    if isinstance(detail, Mapping):
        merged: dict[str, list[str]] = {}
        for key, value in detail.items():
            merged |= flatten_details(value, _join_path(path, key))
        return merged
    if isinstance(detail, list) and any(isinstance(item, Mapping | list) for item in detail):
        merged = {}
        for number, item in enumerate(detail):
            merged |= flatten_details(item, f"{path}[{number}]") if item else {}
        return merged
    texts = detail if isinstance(detail, list) else [detail]
    return {path or "body": [str(text) for text in texts]}


def _join_path(path: str, key: Any) -> str:
    if key == "non_field_errors":
        return path
    if path and str(key).isdigit():  # an item of a list
        return f"{path}[{key}]"
    return f"{path}.{key}" if path else str(key)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Return the response to a bad request, as Django's ``handler400``."""
    return error_response(to_waybill_error(exception))


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Return the response to a forbidden request, as Django's ``handler403``."""
    return error_response(errors.PermissionRefused())


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Return the response to an unknown path, as Django's ``handler404``."""
    return error_response(errors.NotFound())


def server_error(request: HttpRequest) -> HttpResponse:
    """Return the response to an unhandled exception, as Django's ``handler500``. Django has logged the traceback."""
    return error_response(errors.WaybillError())
