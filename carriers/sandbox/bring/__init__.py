"""Simulated Bring: Booking, Shipping Guide, Tracking, Pickup Point, Postal Code and Event Cast API, in JSON.

It is written from Bring's developer site, RAML files and sample payloads. "Assumed" marks what none of them states.
The three CSV files are made from the site's service portfolio and error list (see ``LICENSE-bring.txt``).
Not simulated, because no paper gives their paths or bodies: the Pickup API of 2024, subscriptions by customer number,
reports, invoices, address validation. XML bodies and stopping a parcel at www.mybring.com are left out too.

Base URL ``http://…/bring``, users ``test@bring.example`` and ``platform@bring.example`` with the key ``test-secret``.

- ``PUT /_sandbox/accounts/{user}``: ``carrier: bring`` makes a new user; the fields stand in ``carrier.Bring``.
- ``POST /_sandbox/bring/shipments/{shipment or package}/advance`` adds a scan: see ``scans.advance``.
- ``GET /_sandbox/bring/shipments?reference=`` lists the shipments of a reference of the sender.
- A correlation id, sender's reference or recipient's name selects the result of a booking: the magic words for faults,
  and ``scans.ORDER_SCANS``.
- Postal codes that begin with 0000 or 9999 do not exist.
"""
