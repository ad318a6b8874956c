"""Every sample of a carrier is read, with the right status and instant, or listed with the reason why not."""

import pytest

from carriers.adapters.registry import ADAPTERS
from carriers.tests.conformance import bring_samples, bring_trip, published, ups_samples, ups_trip
from carriers.tests.conformance.sample_readers import find_reader, load, name_of

pytestmark = pytest.mark.skipif(not published.is_available(), reason=published.REASON)
SAMPLES = {"ups": (ups_samples, ups_trip.FIELDS), "bring": (bring_samples, bring_trip.FIELDS)}


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
    used, optional = [reader for _, reader in readers.values()], getattr(module, "OPTIONAL", " ")
    has_optional = any(name.startswith(optional) for name in readers)
    unused = [pattern for pattern, reader in module.READERS if reader not in used]
    assert [pattern for pattern in unused if has_optional or not pattern.startswith(optional)] == []
    record_property("conformance", f"{ADAPTERS[carrier].name}: {len(read)} of {len(samples)} samples are read")
