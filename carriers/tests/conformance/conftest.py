import pytest

# Their assertions explain themselves as those of test modules do.
for _name in ("sample_readers", "bring_samples", "ups_samples"):
    pytest.register_assert_rewrite(f"carriers.tests.conformance.{_name}")
