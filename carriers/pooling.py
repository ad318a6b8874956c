"""Pooled connections whose answers end at a moment: ``requests`` alone bounds only the silence between two bytes."""

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

_thread = threading.local()


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
    """The answers that this thread asks for from now on are read until then (``time.monotonic``), drip or not.

    Of each at most so many bytes: what a chunk says of its size bounds nothing. More raises ``TooLarge``.
    """
    _thread.end, _thread.most = moment, most


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


class _Connection(HTTPConnection):
    response_class = _Response


class _SecureConnection(HTTPSConnection):
    response_class = _Response


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}
