"""Pooled connections with one deadline per call.

``requests`` alone limits only each connection attempt and each pause between two reads. This is the only module that
depends on urllib3's internals.
"""

from __future__ import annotations

import http.client
import io
import socket
import threading
import time
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
    ReadTimeoutError,
)
from urllib3.util.connection import allowed_gai_family, create_connection

_thread = threading.local()
_SHORTEST_TIMEOUT_S = 0.001  # a socket takes a timeout of 0 for "non-blocking"
_LOST_PACKET_S = 2.0  # a lost first packet is sent again after a second


def create_session() -> requests.Session:
    """Return a session that all threads can share: requests are prepared outside, and it has no state of its own.

    It stores no cookies either: a carrier may set a new one for each path.
    """
    session = requests.Session()
    session.trust_env = False
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    for scheme in ("http://", "https://"):
        session.mount(scheme, _Adapter(pool_connections=20, pool_maxsize=50, max_retries=0))
    return session


class TooLarge(Exception):
    """A carrier sends more than allowed. Not an ``OSError``, which libraries would take for a lost connection."""


def set_limits(*, deadline: float, max_bytes: int) -> None:
    """Set limits for this thread's next HTTP call.

    Args:
        deadline: ``time.monotonic`` by which the answer ends, even if it arrives byte by byte.
        max_bytes: bytes to read from the socket; more raise ``TooLarge``. A chunk's declared size is no limit.
    """
    _thread.deadline, _thread.max_bytes = deadline, max_bytes


def is_never_sent(error: requests.RequestException) -> bool:
    """Return whether no connection was made, so that the carrier has seen nothing."""
    if isinstance(error, requests.ConnectTimeout):
        return True
    reason = getattr(error.args[0] if error.args else None, "reason", None)
    return isinstance(reason, NewConnectionError | ConnectTimeoutError)


def is_timeout(error: requests.RequestException) -> bool:
    """Return whether time ran out, also within an answer, which ``requests`` reports as a lost connection."""
    return isinstance(error, requests.Timeout) or any(isinstance(one, ReadTimeoutError) for one in error.args)


def _seconds_left() -> float:
    return max(_SHORTEST_TIMEOUT_S, _thread.deadline - time.monotonic())


class _LimitedReader(io.RawIOBase):
    """A socket's bytes until the deadline, then ``TimeoutError``; up to the limit, then ``TooLarge``."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, deadline: float, max_bytes: int) -> None:
        self.raw, self.sock, self.deadline, self.bytes_left = raw, sock, deadline, max_bytes

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        seconds = self.deadline - time.monotonic()
        if seconds <= 0:
            raise TimeoutError("the answer did not end in time")
        self.sock.settimeout(seconds)
        read = self.raw.readinto(buffer)
        self.bytes_left -= read or 0
        if self.bytes_left < 0:
            raise TooLarge("more bytes than an answer may have")
        return read

    def close(self) -> None:
        if not self.closed:
            self.raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        reader = _LimitedReader(self.fp.detach(), sock, _thread.deadline, _thread.max_bytes)
        self.fp = io.BufferedReader(reader)


class _DeadlineMixin:
    """Connects within one timeout, where urllib3 allows it once per address, and ends with the call's deadline."""

    response_class = _Response

    def _new_conn(self) -> socket.socket:
        addresses = self._resolve()
        end = time.monotonic() + min(self.timeout, _seconds_left())
        problem: HTTPError = ConnectTimeoutError(self, "there is no time to connect")
        for position, address in enumerate(addresses):
            left = end - time.monotonic()
            if left <= 0:
                break
            # An equal part of the time, but enough for a lost packet, and never more than half.
            timeout = max(left / (len(addresses) - position), min(left / 2, _LOST_PACKET_S))
            try:
                sock = create_connection((address, self.port), timeout, self.source_address, self.socket_options)
                sock.settimeout(max(_SHORTEST_TIMEOUT_S, end - time.monotonic()))  # for the TLS handshake
                return sock
            except TimeoutError:
                problem = ConnectTimeoutError(self, f"{address} does not answer")
            except OSError as error:
                problem = NewConnectionError(self, f"{address}: {error}")
        raise problem

    def _resolve(self) -> list[str]:
        try:
            found = socket.getaddrinfo(self._dns_host, self.port, allowed_gai_family(), socket.SOCK_STREAM)
        except (socket.gaierror, UnicodeError) as error:
            raise NameResolutionError(self.host, self, error) from error
        return [address[0] for *_kind, address in found]

    def connect(self) -> None:
        super().connect()
        self.sock.settimeout(_seconds_left())

    def request(self, *args: Any, **kwargs: Any) -> None:
        if self.sock is not None:  # a pooled connection: sending has until the deadline, not the connect timeout
            self.timeout = _seconds_left()
        super().request(*args, **kwargs)


class _Connection(_DeadlineMixin, HTTPConnection):
    pass


class _SecureConnection(_DeadlineMixin, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}
