"""Every request of an adapter, and every answer of its simulator, conforms to the carrier's documents."""

import pytest

from carriers.adapters.registry import ADAPTERS
from carriers.tests.conformance import bring_trip, published, ups_trip
from carriers.tests.conformance.network import SandboxNetwork
from carriers.tests.conformance.trips import Trip

pytestmark = pytest.mark.skipif(not published.is_available(), reason=published.REASON)
TRIPS = {"ups": ups_trip, "bring": bring_trip}
# Test and production of Bring share a host, and differ by a flag in the request.
RUNS = [("ups", "test"), ("bring", "test"), ("bring", "live")]


@pytest.mark.parametrize(("carrier", "mode"), [run for run in RUNS if run[0] in ADAPTERS])
def test_all_operations_conform(carrier, mode, tmp_path, record_property):
    with SandboxNetwork(ADAPTERS[carrier], TRIPS[carrier].FIELDS, tmp_path, mode) as network:
        trip = Trip(network, network.open_adapter())
        TRIPS[carrier].run(trip)
    record_property("conformance", f"{mode}: {trip.report()}")
    assert trip.problems + network.faults == []
    assert trip.missing() == []
