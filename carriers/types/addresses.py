"""Addresses and tax numbers."""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import wrap


class AddressDoesNotFit(ValueError):
    """The street does not fit into a carrier's address lines. ``args[0]`` is the field of our request."""


@dataclass(frozen=True, kw_only=True)
class Address:
    """A postal address and its contact."""

    country: str  # ISO 3166-1 alpha-2
    postal_code: str = ""  # as written in the country
    city: str = ""
    state: str = ""  # ISO 3166-2 part or name
    street: str = ""  # line 1; with the house number, unless ``house_number`` has it; may have several lines
    street2: str = ""
    street3: str = ""
    house_number: str = ""  # "12b"; empty: part of ``street``
    company: str = ""
    contact_name: str = ""
    contact_phone: str = ""  # E.164 or national
    contact_email: str = ""
    residential: bool | None = None  # None: not stated

    def lines(self, most: int, width: int) -> tuple[str, ...]:
        """Return the street in at most ``most`` lines of at most ``width`` characters; nothing is cut.

        A line that is too long is wrapped between words if a line is free. Raises ``AddressDoesNotFit``.
        """
        first = " ".join(part for part in (self.street, self.house_number) if part)
        given = [
            (name, part.strip())
            for name, text in (("street", first), ("street2", self.street2), ("street3", self.street3))
            for part in text.splitlines()
            if part.strip()
        ]
        lines: list[str] = []
        for position, (name, text) in enumerate(given):
            free = most - len(lines) - (len(given) - position - 1)
            parts = wrap(text, width, break_long_words=False, break_on_hyphens=False)
            if len(parts) > free or any(len(part) > width for part in parts):
                raise AddressDoesNotFit(name)
            lines += parts
        return tuple(lines)


@dataclass(frozen=True, kw_only=True)
class TaxId:
    """A tax or customs number of a party."""

    kind: str  # vat eori ioss voec ein gst other
    number: str  # as issued
    country: str = ""  # of the issuer, alpha-2
    party: str = "sender"  # sender recipient importer


@dataclass(frozen=True, kw_only=True)
class AddressCheck:
    """A carrier's check of an address."""

    ok: bool | None  # None: not known to the carrier
    residential: bool | None = None  # None: not stated
    suggestions: tuple[Address, ...] = ()  # best first
