"""The kinds of event that this app records."""

from apikeys.events import EventType

CREDENTIAL_SAVED = EventType("credential.saved")
