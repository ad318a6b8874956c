"""The storage path of label files in earlier releases, to which migrations refer."""

from __future__ import annotations

import uuid
from typing import Any


def label_path(label: Any, filename: str) -> str:
    """Return a new storage path."""
    return f"labels/{label.shipment_id}/{uuid.uuid4()}/{filename}"
