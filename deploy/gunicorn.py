"""Gunicorn for Waybill: threads, because a request waits for carriers far more than it computes.

More than one process (``WEB_CONCURRENCY``) needs ``REDIS_URL``, so that rate limits are counted once.
"""

import os
from pathlib import Path

bind = f"{os.environ.get('BIND_HOST', '0.0.0.0')}:{os.environ.get('PORT', '8000')}"
worker_class = "gthread"
workers = int(os.environ.get("WEB_CONCURRENCY", "1"))
# Above CARRIER_CONCURRENCY, so that carriers that hang leave threads for reads, health and webhooks.
threads = int(os.environ.get("WEB_THREADS", "16"))
# Above REQUEST_DEADLINE_S: a request answers for itself before gunicorn gives its worker up.
timeout = 90
graceful_timeout = 30
# The most that gunicorn takes, so that long searches reach Waybill and its own refusals.
limit_request_line = 8190
keepalive = 5
# Waybill writes one line per request itself.
accesslog = None
# A heartbeat file on a disk that stalls makes gunicorn take a healthy worker for dead.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None
# One well-known path for all of a user's gunicorns: two installations would meet there.
control_socket_disable = True
