"""The authenticated caller of an API request."""

from __future__ import annotations

from dataclasses import dataclass

from apikeys.db.tenancy import Tenant


@dataclass(frozen=True, slots=True)
class Caller:
    """A key or a person, for one merchant and mode: ``request.auth`` of every API request.

    name: ``key:<id>`` or ``person:<id>``.
    key_rates: requests of the key per minute and per hour; None for a person.
    user_rate: requests of the person per minute; None: the installation's rates.
    store_rate, merchant_rate: requests per minute; None without such a limit.
    language: the merchant's, used if the request names none.
    """

    tenant: Tenant
    name: str
    scopes: frozenset[str]
    key_rates: tuple[int, int] | None = None
    user_rate: int | None = None
    store_rate: int | None = None
    merchant_rate: int | None = None
    language: str = ""

    def may(self, scope: str) -> bool:
        """Return whether the caller has a scope."""
        return scope in self.scopes

    @property
    def is_person(self) -> bool:
        return self.key_rates is None
