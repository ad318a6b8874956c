"""Simulated Pickit, from ``docs/carriers/pickit.md``."""
