"""Every setting is documented with its default."""

import os
import re
import subprocess
import sys
from pathlib import Path

from carriers.adapters.registry import ADAPTERS

ROOT = Path(__file__).resolve().parents[2]
READ = re.compile(r"""(?:env\.\w+|environ\.get)\(\s*["']([A-Z_]+)["']""")
# Read by tests and tools only.
OF_TESTS = {"DEMO_PATIENCE_S", "BENCH_SECONDS"}


def variables_read():
    files = [
        ROOT / "config/settings.py",
        ROOT / "deploy/gunicorn.py",
        ROOT / "deploy/run.py",
        ROOT / "apikeys/access/health.py",
    ]
    credentials = {name for adapter in ADAPTERS.values() for name in adapter.environment_names}
    return {name for file in files for name in READ.findall(file.read_text())} | credentials


def variables_documented():
    lines = (ROOT / ".env.example").read_text().splitlines()
    return {match[1] for line in lines if (match := re.match(r"#?([A-Z_]+)=", line))}


def loaded(name, **environment):
    """Return a setting of a process with this environment, or the error if it does not start."""
    code = f"from config import settings; print(settings.{name})"
    plain = {key: value for key, value in os.environ.items() if key not in ("PUBLIC_RATES", *environment)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=plain | environment, cwd=ROOT, capture_output=True, text=True
    )
    return done.stdout.strip() or done.stderr


def test_addresses_without_a_key_have_the_documented_limit():
    assert loaded("PUBLIC_RATES") == "['100/m']"
    assert loaded("PUBLIC_RATES", RATE_LIMIT_PER_MINUTE="40") == "['40/m']"
    assert loaded("PUBLIC_RATES", RATE_LIMIT_PER_MINUTE="40", PUBLIC_RATES="9/m,90/h") == "['9/m', '90/h']"
    assert "1 or more" in loaded("PUBLIC_RATES", RATE_LIMIT_PER_HOUR="0")


def test_every_variable_is_documented_in_the_example():
    assert variables_read() - {"PATH"} <= variables_documented() | OF_TESTS


def test_every_documented_variable_is_read():
    assert variables_documented() <= variables_read() | OF_TESTS | {"RECEIVER_PORT"}
