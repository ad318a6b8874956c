"""Business figures of a merchant, read from the counts alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Sum

from apikeys.db.tenancy import Tenant
from carriers.adapters.registry import adapter_class
from shipping.checkpoints.posting import POSTABLE
from shipping.models import DeliveryTally, UnitTally

DAY_S = 86_400
MAX_LANES = 1_000


def business(tenant: Tenant) -> dict[str, Any]:
    """Return the documented figures: units in all and by status, checkpoints, average delivery time."""
    rows = UnitTally.objects.of(tenant).order_by().values("status").annotate(**_sums(UnitTally))
    by_status = {status.upper(): 0 for status in POSTABLE}
    by_status |= {row["status"].upper(): row["sum_units"] for row in rows if row["sum_units"]}
    delivered, seconds = (sum(row[name] for row in rows) for name in ("sum_delivered", "sum_delivery_seconds"))
    return {
        "total_units": sum(by_status.values()),
        "units_by_status": by_status,
        "total_checkpoints": sum(row["sum_checkpoints"] for row in rows),
        "avg_delivery_time": f"{seconds / delivered / DAY_S:.1f} days" if delivered else None,
    }


def performance(tenant: Tenant, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return on-time and transit-time figures of a period's deliveries: in all, by carrier, by carrier and route."""
    since, until = asked["since"], asked["until"]
    groups = _deliveries(tenant, asked)
    lanes = _grouped(groups, lambda row: (row["carrier"], row["origin_country"], row["destination_country"]))
    carriers = _grouped(groups, lambda row: (row["carrier"],))
    return {
        "from": since,
        "to": until,
        "total": _grouped(groups, lambda row: ()).get((), _Figures()).shown(),
        "carriers": [{"carrier": _carrier(key[0])} | figures.shown() for key, figures in _largest_first(carriers)],
        "lanes": [
            {"carrier": _carrier(carrier), "origin_country": origin or None, "destination_country": destination or None}
            | figures.shown()
            for (carrier, origin, destination), figures in _largest_first(lanes)[:MAX_LANES]
        ],
        "lanes_total": len(lanes),
    }


@dataclass
class _Figures:
    deliveries: int = 0
    seconds: int = 0
    promised: int = 0
    on_time: int = 0
    by_days: dict[int, int] = field(default_factory=lambda: defaultdict(int))

    def add(self, row: Mapping[str, Any]) -> None:
        self.deliveries += row["sum_deliveries"]
        self.seconds += row["sum_transit_seconds"]
        self.promised += row["sum_promised"]
        self.on_time += row["sum_on_time"]
        self.by_days[row["transit_days"]] += row["sum_deliveries"]

    def shown(self) -> dict[str, Any]:
        return {
            "deliveries": self.deliveries,
            "promised": self.promised,
            "on_time": self.on_time,
            "late": self.promised - self.on_time,
            "on_time_rate": round(self.on_time / self.promised, 4) if self.promised else None,
            "avg_transit_days": round(self.seconds / self.deliveries / DAY_S, 2) if self.deliveries else None,
            "median_transit_days": self._within(0.5),
            "p90_transit_days": self._within(0.9),
        }

    def _within(self, share: float) -> int | None:
        """Return the number of days within which this share of the deliveries was made."""
        reached = 0
        for days in sorted(self.by_days):
            reached += self.by_days[days]
            if reached and reached >= share * self.deliveries:
                return days
        return None


def _deliveries(tenant: Tenant, asked: Mapping[str, Any]) -> list[dict[str, Any]]:
    rows = DeliveryTally.objects.of(tenant).filter(day__gte=asked["since"], day__lte=asked["until"])
    if "carrier" in asked:
        rows = rows.filter(carrier=adapter_class(asked["carrier"]).slug)
    for name in ("origin_country", "destination_country"):
        if name in asked:
            rows = rows.filter(**{name: asked[name]})
    keys = ("carrier", "origin_country", "destination_country", "transit_days")
    return list(rows.order_by().values(*keys).annotate(**_sums(DeliveryTally)).filter(sum_deliveries__gt=0))


def _sums(model: Any) -> dict[str, Sum]:
    return {f"sum_{name}": Sum(name) for name in model.SUMS}


def _grouped(
    rows: Iterable[Mapping[str, Any]], key: Callable[[Mapping[str, Any]], tuple[str, ...]]
) -> dict[tuple[str, ...], _Figures]:
    found: dict[tuple[str, ...], _Figures] = defaultdict(_Figures)
    for row in rows:
        found[key(row)].add(row)
    return found


def _largest_first(figures: Mapping[tuple[str, ...], _Figures]) -> list[tuple[tuple[str, ...], _Figures]]:
    return sorted(figures.items(), key=lambda item: (-item[1].deliveries, item[0]))


def _carrier(slug: str) -> str | None:
    """Return the display name, or None for self-tracked units."""
    return adapter_class(slug).name if slug else None
