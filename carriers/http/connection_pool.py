"""Pooled connections that end at a moment: ``requests`` alone bounds only each address and each silence."""

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
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NameResolutionError, NewConnectionError, ReadTimeoutError
from urllib3.util.connection import allowed_gai_family, create_connection

_thread = threading.local()
_AN_INSTANT_S = 0.001  # a socket takes 0 for "do not wait at all"
_A_TRY_S = 2.0  # a lost first packet is sent again after a second


def session() -> requests.Session:
    """To be shared by all threads; what is sent is prepared outside of it, so it carries no cookies or credentials.

    It keeps no cookies either, which a carrier may set for each path anew.
    """
    made = requests.Session()
    made.trust_env = False
    made.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    for scheme in ("http://", "https://"):
        made.mount(scheme, _Adapter(pool_connections=20, pool_maxsize=50, max_retries=0))
    return made


class TooLarge(Exception):
    """A carrier sends more than it may. No ``OSError``, which libraries would take for a lost connection."""


def end_at(moment: float, *, most: int) -> None:
    """Whatever this thread asks from now on is sent and answered by then (``time.monotonic``), drip or not.

    Of each answer at most so many bytes: what a chunk says of its size bounds nothing. More raises ``TooLarge``.
    """
    _thread.end, _thread.most = moment, most


def is_never_sent(error: requests.RequestException) -> bool:
    """Return whether no connection was made, so that the carrier has seen nothing."""
    if isinstance(error, requests.ConnectTimeout):
        return True
    reason = getattr(error.args[0] if error.args else None, "reason", None)
    return isinstance(reason, NewConnectionError | ConnectTimeoutError)


def is_timeout(error: requests.RequestException) -> bool:
    """Return whether time ran out, also within an answer, which ``requests`` reports as a lost connection."""
    return isinstance(error, requests.Timeout) or any(isinstance(one, ReadTimeoutError) for one in error.args)


def _left() -> float:
    return max(_AN_INSTANT_S, _thread.end - time.monotonic())


def _share(left: float, addresses: int) -> float:
    """How long to try the first of so many addresses: long enough for a lost packet, and never all of the time."""
    return max(left / addresses, min(left / 2, _A_TRY_S))


class _Bounded(io.RawIOBase):
    """A socket's bytes until the moment has come, then ``TimeoutError``; so many of them, then ``TooLarge``."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, end: float, most: int) -> None:
        self.raw, self.sock, self.end, self.left = raw, sock, end, most

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self.end - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer did not end in time")
        self.sock.settimeout(left)
        read = self.raw.readinto(buffer)
        self.left -= read or 0
        if self.left < 0:
            raise TooLarge("more bytes than an answer may have")
        return read

    def close(self) -> None:
        if not self.closed:
            self.raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_Bounded(self.fp.detach(), sock, _thread.end, _thread.most))


class _Ending:
    """Connects within one timeout, where urllib3 grants it to each address, and speaks until the call's end."""

    response_class = _Response

    def _new_conn(self) -> socket.socket:
        addresses = self._addresses()
        end = time.monotonic() + min(self.timeout, _left())
        problem: HTTPError = ConnectTimeoutError(self, "there is no time to connect")
        for position, address in enumerate(addresses):
            left = end - time.monotonic()
            if left <= 0:
                break
            try:
                return self._connected(address, _share(left, len(addresses) - position), end)
            except TimeoutError:
                problem = ConnectTimeoutError(self, f"{address} does not answer")
            except OSError as error:
                problem = NewConnectionError(self, f"{address}: {error}")
        raise problem

    def _addresses(self) -> list[str]:
        try:
            found = socket.getaddrinfo(self._dns_host, self.port, allowed_gai_family(), socket.SOCK_STREAM)
        except (socket.gaierror, UnicodeError) as error:
            raise NameResolutionError(self.host, self, error) from error
        return [place[0] for *_kind, place in found]

    def _connected(self, address: str, seconds: float, end: float) -> socket.socket:
        sock = create_connection((address, self.port), seconds, self.source_address, self.socket_options)
        sock.settimeout(max(_AN_INSTANT_S, end - time.monotonic()))  # what is left is for the handshake
        return sock

    def connect(self) -> None:
        super().connect()
        self.sock.settimeout(_left())

    def request(self, *args: Any, **kwargs: Any) -> None:
        if self.sock is not None:  # connected, so what is sent has until the end
            self.timeout = _left()
        super().request(*args, **kwargs)


class _Connection(_Ending, HTTPConnection):
    pass


class _SecureConnection(_Ending, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}
