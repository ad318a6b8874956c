"""Refusals inside successful answers: the carrier sends HTTP 200 and a body that says no."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from carriers.adapters.records import to_storable
from carriers.adapters.values import FLAGS

_FLAGS = ("success", "successful", "is_success", "ok")
_STATUS = ("status", "status_code", "statusCode", "code")
_REFUSED_WORDS = ("error", "errors", "fail", "failed", "failure")
_ERRORS = ("error", "errors", "exception", "fault")
_CODES = ("code", "error_code", "errorCode", "status_code", "statusCode", "status")
_WORDS = ("message", "msg", "error_message", "errorMessage", "detail", "description", "reason", "remarks", "title")


class Refusal(NamedTuple):
    """The carrier's code and words; the code may be empty."""

    code: str
    message: str


def find_refusal(answer: Any) -> Refusal | None:
    """Return the refusal that a successful answer contains, or None.

    An answer refuses if a flag of success is false, if its status is 0, false, an error's number or word with a text
    beside it, or if it has an error (a text, its parts or just true) and no flag of success that is true. Several
    refusals in a list are one.
    """
    if isinstance(answer, list):
        found = [find_refusal(item) for item in answer[:10]]
        return found[0] if found and all(found) else None
    if not isinstance(answer, Mapping):
        return None
    flags = [_flag(answer[name]) for name in _FLAGS if name in answer]
    errors = [answer[name] for name in _ERRORS if answer.get(name) and _flag(answer[name]) is not False]
    said = any(isinstance(answer.get(name), str) and answer[name] for name in (*_WORDS, *_ERRORS)) or bool(errors)
    refused = False in flags or (said and any(_is_error(answer[name]) for name in _STATUS if name in answer))
    refused = refused or (any(_text(error) or _flag(error) for error in errors) and True not in flags)
    return Refusal(_code(answer, errors), _message(answer, errors)) if refused else None


def _flag(value: Any) -> bool | None:
    return FLAGS.get(str(value).strip().lower()) if isinstance(value, bool | int | str) else None


def _is_error(status: Any) -> bool:
    text = str(status).strip().lower() if isinstance(status, bool | int | str) else ""
    if text in _REFUSED_WORDS or FLAGS.get(text) is False:
        return True
    return text.isascii() and text.isdigit() and len(text) == 3 and "400" <= text <= "599"


def _code(answer: Mapping[str, Any], errors: list[Any]) -> str:
    for source in (*_mappings(errors), answer):
        for name in _CODES:
            value = source.get(name)
            if isinstance(value, str | int) and not isinstance(value, bool) and str(value).strip():
                return str(to_storable(str(value)[:64]))
    return ""


def _message(answer: Mapping[str, Any], errors: list[Any]) -> str:
    texts = [_text({name: answer[name]}) for name in _WORDS if name in answer] + [_text(error) for error in errors]
    return "; ".join(dict.fromkeys(text for text in texts if text))[:1000]


def _text(value: Any, depth: int = 0) -> str:
    """Return the words in an error: a text, a field of ``_WORDS``, or those of its parts."""
    if isinstance(value, str):
        return str(to_storable(value.strip()))
    if depth > 3:
        return ""
    if isinstance(value, list):
        return "; ".join(filter(None, (_text(item, depth + 1) for item in value[:10])))
    if isinstance(value, Mapping):
        named = [_text(value[name], depth + 1) for name in _WORDS if name in value]
        parts = [(name, _text(item, depth + 1)) for name, item in list(value.items())[:10]]
        return next(filter(None, named), "") or "; ".join(f"{name}: {text}" for name, text in parts if text)
    return ""


def _mappings(errors: list[Any]) -> list[Mapping[str, Any]]:
    parts = [part for error in errors for part in (error if isinstance(error, list) else [error])]
    return [part for part in parts if isinstance(part, Mapping)]
