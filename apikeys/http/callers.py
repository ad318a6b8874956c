"""What is known of a caller once it has proved who it is."""

from __future__ import annotations

from dataclasses import dataclass

from apikeys.db.tenancy import Tenant


@dataclass(frozen=True, slots=True)
class Caller:
    """A key or a person, for one merchant and mode; ``request.auth`` of every API request.

    ``name`` is ``key:<id>`` or ``person:<id>``. The rates are requests: of the key (a minute, an hour), of its store
    and of its merchant (a minute), None where there is no such limit. ``language`` is the merchant's, for requests
    that name none.
    """

    tenant: Tenant
    name: str
    scopes: frozenset[str]
    key_rates: tuple[int, int] | None = None
    store_rate: int | None = None
    merchant_rate: int | None = None
    language: str = ""

    def may(self, scope: str) -> bool:
        """Whether the caller holds a scope."""
        return scope in self.scopes

    @property
    def is_person(self) -> bool:
        return self.key_rates is None
