"""Strength checks for API keys of other systems, before they are imported."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from functools import cache

from django.contrib.auth.password_validation import CommonPasswordValidator
from django.core.exceptions import ValidationError

from apikeys.keys.format import is_well_formed

MIN_LENGTH = 16
MIN_BITS = 60
# Placeholders of documentation and tutorials. Matched in lower case, without punctuation.
_PLACEHOLDERS = re.compile(
    r"(your|my|the|a|an|some|test|demo|sample|example|sandbox|dev|new|old|fake|dummy|default|public|waybill|api|key|"
    r"apikey|secret|token|password|passwd|client|access|here|change|changeme|me|this|replace|insert|todo|none|null|"
    r"encryption|byte|bytes|foo|bar|x|[0-9]{1,6}|abc|pickit|velocity|dhl|fedex|ups|postnord|bring)+"
)
# Secrets of other services. One in the file was leaked from there.
_OTHER_SERVICES = re.compile(
    r"(sk|pk|rk)_(live|test)_|gh[pousr]_|github_pat_|glpat-|xox[abprs]-|AKIA|ASIA|AIza|ya29\.|eyJ|SG\.|shpat_|EZAK|EZTK|"
    r"shippo_|whsec_|-----BEGIN|npm_|pypi-|dop_v1_|hf_|sq0|AC[0-9a-f]{32}|https?:"
)


def find_weakness(key: str) -> str:
    """Return why a key may not be imported, as a sentence; empty if it may."""
    if not is_well_formed(key):
        return "It is not a key: 1 to 72 printable ASCII characters are expected, and wb_ keys need their checksum."
    if key.startswith("wb_"):
        return ""
    if key != key.strip() or " " in key:
        return "It contains blanks."
    if _OTHER_SERVICES.match(key):
        return "It looks like a secret of another service that has leaked into the list."
    if _is_placeholder(key) or _is_common(key):
        return "It is a placeholder or a common password."
    if len(key) < MIN_LENGTH:
        return f"It is shorter than {MIN_LENGTH} characters."
    if _entropy_bits(key) < MIN_BITS:
        return "It repeats itself too much to be random."
    return ""


def _is_placeholder(key: str) -> bool:
    """Return whether a key consists of words of documentation. One without three letters in a row has no word."""
    letters = re.sub(r"[^a-z0-9]", "", key.lower())
    return bool(_PLACEHOLDERS.fullmatch(letters) and re.search("[a-z]{3}", letters))


@cache
def _common_passwords() -> CommonPasswordValidator:
    # Each new validator reads the list of passwords from its file.
    return CommonPasswordValidator()


def _is_common(key: str) -> bool:
    try:
        _common_passwords().validate(key)
    except ValidationError:
        return True
    return False


def _entropy_bits(key: str) -> float:
    """Return the Shannon entropy in bits. Runs such as aaaa, abcdef or 987654 count as two characters."""
    steps = [ord(letter) - ord(before) for before, letter in itertools.pairwise(key)]
    goes_on = [False, False, *(step == before and abs(step) < 2 for before, step in itertools.pairwise(steps))]
    counts = Counter(letter for letter, is_run in zip(key, goes_on, strict=True) if not is_run)
    letters = counts.total()
    return letters * -sum(n / letters * math.log2(n / letters) for n in counts.values())
