"""Simulated carriers, served over real HTTP by a process of their own.

Written from the carriers' papers (``docs/carriers``), importing nothing of Waybill: what both sides get wrong in the
same way would otherwise never show.
"""
