"""Types of the events that this app records."""

from apikeys.audit.events import EventType

CREDENTIAL_SAVED = EventType("credential.saved", audit=True, security=True)
CREDENTIAL_DELETED = EventType("credential.deleted", audit=True, security=True)
# The carrier refuses the login for the first time, or accepts it again.
CREDENTIAL_REFUSED = EventType("credential.refused", audit=True, security=True)
CREDENTIAL_ACCEPTED = EventType("credential.accepted", audit=True)
# At our request the carrier has issued a new secret, which is stored.
CREDENTIAL_ROTATED = EventType("credential.rotated", audit=True, security=True)
CREDENTIAL_TESTED = EventType("credential.tested", audit=True)
# Any outcome but success, also a refusal by the carrier. Successful calls are only in the call log.
CALL_FAILED = EventType("carrier.call_failed", audit=True)
# Calls of one operation of a credential are refused after repeated failures; later they are sent again.
BREAKER_OPENED = EventType("carrier.breaker_opened", audit=True)
BREAKER_CLOSED = EventType("carrier.breaker_closed", audit=True)
