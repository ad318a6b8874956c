"""Waybill's settings, with the routes of ``bench.urls`` besides."""

from config.settings import *  # noqa: F403

ROOT_URLCONF = "bench.urls"
