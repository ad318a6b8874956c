"""Generate the secrets of an installation."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from config.environment import BASE_DIR
from config.secrets import generate_secrets


class Command(BaseCommand):
    help = (
        "Print generated secrets as lines for .env, or write a complete .env for production. "
        "It needs neither a configuration nor a database."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--output", metavar="FILE", help="Write .env.example with the secrets to this file.")
        parser.add_argument(
            "--force",
            action="store_true",
            help="Replace the file. What was encrypted with its keys cannot be read any more.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        secrets = generate_secrets()
        if not options["output"]:
            self.stdout.write("\n".join(f"{name}={value}" for name, value in secrets.items()))
            return
        path = Path(options["output"])
        write_private(path, fill_example(secrets), force=options["force"])
        self.stdout.write(f"written: {path} (only its owner can read it)")


def fill_example(secrets: dict[str, str]) -> str:
    """Return ``.env.example`` with these secrets and without demo mode."""
    text = (BASE_DIR / ".env.example").read_text()
    for name, value in {**secrets, "DEBUG": "false", "BIND_HOST": "0.0.0.0"}.items():  # noqa: S104 as without a file
        text, count = re.subn(rf"^#?{name}=.*$", f"{name}={value}", text, flags=re.MULTILINE)
        if count != 1:
            raise CommandError(f".env.example has {count} lines for {name}.")
    return text


def write_private(path: Path, text: str, *, force: bool) -> None:
    """Write a file that only its owner can read. An existing one is replaced only with ``force``."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w") as file:
            file.write(text)
        if force:
            temporary.replace(path)
        else:
            os.link(temporary, path)  # fails if the file exists
    except FileExistsError as error:
        raise CommandError(
            f"{path} exists and was not changed. --force replaces it; without --output the secrets are printed: "
            f"python manage.py generate_env >> {path}"
        ) from error
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror}.") from error
    finally:
        temporary.unlink(missing_ok=True)
