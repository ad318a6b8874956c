"""Responses are JSON in one format, also those of errors, and are compressed where that is safe."""

import gzip
import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import pytest
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.test import RequestFactory
from django.utils.translation import gettext_lazy
from rest_framework import exceptions as drf
from rest_framework.utils.serializer_helpers import ReturnDict, ReturnList

from apikeys.http import errors, handler
from apikeys.http.compression import MIN_BYTES, JsonGzipMiddleware
from apikeys.http.rendering import error_response, rfc3339, to_json

LONG = b"[" + b"1," * MIN_BYTES + b"1]"


def compressed(content=LONG, headers=None, **request_headers):
    """Return the response to a request with these headers, from a view that sends ``content``."""
    request = RequestFactory().get("/", headers={"Accept-Encoding": "gzip"} | request_headers)
    headers = {"Content-Type": "application/json"} | (headers or {})
    return JsonGzipMiddleware(lambda _: HttpResponse(content, headers=headers))(request)


@pytest.mark.parametrize("accepted", ["gzip", "br, GZIP;q=0.5", "*", "*;q=0.1", "gzip;level=1"])
def test_long_json_is_compressed(accepted):
    response = compressed(headers={"ETag": '"1"'}, **{"Accept-Encoding": accepted})
    assert gzip.decompress(response.content) == LONG
    assert response["Content-Length"] == str(len(response.content))
    assert (response["Content-Encoding"], response["Vary"], response["ETag"]) == ("gzip", "Accept-Encoding", 'W/"1"')


def test_weak_tag_stays_as_it_is():
    assert compressed(headers={"ETag": 'W/"1"'})["ETag"] == 'W/"1"'


@pytest.mark.parametrize("accepted", ["", "identity", "br", "gzip;q=0", "gzip;q=0, *", "gzip;q=much"])
def test_client_that_does_not_accept_gzip_gets_plain_json(accepted):
    response = compressed(**{"Accept-Encoding": accepted})
    assert (response.content, response["Vary"]) == (LONG, "Accept-Encoding")
    assert "Content-Encoding" not in response.headers


def test_response_to_a_request_with_cookies_is_not_compressed():
    assert compressed(Cookie="sessionid=1").content == LONG


@pytest.mark.parametrize(
    ("content", "headers"),
    [
        (b"[]", {}),
        (LONG, {"Content-Type": "text/html; charset=utf-8"}),
        (LONG, {"Content-Encoding": "br"}),
    ],
)
def test_short_encoded_and_other_content_is_sent_unchanged(content, headers):
    response = compressed(content, headers)
    assert response.content == content
    assert "Vary" not in response.headers


def test_stream_is_sent_unchanged():
    request = RequestFactory().get("/", headers={"Accept-Encoding": "gzip"})
    response = JsonGzipMiddleware(lambda _: StreamingHttpResponse([LONG]))(request)
    assert b"".join(response) == LONG


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Decimal("2.50"), b"2.5"),
        (datetime(2024, 1, 15, 10, 30, tzinfo=UTC), b'"2024-01-15T10:30:00Z"'),
        (gettext_lazy("Open"), b'"Open"'),
        (ReturnDict({"a": Decimal("1")}, serializer=None), b'{"a":1.0}'),
        (ReturnList(["é"], serializer=None), '["é"]'.encode()),
        ({1: None}, b'{"1":null}'),
    ],
)
def test_values_are_rendered_as_documented(value, text):
    assert to_json(value) == text


def test_values_beyond_the_encoders_limits_are_rendered_in_the_same_way():
    """Carriers send numbers over 64 bits; one such value must not fail the response."""
    others = [
        datetime(2024, 1, 15, 12, tzinfo=timezone(timedelta(hours=2))),
        date(2024, 1, 15),
        UUID(int=7),
        Decimal("1.50"),
        float("nan"),
        gettext_lazy("Not found."),
        ReturnDict({"ä": (True, None)}, serializer=None),
    ]
    for limit in (10**30, "\ud800"):
        rendered = json.loads(to_json({"limit": limit, "others": others, 5: [[]]}))
        assert rendered == {"limit": limit} | json.loads(to_json({"others": others, 5: [[]]}))


def test_unknown_values_are_not_rendered():
    with pytest.raises(TypeError):
        to_json(object())


def test_times_are_rendered_in_utc():
    assert rfc3339(None) is None
    assert rfc3339(datetime(2024, 1, 15, 12, 30, tzinfo=timezone(timedelta(hours=2)))) == "2024-01-15T10:30:00Z"


@pytest.mark.parametrize(
    ("exception", "code", "status"),
    [
        (errors.NotFound(), "not_found", 404),
        (drf.ValidationError({"name": ["x"]}), "validation_error", 400),
        (drf.ParseError("no JSON"), "validation_error", 400),
        (drf.NotAuthenticated(), "invalid_api_key", 401),
        (drf.AuthenticationFailed(), "invalid_api_key", 401),
        (drf.PermissionDenied(), "permission_denied", 403),
        (PermissionDenied(), "permission_denied", 403),
        (drf.NotFound(), "not_found", 404),
        (Http404(), "not_found", 404),
        (drf.MethodNotAllowed("GET"), "method_not_allowed", 405),
        (drf.UnsupportedMediaType("text/csv"), "unsupported_media_type", 415),
        (RequestDataTooBig(), "payload_too_large", 413),
        (SuspiciousOperation("strange"), "validation_error", 400),
    ],
)
def test_exceptions_become_documented_errors(exception, code, status, caplog):
    error = handler.to_waybill_error(exception)
    assert (error.code, error.status) == (code, status)
    assert not caplog.records


def test_unknown_exception_is_logged_and_not_described(caplog):
    error = handler.to_waybill_error(ZeroDivisionError("secret detail"))
    assert (error.code, error.status) == ("internal_error", 500)
    assert "secret detail" not in str(error.body())
    assert caplog.records[0].exc_info[0] is ZeroDivisionError


@pytest.mark.parametrize(
    ("detail", "flat"),
    [
        ({"packages": [{}, {"weight_kg": ["a", "b"]}]}, {"packages[1].weight_kg": ["a", "b"]}),
        ({"packages": {"1": {"weight_kg": ["a"]}}}, {"packages[1].weight_kg": ["a"]}),
        ({"origin": {"non_field_errors": ["a"]}}, {"origin": ["a"]}),
        ({"non_field_errors": ["a"]}, {"body": ["a"]}),
        (["a"], {"body": ["a"]}),
        ({"name": "a"}, {"name": ["a"]}),
    ],
)
def test_nested_details_become_paths(detail, flat):
    assert handler.flatten_details(detail) == flat


@pytest.mark.parametrize(
    ("view", "arguments", "code", "status"),
    [
        (handler.bad_request, [SuspiciousOperation("strange")], "validation_error", 400),
        (handler.forbidden, [PermissionDenied()], "permission_denied", 403),
        (handler.not_found, [Http404()], "not_found", 404),
        (handler.server_error, [], "internal_error", 500),
    ],
)
def test_errors_outside_of_api_views_have_the_same_body(view, arguments, code, status):
    response = view(RequestFactory().get("/"), *arguments)
    assert (response.status_code, response["Content-Type"]) == (status, "application/json")
    body = json.loads(response.content)
    assert (body["error"], set(body)) == (code, {"error", "message", "details", "correlation_id"})


def test_error_outside_of_api_views_says_when_to_try_again():
    response = error_response(errors.RateLimited(retry_after_s=7))
    assert (response.status_code, response["Retry-After"]) == (429, "7")
