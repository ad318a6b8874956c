"""A pytest plugin that sets the environment before Django reads its settings.

The tests run in demo mode on the database of DATABASE_URL. Each worker process has its own data directory.
"""

import os
import shutil
import tempfile

from config import test_database

_directory = tempfile.mkdtemp(prefix=f"waybill-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}-")
os.environ["DEBUG"] = "true"
os.environ["ENV_FILE"] = os.devnull
os.environ["WAYBILL_START_WARNINGS_SHOWN"] = "1"
os.environ["DATA_DIR"] = _directory
# Set by the first process, so that the workers that it starts share the migrated database.
os.environ.setdefault(test_database.DIRECTORY, _directory)
os.environ.setdefault("API_KEY_BCRYPT_ROUNDS", "4")
os.environ.setdefault("LOG_LEVEL", "WARNING")
# Tests change keys and credentials more often than these limits allow; the tests of the limits set their own.
os.environ.setdefault("SENSITIVE_RATES", "10000/m")
os.environ.setdefault("PUBLIC_RATES", "10000/m")
os.environ.setdefault("CARRIER_RETRY_DELAY_S", "0.01")


def pytest_unconfigure() -> None:
    """Remove the data directory, and the template databases if this process created their directory."""
    if os.environ[test_database.DIRECTORY] == _directory:
        test_database.drop_templates()
    shutil.rmtree(_directory, ignore_errors=True)
