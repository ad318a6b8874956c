"""Every sample of a carrier is read, with the right status and instant, or listed with the reason why not."""

import pytest

from carriers.adapters.registry import ADAPTERS
from carriers.tests.conformance import bring_samples, bring_trip, published
from carriers.tests.conformance.sample_readers import find_reader, load, name_of

pytestmark = pytest.mark.skipif(not published.is_available(), reason=published.REASON)
SAMPLES = {"bring": (bring_samples, bring_trip.FIELDS)}


@pytest.mark.parametrize("carrier", [name for name in SAMPLES if name in ADAPTERS])
def test_samples_are_read(carrier, record_property):
    module, fields = SAMPLES[carrier]
    samples = load(ADAPTERS[carrier], fields)
    readers = {name_of(sample): (sample, find_reader(module, name_of(sample))) for sample in samples}
    assert [name for name, (_, reader) in readers.items() if reader is None] == []
    read = {name: (sample, reader) for name, (sample, reader) in readers.items() if callable(reader)}
    failures = []
    for name, (sample, reader) in read.items():
        try:
            reader(sample)
        except Exception as error:
            failures.append(f"{name}: {type(error).__name__} {error}")
    assert not failures, "\n".join(failures)
    unused = [pattern for pattern, reader in module.READERS if reader not in [found for _, found in readers.values()]]
    assert unused == []
    record_property("conformance", f"{ADAPTERS[carrier].name}: {len(read)} of {len(samples)} samples are read")
