"""Simulated Bring: Booking, Shipping Guide, Tracking, Pickup Point, Postal Code and Event Cast API, in JSON.

It is written from Bring's developer site, RAML files and sample payloads. "Assumed" marks what none of them states.
The three CSV files are made from the site's service portfolio and error list (see ``LICENSE-bring.txt``).
Not simulated, because no paper gives their paths or bodies: the Pickup API of 2024, subscriptions by customer number,
reports, invoices, address validation. XML bodies and stopping a parcel at www.mybring.com are left out too.
"""
