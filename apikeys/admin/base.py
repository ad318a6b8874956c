"""Base classes and helpers of the admin: fast lists, read-only logs, tables of related rows, monitored lists."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db import models
from django.db.models import QuerySet
from django.db.models.constants import LOOKUP_SEP
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from apikeys.audit import events, security
from apikeys.models import Merchant

# Each tone has a shape beside its colour, for people who cannot see the colours.
SHAPES = {"good": "✔", "moving": "➤", "waiting": "◷", "alert": "▲", "bad": "✖", "off": "○"}
NOTHING = "–"
MAX_TEXT = 20_000
# A list of search results has at most this many rows.
MAX_MATCHES = 1_000
_MAX_CHOICES = 50
_MAX_RECORDED = 100
_SECTION_ROWS = 50


def badge(word: str, tone: str) -> str:
    """Return a state as a word with a shape. ``tone`` is a key of ``SHAPES``."""
    if not word:
        return NOTHING
    return format_html(
        '<span class="wb-badge wb-{}"><span aria-hidden="true">{}</span> {}</span>', tone, SHAPES[tone], word
    )


def active_badge(value: bool) -> str:
    """Return whether a row is active, as a badge."""
    return badge("active", "good") if value else badge("inactive", "off")


def format_json(value: Any) -> str:
    """Return a JSON value as indented text. Text or bytes that contain no JSON are returned as they are."""
    if value in (None, "", b"", {}, []):
        return NOTHING
    text = bytes(value).decode("utf-8", "replace") if isinstance(value, bytes | memoryview) else value
    if isinstance(text, str):
        try:
            text = json.loads(text)
        except ValueError:
            return format_html('<pre class="wb-text">{}</pre>', text[:MAX_TEXT])
    indented = json.dumps(text, indent=2, ensure_ascii=False)
    return format_html('<pre class="wb-text">{}</pre>', indented[:MAX_TEXT])


def json_display(name: str, label: str = "") -> Callable[..., str]:
    """Return an admin display method for a column that contains JSON."""

    @admin.display(description=label or name.replace("_", " "))
    def show(_admin: Any, row: models.Model) -> str:
        return format_json(getattr(row, name))

    return show


def format_time(value: datetime | None) -> str:
    """Return a UTC time to the second."""
    return f"{value:%Y-%m-%d %H:%M:%S}" if value else NOTHING


def changelist_url(model: type[models.Model], **query: Any) -> str:
    """Return the URL of a model's list, filtered by ``query``."""
    url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    return f"{url}?{urlencode(query)}" if query else url


def change_link(row: models.Model, text: Any) -> str:
    """Return a link to a row's page."""
    url = reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])
    return format_html('<a href="{}">{}</a>', url, text)


def may_view(request: HttpRequest, model: type[models.Model]) -> bool:
    """Return whether this person may view a model's rows."""
    app, name = model._meta.app_label, model._meta.model_name
    return request.user.has_perm(f"{app}.view_{name}") or request.user.has_perm(f"{app}.change_{name}")


def matching_keys(model: type[models.Model], lookup: str, value: Any) -> list[Any]:
    """Return the primary keys of at most ``MAX_MATCHES`` + 1 rows, one table at a time.

    Exact matches of a column that is not unique are the newest ones; its index continues with the id.
    """
    first, _, rest = lookup.partition(LOOKUP_SEP)
    field = model._meta.get_field(model._meta.pk.name if first == "pk" else first)
    condition, order = {lookup: value}, []
    if field.is_relation and rest and rest not in ("exact", "in"):
        condition = {f"{first}__in": matching_keys(field.related_model, rest, value)}
        if not condition[f"{first}__in"]:
            return []
    elif rest == "exact" and not field.unique:
        order = ["-pk"]
    try:
        rows = model._base_manager.filter(**condition).order_by(*order)
        return list(rows.values_list("pk", flat=True)[: MAX_MATCHES + 1])
    except (ValueError, ValidationError):  # the column holds numbers or addresses
        return []


