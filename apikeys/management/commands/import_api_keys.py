"""Import the API keys of another system, so that merchants can keep using them."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from tqdm import tqdm

from apikeys.audit import events, security
from apikeys.db.tenancy import Mode, Tenant
from apikeys.files import cells, tables
from apikeys.http.text import normalize_text
from apikeys.keys import lifecycle
from apikeys.keys.format import key_digest
from apikeys.keys.strength import find_weakness
from apikeys.models import ApiKey, Merchant, Store, scopes

COLUMNS = {
    "merchant": cells.read_identifier,
    "name": cells.read_text,
    "key": cells.read_secret,
    "mode": cells.read_text,
    "scopes": cells.read_text,
    "store": cells.read_identifier,
}
_REQUIRED = frozenset(("merchant", "name", "key", "mode"))


@dataclass(frozen=True)
class Line:
    """A valid row of the file."""

    tenant: Tenant
    name: str
    key: str
    scopes: tuple[str, ...]


class Command(BaseCommand):
    help = f"""Import API keys from a CSV file with the columns {", ".join(COLUMNS)} (scopes separated by blanks; scopes
    and store may be empty). Nothing is imported unless every row is valid. Invalid rows are listed without their key.
    Keys that exist already are not changed, so the same file can be imported again."""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--check", "--dry-run", action="store_true", help="Only list invalid rows.")
        parser.add_argument("--encoding", default="", help="Encoding of a file that is not Unicode, like windows-1252.")

    def handle(self, *args: Any, file: Path, check: bool, encoding: str, **options: Any) -> None:
        try:
            with tables.inspect(file, encoding).open() as source:
                table = tables.read_table(source, COLUMNS, _REQUIRED)
                lines, errors = _read_lines(table)
        except (tables.UnreadableFile, OSError) as error:
            raise CommandError(str(error)) from error
        if table.ignored:
            self.stderr.write(f"Not imported: the columns {', '.join(table.ignored)}.")
        if errors:
            raise CommandError("Nothing was imported.\n" + "\n".join(errors))
        known = set(ApiKey.objects.values_list("digest", flat=True)) if lines else set()
        new = [line for line in lines if key_digest(line.key) not in known]
        if not check:
            # Before the transaction: that of a large file would block other writers and event feeds for long.
            bar = tqdm(new, unit="keys", file=self.stderr, disable=bool(os.environ.get("CI")))
            hashes = [lifecycle.hash_key(line.key) for line in bar]
            with transaction.atomic():
                for line, hashed in zip(new, hashes, strict=True):
                    row = lifecycle.store_key(line.tenant, line.key, name=line.name, scopes=line.scopes, hashed=hashed)
                    data = lifecycle.key_data(row) | {"imported": True}
                    events.record(security.KEY_CREATED, tenant=row.tenant, subject_id=row.id, data=data)
        verb = "can be" if check else "were"
        self.stdout.write(f"{len(new)} keys {verb} imported, {len(lines) - len(new)} existed already.")


def _read_lines(table: tables.Table) -> tuple[list[Line], list[str]]:
    """Return the valid lines, and what is wrong with the others: never a part of a key."""
    lines, errors, seen = [], [], set()
    stores = _read_stores()
    for row in table.rows:
        try:
            if row.errors:
                raise CommandError(" ".join(f"{name}: {' '.join(reasons)}" for name, reasons in row.errors.items()))
            line = _validate_line({name: row.cells.get(name, "") for name in COLUMNS}, stores)
            if line.key in seen:
                raise CommandError("key: an earlier row has the same one.")
        except CommandError as error:
            errors.append(f"row {row.number}: {error}")
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
    mode, slug, store = row["mode"].strip().lower(), row["merchant"].strip(), row["store"].strip()
    name = normalize_text(row["name"])
    if mode not in Mode.values:
        raise CommandError(f"mode: {', '.join(Mode.values)} is expected.")
    if not 1 <= len(name) <= 100:
        raise CommandError("name: 1 to 100 characters are expected.")
    key_scopes = tuple(filter(None, re.split(r"[\s,;]+", row["scopes"]))) or scopes.DEFAULT
    if unknown := sorted(set(key_scopes) - set(scopes.OF_KEYS)):
        raise CommandError(f"scopes: there is no {', '.join(unknown)}.")
    if (slug, "") not in stores:
        raise CommandError(f"merchant: there is no {slug!r}.")
    if (slug, store) not in stores:
        raise CommandError(f"store: {slug} has no store {store!r}.")
    merchant_id, store_id = stores[slug, store]
    return Line(Tenant(merchant_id, mode, store_id), name, row["key"], key_scopes)
