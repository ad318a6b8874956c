"""Simulated carriers, served over HTTP by a separate process.

They are written from the carriers' documents (``docs/carriers``) and import nothing of Waybill. Code shared with the
adapters would hide a misreading of a document: both sides would contain the same mistake.
"""
