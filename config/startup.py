"""Warnings at the start: variables that are set but have no effect, and settings that contradict each other.

Each process tree warns once: the first process marks the environment, which its children inherit.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Collection, Mapping, MutableMapping
from typing import NamedTuple

from config.environment import BASE_DIR, FROM_FILE, TRUE

_MARK = "WAYBILL_START_WARNINGS_SHOWN"
_MODE_OF_KEY = "A test key calls the simulated carriers and a live key the real ones."


class Unused(NamedTuple):
    """A documented variable without effect: the reason, and values that ask for nothing."""

    reason: str
    harmless: Collection[str] = ()


UNUSED = {
    "WORKER_CLASS": Unused(
        "Waybill runs in gunicorn's threads (WEB_THREADS), not in an asynchronous worker.", ("gthread",)
    ),
    "CELERY_BROKER_URL": Unused("Work is queued in database rows and needs no broker; run manage.py work."),
    "CELERY_RESULT_BACKEND": Unused("Work is queued in database rows, which also hold the results."),
    "SENTRY_DSN": Unused("Waybill sends nothing to Sentry; errors are JSON lines on stderr."),
    "DATADOG_API_KEY": Unused("Waybill sends nothing to Datadog; its agent can read /metrics and the log lines."),
    "VELOCITY_TEST_WAREHOUSE_ID": Unused(
        "Each label request names its warehouse_id, and POST /api/v1/warehouses registers warehouses."
    ),
    "USE_VELOCITY_MOCK": Unused(_MODE_OF_KEY, ("false", "0", "no", "off")),
    "NODE_ENV": Unused(_MODE_OF_KEY),
}


def find_warnings(variables: Mapping[str, str], from_file: Mapping[str, str]) -> list[str]:
    """Return a sentence for each variable without effect and each setting that does not fit the others."""
    found = [
        f"{name} is set but not used. {unused.reason}"
        for name, unused in UNUSED.items()
        if variables.get(name, "").strip() and variables[name].strip().lower() not in unused.harmless
    ]
    known = known_names() if from_file else set()
    referenced = {name for value in from_file.values() for name in re.findall(r"\$\{(\w+)\}", value)}
    for name in sorted(set(from_file) - known - referenced):
        similar = difflib.get_close_matches(name, known, n=1, cutoff=0.85)
        found.append(f"{name} in .env is unknown and not used." + (f" Did you mean {similar[0]}?" if similar else ""))
    if variables.get("DEBUG", "").strip().lower() in TRUE:
        found.append("DEBUG=true: demo mode with public secrets. Never use it in production (manage.py generate_env).")
    elif _processes(variables) > 1 and not variables.get("REDIS_URL", "").strip():
        found.append("Several web processes without REDIS_URL: each of them counts rate limits by itself.")
    if (
        variables.get("BEHIND_TLS_PROXY", "").strip().lower() in TRUE
        and not variables.get("TRUSTED_PROXIES", "").strip()
    ):
        found.append(
            "BEHIND_TLS_PROXY without TRUSTED_PROXIES: rate limits and keys see the proxy's address as the client's."
        )
    return found


def warn_once(show: Callable[[str], object], variables: MutableMapping[str, str] = os.environ) -> None:
    """Show the warnings, unless a parent process has shown them."""
    if not variables.get(_MARK):
        variables[_MARK] = "1"
        for text in find_warnings(variables, FROM_FILE):
            show(text)


def known_names() -> set[str]:
    """Return the variables of ``.env.example`` and the unused ones."""
    lines = (BASE_DIR / ".env.example").read_text().splitlines()
    return {found[1] for line in lines if (found := re.match(r"#?([A-Z][A-Z_0-9]+)=", line))} | set(UNUSED)


def _processes(variables: Mapping[str, str]) -> int:
    number = variables.get("WEB_CONCURRENCY", "").strip() or variables.get("WORKERS", "").strip()
    return int(number) if number.isdecimal() else 1
