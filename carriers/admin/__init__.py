"""Accounts at carriers, their secrets going in and never out, and the log of what was said to carriers."""

from carriers.admin import calls, credentials

__all__ = ["calls", "credentials"]
