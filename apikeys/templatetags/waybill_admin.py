"""Template tags of the admin."""

from __future__ import annotations

from typing import Any

from django import template

from apikeys.admin.base import MONITORED_LISTS, badge, changelist_url, may_view

register = template.Library()
# Larger lists are shown as "1000+", since counting them takes long.
_MAX_COUNT = 1000


@register.simple_tag(takes_context=True)
def monitored_lists(context: dict[str, Any]) -> list[dict[str, Any]]:
    """Return ``{"text", "count", "url", "badge"}`` for each monitored list that the user may view."""
    found = []
    for monitored in MONITORED_LISTS:
        rows = monitored.rows()
        if not may_view(context["request"], rows.model):
            continue
        count = rows.order_by()[: _MAX_COUNT + 1].count()
        shown = f"{_MAX_COUNT}+" if count > _MAX_COUNT else str(count)
        url = changelist_url(rows.model, **monitored.query)
        count_badge = badge(shown, monitored.tone if count else "good")
        found.append({"text": monitored.text, "count": count, "url": url, "badge": count_badge})
    return found
