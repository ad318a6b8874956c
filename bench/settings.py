"""Waybill's settings with the additional routes of ``bench.urls``."""

from config.settings import *  # noqa: F403

ROOT_URLCONF = "bench.urls"
