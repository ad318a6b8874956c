"""Carriers' webhooks in, to run again; merchants' endpoints and deliveries out, to send again."""

from webhooks.admin import inbound, outbound

__all__ = ["inbound", "outbound"]
