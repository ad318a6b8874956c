import pytest

# Their assertions explain themselves as those of test modules do.
pytest.register_assert_rewrite("carriers.tests.conformance.sample_readers", "carriers.tests.conformance.bring_samples")
