"""Simulated Velocity Shipfast, from ``docs/carriers/velocity.md``."""
