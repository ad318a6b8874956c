#!/usr/bin/env python
"""Django's command line for Waybill."""

import importlib
import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    command = sys.argv[1] if len(sys.argv) > 1 else ""
    if command == "test":  # before the settings are read
        importlib.import_module("config.test_environment")
    if command == "generate_env":  # the secrets may be missing, and .env may be wrong
        os.environ |= {"DEBUG": "true", "ENV_FILE": os.devnull, "WAYBILL_START_WARNINGS_SHOWN": "1"}
    execute_from_command_line(sys.argv)
