"""Credentials, the call log and the shared state of carrier calls."""

from carriers.models.calls import Breaker, CallBudget, CarrierCall, PointAnswer, breaker_pause
from carriers.models.credentials import ENVIRONMENT_OF_MODE, Credential, CredentialToken, Environment

__all__ = [
    "Breaker",
    "CallBudget",
    "CarrierCall",
    "Credential",
    "CredentialToken",
    "ENVIRONMENT_OF_MODE",
    "Environment",
    "PointAnswer",
    "breaker_pause",
]
