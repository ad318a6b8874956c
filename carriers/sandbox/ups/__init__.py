"""Simulated UPS, from UPS's published OpenAPI documents (2026-07) and code tables.

What those papers do not say is marked **assumed** beside the code. Codes of business errors are in none of them; they
are those of UPS's older tables of error codes, as far as these are known (assumed).
"""
