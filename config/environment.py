"""Read settings from environment variables and from a ``.env`` file beside ``manage.py``.

The environment overrides the file. ``${NAME}`` in a value of the file is replaced by that variable. An empty variable
counts as not set. A wrong value stops the start with an error that names the variable; it shows no value that may
contain a password.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent
# Tests read no file, so that an installation in the same directory does not decide their results.
FILE = Path(os.environ.get("ENV_FILE") or BASE_DIR / ".env")
TRUE, FALSE = {"true", "1", "yes", "y", "on", "ok"}, {"false", "0", "no", "n", "off"}
MAX_INT = 2**31 - 1
MAX_DAYS = 36_500  # a hundred years; a date minus more days may not exist
DATABASE_SCHEMES = {"sqlite", "postgres", "postgresql", "pgsql"}
REDIS_SCHEMES = {"redis", "rediss", "unix"}
_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_WHOLE = re.compile(r"[+-]?[0-9]+")
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)")
_RATE = re.compile(r"[0-9]+/([1-9][0-9]*)?[smhd]")
_HOST = re.compile(r"\*|\.?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?|\[[0-9A-Fa-f:.]+\]")
_ORIGIN = re.compile(r"https?://(\*\.)?[A-Za-z0-9._-]+(:[0-9]+)?|https?://\[[0-9A-Fa-f:.]+\](:[0-9]+)?")
_ADDRESS = re.compile(r"[^@\s<>,]+@[^@\s<>,]+")


def read_file(path: Path, variables: MutableMapping[str, str]) -> dict[str, str]:
    """Add the variables of a ``.env`` file that are not set; return all of the file, as they are written there."""

    class File(environ.Env):
        ENVIRON: dict[str, str] = {}

    File.read_env(path, encoding="utf-8-sig")  # some editors begin files with a byte-order mark
    for name, value in File.ENVIRON.items():
        if name not in variables and value != f"${{{name}}}":
            variables[name] = value
    for name, value in File.ENVIRON.items():
        if variables.get(name) == value:
            variables[name] = _REFERENCE.sub(lambda found, name=name: _resolve(found[1], name, variables), value)
    return File.ENVIRON


def _resolve(reference: str, name: str, variables: MutableMapping[str, str]) -> str:
    if reference not in variables:
        raise ImproperlyConfigured(f"{name} in .env contains ${{{reference}}}, but {reference} is not set.")
    return variables[reference]


class Environment:
    """Reads variables. Of several names the first that is set counts; the others are documented aliases."""

    def __init__(self, variables: MutableMapping[str, str]) -> None:
        self.variables = variables
        # Each name that was read with the check of its value, for the tests.
        self.names: dict[str, Callable[[str, str], Any]] = {}

    def str(self, *names: str, default: Any = "") -> Any:
        """Return a text without surrounding blanks."""
        return self._read(names, default, any_text)

    def bool(self, name: str, *, default: bool) -> Any:
        """Return a truth value."""

        def parse(name: str, text: str) -> bool:
            if text.lower() not in TRUE | FALSE:
                raise wrong(name, "true or false", text)
            return text.lower() in TRUE

        return self._read((name,), default, parse)

    def int(self, *names: str, default: Any, minimum: int = 0, maximum: int = MAX_INT) -> Any:
        """Return a whole number."""

        def parse(name: str, text: str) -> Any:
            if not _WHOLE.fullmatch(text) or not minimum <= int(text) <= maximum:
                upper = f" to {maximum}" if maximum != MAX_INT else " or more"
                raise wrong(name, f"a whole number, {minimum}{upper},", text)
            return int(text)

        return self._read(names, default, parse)

    def float(self, *names: str, default: Any, minimum: float = 0, maximum: float = MAX_INT) -> Any:
        """Return a number, such as seconds."""

        def parse(name: str, text: str) -> Any:
            if not _NUMBER.fullmatch(text) or not minimum <= float(text) <= maximum:
                raise wrong(name, f"a number, {minimum} to {maximum},", text)
            return float(text)

        return self._read(names, default, parse)

    def choice(self, name: str, choices: tuple[str, ...], *, default: str) -> Any:
        """Return one of these words in upper case."""

        def parse(name: str, text: str) -> str:
            if text.upper() not in choices:
                raise wrong(name, f"one of {', '.join(choices)}", text)
            return text.upper()

        return self._read((name,), default, parse)

    def list(self, *names: str, default: list, entry: Callable[[str], Any] | None = None, expected: str = "") -> Any:
        """Return the entries of a comma-separated list. ``entry`` returns whether one is valid."""

        def parse(name: str, text: str) -> list:
            entries = [one for part in text.split(",") if (one := part.strip())]
            for one in entries:
                if entry and not entry(one):
                    raise wrong(name, f"a comma-separated list of {expected}", one)
            return entries

        return self._read(names, default, parse)

    def hosts(self, name: str, *, default: list) -> Any:
        """Return host names, without scheme and port."""
        return self.list(name, default=default, entry=_HOST.fullmatch, expected="host names (without scheme and port)")

    def origins(self, *names: str) -> Any:
        """Return origins such as https://shop.example."""
        return self.list(*names, default=[], entry=_ORIGIN.fullmatch, expected="origins like https://shop.example")

    def networks(self, name: str, *, default: list) -> Any:
        """Return IP addresses and networks."""
        return self.list(name, default=default, entry=_is_network, expected="IP addresses or networks")

    def rates(self, name: str, *, default: list) -> Any:
        """Return rates in django-ratelimit's notation."""
        return self.list(name, default=default, entry=_RATE.fullmatch, expected="rates like 10/15m")

    def addresses(self, name: str) -> Any:
        """Return e-mail addresses."""
        return self.list(name, default=[], entry=_ADDRESS.fullmatch, expected="e-mail addresses")

    def url(self, name: str, *, default: str = "", schemes: set[str] = frozenset({"http", "https"})) -> Any:
        """Return a URL with one of these schemes."""

        def parse(name: str, text: str) -> str:
            _check_url(name, text, schemes)
            return text

        return self._read((name,), default, parse)

    def database(self, name: str, *, default: str) -> dict[str, Any]:
        """Return Django's configuration of a database. ``postgresql+driver://`` (SQLAlchemy's form) is accepted."""

        def parse(name: str, text: str) -> dict[str, Any]:
            scheme, mark, rest = text.partition("://")
            if scheme.startswith("postgresql+"):
                text = f"postgresql{mark}{rest}"
            if text != "sqlite://:memory:":
                _check_url(name, text, DATABASE_SCHEMES)
            return environ.Env.db_url_config(text)

        return self._read((name,), None, parse) or parse(name, default)

    def email(self, name: str, *, default: str) -> dict[str, Any]:
        """Return Django's configuration of outgoing mail."""

        def parse(name: str, text: str) -> dict[str, Any]:
            _check_url(name, text, set(environ.Env.EMAIL_SCHEMES))
            return environ.Env.email_url_config(text)

        return self._read((name,), None, parse) or parse(name, default)

    def _read(self, names: tuple[str, ...], default: Any, parse: Callable[[str, str], Any]) -> Any:
        self.names |= dict.fromkeys(names, parse)
        for name in names:
            if text := self.variables.get(name, "").strip():
                return parse(name, text)
        return default


