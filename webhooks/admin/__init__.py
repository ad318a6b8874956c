"""Admin pages: webhooks from carriers, subscriptions at carriers, endpoints of merchants, deliveries, workers."""

from webhooks.admin import inbound, outbound, subscriptions

__all__ = ["inbound", "outbound", "subscriptions"]
