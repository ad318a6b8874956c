"""Every request of an adapter, and every answer of its simulator, conforms to the carrier's documents."""

from urllib.parse import urlsplit

import pytest

from carriers.adapters.registry import ADAPTERS
from carriers.tests.conformance import bring_trip, published, ups_trip
from carriers.tests.conformance.network import SandboxNetwork
from carriers.tests.conformance.suite import hosts
from carriers.tests.conformance.trips import Trip, missing, report

pytestmark = pytest.mark.skipif(not published.is_available(), reason=published.REASON)
TRIPS = {"ups": ups_trip, "bring": bring_trip}
# Test and production of Bring share a host, and differ by a flag in the request. Tests are not tracked there.
MODES = {"ups": ("test",), "bring": ("test", "live")}


@pytest.mark.parametrize("carrier", [name for name in TRIPS if name in ADAPTERS])
def test_all_operations_conform(carrier, tmp_path, record_property):
    kind, trips = TRIPS[carrier], []
    for mode in MODES[carrier]:
        with SandboxNetwork(ADAPTERS[carrier], kind.FIELDS, kind.ACCOUNT, tmp_path / mode, mode) as network:
            trips.append(Trip(network, network.open_adapter()))
            kind.run(trips[-1])
    served = {urlsplit(url).netloc for api in ADAPTERS[carrier].apis.values() for url in (api.sandbox, api.production)}
    assert served <= hosts(carrier)
    record_property("conformance", report(trips))
    faults = dict.fromkeys(fault for trip in trips for fault in (*trip.problems, *trip.network.faults))
    assert not faults, "\n".join(faults)
    assert missing(trips) == []
