"""Admin of merchants, people, API keys and records."""

from apikeys.admin import keys, merchants, people, records

__all__ = ["keys", "merchants", "people", "records"]
