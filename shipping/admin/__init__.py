"""Admin pages of shipments and the tables that belong to them."""

from shipping.admin import checkpoints, documents, manifests, pickups, quotes, shipments, tallies, warehouses

__all__ = ["checkpoints", "documents", "manifests", "pickups", "quotes", "shipments", "tallies", "warehouses"]
