"""Exit with 0 if the web process of this container answers ``GET /health`` with 200."""

import http.client
import os
import sys


def host_header() -> str:
    """Return the first of ``ALLOWED_HOSTS`` without its wildcard: a host name that the installation accepts."""
    return os.environ.get("ALLOWED_HOSTS", "").split(",")[0].strip().strip("*.") or "localhost"


def main() -> int:
    """Send one request; the container's scheduler repeats the check."""
    connection = http.client.HTTPConnection("127.0.0.1", int(os.environ.get("PORT") or "8000"), timeout=4)
    try:
        connection.request("GET", "/health", headers={"Host": host_header()})
        status = connection.getresponse().status
    except OSError as error:
        print(f"/health does not answer: {error}")
        return 1
    print(f"/health answered {status}")
    return int(status != 200)


if __name__ == "__main__":
    sys.exit(main())