class BoundedPaginator(Paginator):
    """A paginator that counts at most ``limit`` rows. Counting a whole log takes longer than reading a page of it."""

    limit = 10_000

    @cached_property
    def count(self) -> int:
        return self.object_list.order_by()[: self.limit].count()


class MerchantFilter(admin.SimpleListFilter):
    """A filter by merchant. It offers the first ones by name, and the selected one."""

    title = "merchant"
    parameter_name = "merchant"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, str]]:
        known = Merchant.objects.order_by("name").values_list("id", "name")
        choices = {str(merchant_id): name for merchant_id, name in known[:_MAX_CHOICES]}
        chosen = _as_uuid(self.value() or "")
        if chosen and str(chosen) not in choices:
            choices |= {str(merchant_id): name for merchant_id, name in known.filter(id=chosen)}
        return list(choices.items())

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        if not self.value():
            return queryset
        chosen = _as_uuid(self.value())
        return queryset.filter(merchant_id=chosen) if chosen else queryset.none()


class _DeferringChangeList(ChangeList):
    """A list that does not read the columns in ``list_defer``."""

    def get_queryset(self, request: HttpRequest, **kwargs: Any) -> QuerySet:
        return super().get_queryset(request, **kwargs).defer(*self.model_admin.list_defer)


@dataclass(frozen=True)
class Section:
    """A table of related rows on a row's page."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    more_url: str
    is_cut: bool


def build_section(
    request: HttpRequest, title: str, rows: QuerySet, columns: Mapping[str, Callable[[Any], Any]], **query: Any
) -> Section | None:
    """Return a table of the first 50 ``rows``. Its first column links to the row's page.

    Args:
        columns: maps column titles to functions that return the cell of a row.
        query: filter of the list that the table links to.
    Returns: None if the user may not view the model.
    """
    if not may_view(request, rows.model):
        return None
    found = list(rows[: _SECTION_ROWS + 1])
    cells = [[_format_cell(read(row)) for read in columns.values()] for row in found[:_SECTION_ROWS]]
    linked = [[change_link(row, first), *rest] for row, (first, *rest) in zip(found, cells, strict=False)]
    return Section(title, list(columns), linked, changelist_url(rows.model, **query), is_cut=len(found) > _SECTION_ROWS)


class WaybillAdmin(admin.ModelAdmin):
    """Base class of admin pages, with lists that stay fast on millions of rows."""

    list_per_page = 50
    list_max_show_all = 200
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    paginator = BoundedPaginator
    change_form_template = "admin/record.html"
    # Columns that the list does not read.
    list_defer: ClassVar[tuple[str, ...]] = ()
    # An index serves each lookup: ``__prefix`` one on ``CaseKey``, ``__exact`` one that continues with the id.
    search_fields: Sequence[str] = ()
    # Columns that a search for a complete id reads, in this order.
    id_search: ClassVar[tuple[str, ...]] = ("id",)
    # Functions ``(request, row) -> Section | None``. Apps that import this one add theirs.
    sections: Sequence[Callable[[HttpRequest, Any], Section | None]] = ()

    class Media:
        css: ClassVar[dict[str, list[str]]] = {"all": ["admin/waybill.css"]}

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return _DeferringChangeList

    def get_search_results(self, request: HttpRequest, queryset: QuerySet, search_term: str) -> tuple[QuerySet, bool]:
        """Return rows by their id, else by a search field (``MAX_MATCHES`` at most), else by their merchant's slug.

        Each field is a query of its own: one condition on several columns or tables would read all rows.
        """
        text = search_term.strip()
        if not text:
            return queryset, False
        if searched_id := _as_uuid(text):
            for name in self.id_search:
                column, _, rest = name.partition(LOOKUP_SEP)
                related = self.model._meta.get_field(column).related_model
                condition = (
                    {f"{column}__in": matching_keys(related, rest, searched_id)} if rest else {name: searched_id}
                )
                rows = queryset.filter(**condition)
                if rows.exists():
                    return rows, False
        keys = self.search_keys(request, text)
        if not keys and hasattr(self.model, "merchant_id"):
            return queryset.filter(merchant__in=matching_keys(Merchant, "slug__exact", text)), False
        if len(keys) > MAX_MATCHES:
            text = f"More than {MAX_MATCHES:,} rows match. The list shows some of them; enter more of the text."
            self.message_user(request, text, messages.WARNING)
        return queryset.filter(pk__in=keys[:MAX_MATCHES]), False

    def search_keys(self, request: HttpRequest, text: str) -> list[Any]:
        """Return the primary keys of rows that match a text, more than ``MAX_MATCHES`` if there are more."""
        keys: dict[Any, None] = {}
        for lookup in self.get_search_fields(request):
            for value in self.search_values(lookup, text):
                keys |= dict.fromkeys(self.match(lookup, value))
        return list(keys)

    def match(self, lookup: str, value: str) -> Sequence[Any]:
        """Return the primary keys of rows that match a search field."""
        return matching_keys(self.model, lookup, value)

    def search_values(self, lookup: str, text: str) -> Sequence[str]:
        """Return the values that a text stands for in a search field."""
        return [text]

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        row = context.get("original")
        sections = [build(request, row) for build in self.sections] if row else []
        context["sections"] = [section for section in sections if section]
        return super().render_change_form(request, context, *args, **kwargs)

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        _record_change("added", [obj], message)
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        _record_change("changed", [obj], message)
        return super().log_change(request, obj, message)

    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any:
        _record_change("deleted", list(queryset), "")
        return super().log_deletions(request, queryset)

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Return whether the user may run actions marked ``operate``.

        This checks the model's change permission, since ``has_change_permission`` is False on read-only pages.
        """
        return request.user.has_perm(f"{self.opts.app_label}.change_{self.opts.model_name}")


