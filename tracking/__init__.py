"""Generation of tracking numbers. The tracking of shipments is in ``shipping/checkpoints``."""
