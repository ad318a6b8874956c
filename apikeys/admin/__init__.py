"""Merchants, people, keys, and the log of what happened."""

from apikeys.admin import keys, merchants, people, records

__all__ = ["keys", "merchants", "people", "records"]
