"""Admin pages of credentials, circuit breakers, rates, pickup point answers and the call log."""

from carriers.admin import calls, credentials

__all__ = ["calls", "credentials"]
