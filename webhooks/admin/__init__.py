"""Admin pages: webhooks from carriers, endpoints of merchants, deliveries, workers."""

from webhooks.admin import inbound, outbound

__all__ = ["inbound", "outbound"]
