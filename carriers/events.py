"""The kinds of event that this app records."""

from apikeys.events import EventType

CREDENTIAL_SAVED = EventType("credential.saved", audit=True, security=True)
# Also a refusal by the carrier; what succeeds stands in the call log alone.
CALL_FAILED = EventType("carrier.call_failed", audit=True)
