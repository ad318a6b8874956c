"""SQL of the counts of units and deliveries, so that no total needs a scan.

Triggers (``triggers``) append each statement's changes to two tables (``UnitTally``, ``DeliveryTally``) in the same
transaction. A total is the sum of their rows. Rows are never updated, so writers never wait for each other. The worker
sums them up (``shipping.reports.counters``).

Triggers, first fill and check use the same SELECT of a shipment's keys and figures.
"""

from __future__ import annotations

from dataclasses import dataclass

SHIPMENTS = "shipping_shipment"
_UNIT = "{r}booking_state IN ('none', 'booked')"
# A carrier's or merchant's clock before 2000 was not set.
_DELIVERED = "{r}delivered_at >= '2000-01-01 00:00:00+00' AND {r}first_at >= '2000-01-01 00:00:00+00'"
# From the pickup, else from the first checkpoint.
_SINCE = "COALESCE({r}picked_up_at, {r}first_at)"
MAX_DAYS = 365


@dataclass(frozen=True)
class Tally:
    """One table of counts: SQL of its keys and sums, and the condition on shipments (``of``)."""

    table: str
    keys: dict[str, str]
    sums: dict[str, str]
    of: str


@dataclass(frozen=True)
class Dialect:
    """SQL expressions that differ between PostgreSQL and SQLite."""

    seconds: str
    most: str
    day: str
    country: str


_DIALECTS = {
    "postgresql": Dialect(
        seconds="floor(extract(epoch FROM {0}))::bigint",
        most="GREATEST({0}, {1})",
        day="({0} AT TIME ZONE 'UTC')::date",
        country="upper(left(COALESCE({0}->>'country', ''), 2))",
    ),
    "sqlite": Dialect(
        # Without a percent sign, which database drivers read as a placeholder.
        seconds="CAST(ROUND((julianday(substr({0}, 1, 19)) - 2440587.5) * 86400) AS INTEGER)",
        most="MAX({0}, {1})",
        day="date({0})",
        country="upper(substr(COALESCE(json_extract({0}, '$.country'), ''), 1, 2))",
    ),
}


def tallies(vendor: str) -> tuple[Tally, Tally]:
    """Return the counts of units and of deliveries in a vendor's SQL; ``{r}`` stands for the row."""
    say = _DIALECTS[vendor]

    def seconds(since: str) -> str:
        return say.most.format(0, f"{say.seconds.format('{r}delivered_at')} - {say.seconds.format(since)}")

    def when(condition: str, then: str = "1") -> str:
        return f"CASE WHEN {condition} THEN {then} ELSE 0 END"

    owner = {name: f"{{r}}{name}" for name in ("merchant_id", "mode", "store_id", "carrier")}
    units = Tally(
        "shipping_unittally",
        owner | {"status": "{r}status"},
        {
            "units": "1",
            "checkpoints": "{r}checkpoint_count",
            "delivered": when(_DELIVERED),
            "delivery_seconds": when(_DELIVERED, seconds("{r}first_at")),
        },
        _UNIT,
    )
    days = f"({seconds(_SINCE)} + 86399) / 86400"
    deliveries = Tally(
        "shipping_deliverytally",
        owner
        | {
            "origin_country": say.country.format("{r}origin"),
            "destination_country": say.country.format("{r}destination"),
            "day": say.day.format("{r}delivered_at"),
            "transit_days": f"CASE WHEN {days} > {MAX_DAYS} THEN {MAX_DAYS} ELSE {days} END",
        },
        {
            "deliveries": "1",
            "transit_seconds": seconds(_SINCE),
            "promised": when("{r}promised_delivery IS NOT NULL"),
            "on_time": when("{r}delivered_at <= {r}promised_delivery"),
        },
        f"{_UNIT} AND {_DELIVERED}",
    )
    return units, deliveries


def facts(tally: Tally, row: str, source: str = "", sign: str = "") -> str:
    """Return a SELECT of the keys and figures of each row of ``source``, or of ``NEW`` or ``OLD`` in a trigger."""
    shown = [
        *(f"{sql} AS {name}" for name, sql in tally.keys.items()),
        *(f"{sign}({sql}) AS {name}" for name, sql in tally.sums.items()),
    ]
    text = f"SELECT {', '.join(shown)} {f'FROM {source}' if source else ''} WHERE {tally.of}"
    return text.replace("{r}", row)


def summed(tally: Tally, *selects: str) -> str:
    """Return a SELECT of the sums of several SELECTs by key, without keys whose sums are all zero."""
    keys, sums = ", ".join(tally.keys), ", ".join(f"SUM({name}) AS {name}" for name in tally.sums)
    nothing = " OR ".join(f"SUM({name}) <> 0" for name in tally.sums)
    return f"SELECT {keys}, {sums} FROM ({' UNION ALL '.join(selects)}) d GROUP BY {keys} HAVING {nothing}"  # noqa: S608 our own names


def append(tally: Tally, *selects: str) -> str:
    """Return an INSERT of the sums of several SELECTs."""
    columns = ", ".join((*tally.keys, *tally.sums))
    source = summed(tally, *selects)
    return f"INSERT INTO {tally.table} ({columns}, is_folded) SELECT {columns}, FALSE FROM ({source}) f"  # noqa: S608 our own names


def difference(tally: Tally) -> tuple[str, str]:
    """Return two SELECTs whose sum is the error of the counts: the figures of all shipments, less the stored counts.

    Used in one statement, both see the same state of the database while others write.
    """
    counted = ", ".join((*tally.keys, *(f"-{name}" for name in tally.sums)))
    return facts(tally, "r.", f"{SHIPMENTS} r"), f"SELECT {counted} FROM {tally.table}"  # noqa: S608 our own names


def repair(vendor: str) -> list[str]:
    """Return the statements that correct the counts; they change nothing if the counts are exact."""
    return [append(tally, *difference(tally)) for tally in tallies(vendor)]
