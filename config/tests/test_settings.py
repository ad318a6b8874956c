"""Every setting is explained, and the explained default is the real one."""

import os
import re
import subprocess
import sys
from pathlib import Path

from carriers.adapters.registry import ADAPTERS

ROOT = Path(__file__).resolve().parents[2]
READ = re.compile(r"""(?:env\.\w+|environ\.get)\(\s*["']([A-Z_]+)["']""")
# Read by tests and tools, or set for a process by the one that starts it.
OF_TESTS = {"DEMO_PATIENCE_S", "BENCH_SECONDS"}


def variables_read():
    files = [
        ROOT / "config/settings.py",
        ROOT / "deploy/gunicorn.py",
        ROOT / "deploy/run.py",
        ROOT / "apikeys/access/health.py",
    ]
    accounts = {name for adapter in ADAPTERS.values() for name in adapter.environment_names}
    return {name for file in files for name in READ.findall(file.read_text())} | accounts


def variables_explained():
    lines = (ROOT / ".env.example").read_text().splitlines()
    return {match[1] for line in lines if (match := re.match(r"#?([A-Z_]+)=", line))}


def loaded(name, **environment):
    """A setting, or the words of the refusal, of a process that starts with this environment."""
    code = f"from config import settings; print(settings.{name})"
    plain = {key: value for key, value in os.environ.items() if key not in ("PUBLIC_RATES", *environment)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=plain | environment, cwd=ROOT, capture_output=True, text=True
    )
    return done.stdout.strip() or done.stderr


def test_an_address_without_a_key_has_the_documented_limit_too():
    assert loaded("PUBLIC_RATES") == "['100/m']"
    assert loaded("PUBLIC_RATES", RATE_LIMIT_PER_MINUTE="40") == "['40/m']"
    assert loaded("PUBLIC_RATES", RATE_LIMIT_PER_MINUTE="40", PUBLIC_RATES="9/m,90/h") == "['9/m', '90/h']"
    assert "1 or more" in loaded("PUBLIC_RATES", RATE_LIMIT_PER_HOUR="0")


def test_every_variable_stands_in_the_example_with_words():
    assert variables_read() - {"PATH"} <= variables_explained() | OF_TESTS


def test_the_example_explains_nothing_that_is_not_read():
    assert variables_explained() <= variables_read() | OF_TESTS | {"RECEIVER_PORT"}
