"""Accounts at carriers, and what was said to them."""

from carriers.models.calls import Breaker, CallBudget, CarrierCall, PointAnswer, breaker_pause
from carriers.models.credentials import ENVIRONMENT_OF_MODE, Credential, Environment

__all__ = [
    "Breaker",
    "CallBudget",
    "CarrierCall",
    "Credential",
    "ENVIRONMENT_OF_MODE",
    "Environment",
    "PointAnswer",
    "breaker_pause",
]
