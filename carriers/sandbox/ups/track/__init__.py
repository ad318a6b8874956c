"""Scans, tracking answers, Track Alert and Quantum View of the simulated UPS."""