def _record_change(action: str, rows: Sequence[models.Model], message: Any) -> None:
    """Record an action of staff as an event: rows and names of fields, never values."""
    data = {
        "action": action,
        "model": rows[0]._meta.label if rows else "",
        "ids": [str(row.pk) for row in rows[:_MAX_RECORDED]],
        "rows": len(rows),
        "message": message if isinstance(message, str) else json.loads(json.dumps(message, default=str)),
    }
    events.record(
        security.ADMIN_CHANGED, tenant=None, subject_id=_as_uuid(str(rows[0].pk)) if rows else None, data=data
    )


class NoDeleteAdmin(WaybillAdmin):
    """Rows that can be deactivated but not deleted, since other rows refer to them."""

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ReadOnlyAdmin(NoDeleteAdmin):
    """Rows that can only be viewed."""

    # Columns that are not shown.
    hidden: ClassVar[tuple[str, ...]] = ()

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Sequence[Any]:
        if self.fields:
            return self.fields
        return [f.name for f in self.opts.concrete_fields if f.name not in self.hidden]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Sequence[Any]:
        if self.fieldsets:
            return [name for _title, options in self.fieldsets for name in options["fields"]]
        return self.get_fields(request, obj)


@dataclass(frozen=True)
class MonitoredList:
    """A list that should be empty. The admin's home page shows how many rows it has."""

    text: str
    rows: Callable[[], QuerySet]
    query: Mapping[str, str]
    tone: str = "alert"


# Each app adds its own lists.
MONITORED_LISTS: list[MonitoredList] = []


def _format_cell(value: Any) -> Any:
    if isinstance(value, datetime):
        return format_time(value)
    return NOTHING if value in (None, "") else value


def _as_uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


def join_lines(values: Sequence[str]) -> SafeString:
    """Return texts as lines. Empty texts are left out."""
    escaped = [format_html("{}", value) for value in values if value]
    return mark_safe("<br>".join(escaped)) if escaped else mark_safe(NOTHING)  # noqa: S308 each part is escaped above
