"""The WSGI application that gunicorn serves."""

import io
import os
from collections.abc import Callable, Iterable
from typing import Any

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
_django = get_wsgi_application()

from apikeys.access import usage  # noqa: E402 needs the models, which are loaded above

usage.flush_in_background()
# Upper bound of what is read; larger bodies exceed MAX_BODY_BYTES and are refused.
_MAX_CHUNKED_BODY = 8 * 1024 * 1024


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Call Django, with a Content-Length for chunked bodies, since Django ignores bodies without one."""
    if "chunked" in environ.get("HTTP_TRANSFER_ENCODING", "").lower():
        body = environ["wsgi.input"].read(_MAX_CHUNKED_BODY)
        environ |= {"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}
    return _django(environ, start_response)
