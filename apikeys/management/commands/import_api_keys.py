"""Import the API keys of another system, so that merchants can keep using them."""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from tqdm import tqdm

from apikeys.audit import events, security
from apikeys.db.tenancy import Mode, Tenant
from apikeys.keys import lifecycle
from apikeys.keys.format import key_digest
from apikeys.keys.strength import find_weakness
from apikeys.models import ApiKey, Merchant, Store, scopes

COLUMNS = ("merchant", "name", "key", "mode", "scopes", "store")


@dataclass(frozen=True)
class Line:
    """A valid line of the file."""

    tenant: Tenant
    name: str
    key: str
    scopes: tuple[str, ...]


class Command(BaseCommand):
    help = f"""Import API keys from a CSV file with the columns {", ".join(COLUMNS)} (scopes separated by blanks; scopes
    and store may be empty). Nothing is imported unless every line is valid. Invalid lines are listed without their key.
    Keys that exist already are not changed, so the same file can be imported again."""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--check", action="store_true", help="Only list invalid lines.")

    def handle(self, *args: Any, file: Path, check: bool, **options: Any) -> None:
        try:
            with file.open(newline="", encoding="utf-8") as source:
                lines, errors = _read_lines(source)
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"{file} cannot be read: {error}") from error
        if errors:
            raise CommandError("Nothing was imported.\n" + "\n".join(errors))
        known = set(ApiKey.objects.values_list("digest", flat=True)) if lines else set()
        new = [line for line in lines if key_digest(line.key) not in known]
        if not check:
            with transaction.atomic():
                for line in tqdm(new, unit="keys", file=self.stderr, disable=bool(os.environ.get("CI"))):
                    row = lifecycle.store_key(line.tenant, line.key, name=line.name, scopes=line.scopes)
                    data = lifecycle.key_data(row) | {"imported": True}
                    events.record(security.KEY_CREATED, tenant=row.tenant, subject_id=row.id, data=data)
        verb = "can be" if check else "were"
        self.stdout.write(f"{len(new)} keys {verb} imported, {len(lines) - len(new)} existed already.")


def _read_lines(source: TextIO) -> tuple[list[Line], list[str]]:
    rows = csv.DictReader(source)
    missing = {"merchant", "name", "key", "mode"} - set(rows.fieldnames or ())
    if missing:
        raise CommandError(f"The first line must name the columns {', '.join(COLUMNS)}; missing: {', '.join(missing)}.")
    lines, errors, seen = [], [], set()
    stores = _read_stores()
    for row in rows:
        try:
            line = _validate_line({name: row.get(name) or "" for name in COLUMNS}, stores)
            if line.key in seen:
                raise CommandError("An earlier line has the same key.")
        except CommandError as error:
            errors.append(f"line {rows.line_num}: {error}")
        else:
            seen.add(line.key)
            lines.append(line)
    return lines, errors


def _read_stores() -> dict[tuple[str, str], tuple[Any, Any]]:
    """Return the ids of merchant and store by (merchant's slug, store's code); the code is empty for no store."""
    merchants = {(slug, ""): (pk, None) for slug, pk in Merchant.objects.values_list("slug", "pk")}
    rows = Store.objects.values_list("merchant__slug", "code", "merchant_id", "pk")
    return merchants | {(slug, code): (merchant_id, pk) for slug, code, merchant_id, pk in rows}


def _validate_line(row: dict[str, str], stores: dict[tuple[str, str], tuple[Any, Any]]) -> Line:
    if weakness := find_weakness(row["key"]):
        raise CommandError(f"key: {weakness}")
    mode, name, slug, store = (row[column].strip() for column in ("mode", "name", "merchant", "store"))
    if mode not in Mode.values:
        raise CommandError(f"mode: {', '.join(Mode.values)} is expected.")
    if not 1 <= len(name) <= 100:
        raise CommandError("name: 1 to 100 characters are expected.")
    key_scopes = tuple(row["scopes"].split()) or scopes.DEFAULT
    if unknown := sorted(set(key_scopes) - set(scopes.OF_KEYS)):
        raise CommandError(f"scopes: there is no {', '.join(unknown)}.")
    if (slug, "") not in stores:
        raise CommandError(f"merchant: there is no {slug!r}.")
    if (slug, store) not in stores:
        raise CommandError(f"store: {slug} has no store {store!r}.")
    merchant_id, store_id = stores[slug, store]
    return Line(Tenant(merchant_id, mode, store_id), name, row["key"], key_scopes)
