"""A pytest plugin that sets the environment before Django reads its settings.

The tests run in demo mode on whatever DATABASE_URL says; each worker process has a data directory of its own.
"""

import os
import shutil
import tempfile

_place = tempfile.mkdtemp(prefix=f"waybill-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}-")
os.environ["DEBUG"] = "true"
os.environ["DATA_DIR"] = _place
os.environ["SQLITE_TEST_NAME"] = os.path.join(_place, "test.sqlite3")
os.environ.setdefault("API_KEY_BCRYPT_ROUNDS", "4")
os.environ.setdefault("LOG_LEVEL", "WARNING")
# Tests change keys and credentials far more often than anybody may; the tests of these limits set their own.
os.environ.setdefault("SENSITIVE_RATES", "10000/m")
os.environ.setdefault("PUBLIC_RATES", "10000/m")
os.environ.setdefault("CARRIER_RETRY_DELAY_S", "0.01")


def pytest_unconfigure() -> None:
    """Leave nothing behind."""
    shutil.rmtree(_place, ignore_errors=True)
