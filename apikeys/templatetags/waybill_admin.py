"""Tags of the admin's own templates."""

from __future__ import annotations

from typing import Any

from django import template

from apikeys.admin.base import MONITORED_LISTS, badge, changelist_url, may_view

register = template.Library()
# Nobody needs to know how much more than this it is.
_COUNTED = 1000


@register.simple_tag(takes_context=True)
def monitored_lists(context: dict[str, Any]) -> list[dict[str, Any]]:
    """What waits for staff: ``{"text", "count", "url", "badge"}`` of each list that the reader may see."""
    found = []
    for watch in MONITORED_LISTS:
        rows = watch.rows()
        if not may_view(context["request"], rows.model):
            continue
        count = rows.order_by()[: _COUNTED + 1].count()
        shown = f"{_COUNTED}+" if count > _COUNTED else str(count)
        mark = badge(shown, watch.tone if count else "good")
        found.append(
            {"text": watch.text, "count": count, "url": changelist_url(rows.model, **watch.query), "badge": mark}
        )
    return found