def any_text(_name: str, text: str) -> str:
    """Return the text: it has no wrong values."""
    return text


def wrong(name: str, expected: str, text: str) -> ImproperlyConfigured:
    """Return the error for a wrong value."""
    return ImproperlyConfigured(f"{name} must be {expected.rstrip(',')}, not {text[:60]!r}.")


def _check_url(name: str, text: str, schemes: set[str]) -> None:
    """Raise an error that shows only the URL's scheme, because the rest may contain a password."""
    scheme, mark, _rest = text.partition("://")
    if not mark or scheme.lower() not in schemes:
        shown = f"{scheme}://…" if mark else "a text without ://"
        raise ImproperlyConfigured(f"{name} must be a URL that begins with {_join(schemes)}, not {shown}")
    try:
        parts = urlsplit(text)
        complete = parts.port is None or parts.port > 0
    except ValueError:  # text after the last colon is no port, or brackets are not closed
        complete = False
    if not complete or ("http" in schemes and not parts.hostname):
        raise ImproperlyConfigured(
            f"{name} is not a valid URL: check host and port, and write special characters of a password as %XX."
        )


def _join(schemes: set[str]) -> str:
    return ", ".join(f"{scheme}://" for scheme in sorted(schemes))


def _is_network(text: str) -> bool:
    try:
        return bool(ipaddress.ip_network(text, strict=False))
    except ValueError:
        return False


FROM_FILE = read_file(FILE, os.environ)
env = Environment(os.environ)
