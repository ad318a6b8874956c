"""The kinds of event that this app records."""

from apikeys.audit.events import EventType

CREDENTIAL_SAVED = EventType("credential.saved", audit=True, security=True)
CREDENTIAL_DELETED = EventType("credential.deleted", audit=True, security=True)
# The carrier has it from now on that our account cannot log in; or takes it again.
CREDENTIAL_REFUSED = EventType("credential.refused", audit=True, security=True)
CREDENTIAL_ACCEPTED = EventType("credential.accepted", audit=True)
# The carrier made a new secret at our wish, and it is stored.
CREDENTIAL_ROTATED = EventType("credential.rotated", audit=True, security=True)
CREDENTIAL_TESTED = EventType("credential.tested", audit=True)
# Also a refusal by the carrier; what succeeds stands in the call log alone.
CALL_FAILED = EventType("carrier.call_failed", audit=True)
# Calls of one operation of an account are refused for a while, after failures in a row; then they flow again.
BREAKER_OPENED = EventType("carrier.breaker_opened", audit=True)
BREAKER_CLOSED = EventType("carrier.breaker_closed", audit=True)
