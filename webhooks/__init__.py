"""Webhooks from carriers (``inbound``) and to merchants (``outbound``)."""
