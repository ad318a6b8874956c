"""Shipments with everything that happened to them, on one page; found by whatever name a caller knows."""

from shipping.admin import checkpoints, pickups, quotes, shipments, tallies, warehouses

__all__ = ["checkpoints", "pickups", "quotes", "shipments", "tallies", "warehouses"]
