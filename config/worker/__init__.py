"""The worker process: its tasks, its heartbeat and the status endpoint."""
