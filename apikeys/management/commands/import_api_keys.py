"""Take over the API keys of another system, so that merchants need not change theirs."""

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
    """One line of the file, checked."""

    tenant: Tenant
    name: str
    key: str
    scopes: tuple[str, ...]


class Command(BaseCommand):
    help = f"""Import API keys from a CSV file with the columns {", ".join(COLUMNS)} (scopes separated by blanks; scopes
    and store may be empty). Nothing is imported unless every line can be; what cannot be is listed, never with the key.
    Keys that are here already are left as they are, so the same file may be imported again."""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--check", action="store_true", help="Only say what would be refused.")

    def handle(self, *args: Any, file: Path, check: bool, **options: Any) -> None:
        try:
            with file.open(newline="", encoding="utf-8") as source:
                lines, refused = _read(source)
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"{file} cannot be read: {error}") from error
        if refused:
            raise CommandError("Nothing was imported.\n" + "\n".join(refused))
        known = set(ApiKey.objects.values_list("digest", flat=True)) if lines else set()
        new = [line for line in lines if key_digest(line.key) not in known]
        if not check:
            with transaction.atomic():
                for line in tqdm(new, unit="keys", file=self.stderr, disable=bool(os.environ.get("CI"))):
                    _import(line)
        verb = "can be" if check else "were"
        self.stdout.write(f"{len(new)} keys {verb} imported, {len(lines) - len(new)} were here already.")


def _read(source: TextIO) -> tuple[list[Line], list[str]]:
    rows = csv.DictReader(source)
    missing = {"merchant", "name", "key", "mode"} - set(rows.fieldnames or ())
    if missing:
        raise CommandError(f"The first line must name the columns {', '.join(COLUMNS)}; missing: {', '.join(missing)}.")
    lines, refused, seen, places = [], [], set(), _places()
    for row in rows:
        try:
            line = _checked({name: row.get(name) or "" for name in COLUMNS}, places)
            if line.key in seen:
                raise CommandError("The same key stands in the file before.")
        except CommandError as error:
            refused.append(f"line {rows.line_num}: {error}")
        else:
            seen.add(line.key)
            lines.append(line)
    return lines, refused


def _places() -> dict[tuple[str, str], tuple[Any, Any]]:
    """(merchant's slug, store's code or nothing): their ids."""
    places = {(slug, ""): (pk, None) for slug, pk in Merchant.objects.values_list("slug", "pk")}
    stores = Store.objects.values_list("merchant__slug", "code", "merchant_id", "pk")
    return places | {(slug, code): (merchant_id, pk) for slug, code, merchant_id, pk in stores}


def _checked(row: dict[str, str], places: dict[tuple[str, str], tuple[Any, Any]]) -> Line:
    if why := find_weakness(row["key"]):
        raise CommandError(f"key: {why}")
    mode, name, slug, store = (row[column].strip() for column in ("mode", "name", "merchant", "store"))
    if mode not in Mode.values:
        raise CommandError(f"mode: {', '.join(Mode.values)} is expected.")
    if not 1 <= len(name) <= 100:
        raise CommandError("name: 1 to 100 characters are expected.")
    wanted = tuple(row["scopes"].split()) or scopes.DEFAULT
    if unknown := sorted(set(wanted) - set(scopes.OF_KEYS)):
        raise CommandError(f"scopes: there is no {', '.join(unknown)}.")
    if (slug, "") not in places:
        raise CommandError(f"merchant: there is no {slug!r}.")
    if (slug, store) not in places:
        raise CommandError(f"store: {slug} has no store {store!r}.")
    merchant_id, store_id = places[slug, store]
    return Line(Tenant(merchant_id, mode, store_id), name, row["key"], wanted)


def _import(line: Line) -> None:
    row = lifecycle.store_key(line.tenant, line.key, name=line.name, scopes=line.scopes)
    data = lifecycle.key_data(row) | {"imported": True}
    events.record(security.KEY_CREATED, tenant=row.tenant, subject_id=row.id, data=data)
