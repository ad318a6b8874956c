"""How a sample payload of a carrier is read, and what it must give."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from carriers import types
from carriers.adapters.base import CarrierAdapter
from carriers.http.answers import Answer
from carriers.tests.conformance import published
from carriers.tests.replay import Replay, Tokens, answer
from carriers.types.errors import CarrierError

REFERENCE = "WB-SAMPLE"


@dataclass(frozen=True)
class Sample:
    """A file, with an adapter that gets it as an answer."""

    adapter_class: type[CarrierAdapter]
    fields: Mapping[str, str]
    path: Path
    content: Any

    def open(self, body: Any = None) -> CarrierAdapter:
        """Return an adapter whose requests are answered with the sample, or with ``body``."""
        urls = {name: api.production for name, api in self.adapter_class.apis.items()}
        http = Replay(answer(self.content if body is None else body))
        tokens = Tokens() if self.adapter_class.logs_in() else None
        return self.adapter_class(fields=self.fields, environment="production", urls=urls, http=http, tokens=tokens)

    def refuse(self, operation: str, status: int) -> CarrierError:
        """Return the error of a request that is answered with the sample and an HTTP status."""
        return self.open()._refusal(operation, Answer(status, {}, self.path.read_bytes()))


Read = Callable[[Sample], None]  # raises ``AssertionError``
NOT_READ = str  # the reason


def load(adapter_class: type[CarrierAdapter], fields: Mapping[str, str]) -> list[Sample]:
    root = published.samples_folder() / adapter_class.slug
    paths = [path for path in sorted(root.rglob("*.json")) if path.is_file()]
    return [Sample(adapter_class, fields, path, published.read(path)) for path in paths]


def name_of(sample: Sample) -> str:
    return sample.path.relative_to(published.samples_folder() / sample.adapter_class.slug).as_posix()


def find_reader(module: ModuleType, name: str) -> Read | NOT_READ | None:
    """Return the reader of a sample, or why it is not read: the first of the module's patterns that matches."""
    return next((reader for pattern, reader in module.READERS if re.fullmatch(pattern, name)), None)


def refer(order: types.Order, number: str, **changes: Any) -> types.ShipmentRef:
    """Return a shipment with one parcel."""
    made = types.ShipmentRef(
        reference=REFERENCE,
        order=replace(order, reference=REFERENCE),
        booked_at=datetime(2020, 1, 1, tzinfo=UTC),
        ship_at=datetime(2020, 1, 1, tzinfo=UTC),
        tracking_number=number,
        carrier_shipment_id=number,
        parcels=(types.ParcelRef(number=1, tracking_number=number, reference=f"{REFERENCE}-1"),),
    )
    return replace(made, **changes)


def expect_scans(number: str, *expected: tuple[str, str], **track: Any) -> Callable[[Sample, types.Order], None]:
    """Return a check of a track: status and instant (UTC) of each scan, oldest first."""

    def check(sample: Sample, order: types.Order) -> None:
        found = sample.open().track([refer(order, number)])[number]
        scans = [(str(scan.status), scan.occurred_at.astimezone(UTC).isoformat()) for scan in found.scans]
        assert scans == [(status, f"{moment}+00:00") for status, moment in expected]
        for name, value in track.items():
            assert getattr(found, name) == value

    return check


def expect_refusal(operation: str, read_error: Callable[[Any], tuple[str, str]]) -> Read:
    """Return a check of an error. Its HTTP status is in the file's name; code and words must not get lost."""

    def check(sample: Sample) -> None:
        (status,) = re.findall(r"response-(\d{3})", sample.path.name)
        error = sample.refuse(operation, int(status))
        assert (error.carrier_code, error.carrier_message) == read_error(sample.content)

    return check


def expect_error(kind: type[CarrierError], call: Callable[[CarrierAdapter], Any], code: str) -> Read:
    """Return a check of an answer under 200 that is an error."""

    def check(sample: Sample) -> None:
        with pytest.raises(kind) as raised:
            call(sample.open())
        assert raised.value.carrier_code == code

    return check
