"""Who changed what, and why: one page made of the history of a row (simple_history) and of the admin's own log.

For every admin whose model has a ``history``; others keep Django's page. Parts of a row that have a history of their
own (the tokens of a company) stand on its page too, also when they are gone. Secrets are in no history; should one ever
be, it is not shown.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.admin.utils import unquote
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db import models
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from crm import masks
from crm.encryption import EncryptedTextField
from crm.formats import NOTHING, in_words

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
else:
    ModelAdmin = admin.ModelAdmin

NEWEST = 500  # of the row, and of each kind of part
PER_PAGE = 50
# The log tells of the same save as the history, a moment later.
_SAME_SAVE = timedelta(seconds=5)
_DONE = {"+": _("Added"), "~": _("Changed"), "-": _("Deleted")}


@dataclass(slots=True)
class Change:
    """One field: its name, what it was and what it became, as the reader's words."""

    name: str
    label: str
    old: str
    new: str


@dataclass(slots=True)
class Entry:
    """One thing somebody did. ``part`` names what of the row it was, "" for the row itself."""

    at: datetime
    user: Any
    did: str
    part: str = ""
    changes: list[Change] = field(default_factory=list)
    reason: str = ""
    message: str = ""


class HistoryAdmin(ModelAdmin):
    """A ModelAdmin whose history page says who changed which field from what to what."""

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        if not hasattr(self.model, "history"):
            return super().history_view(request, object_id, extra_context)
        row = self.get_object(request, unquote(object_id))
        if row is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)  # type: ignore[attr-defined,no-any-return]
        if not self.has_view_or_change_permission(request, row):
            raise PermissionDenied
        pages = Paginator(entries(row), PER_PAGE)
        page = pages.get_page(request.GET.get("p"))
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("History: %(row)s") % {"row": row},
            "opts": self.opts,
            "object": row,
            "page": page,
            "page_range": pages.get_elided_page_range(page.number),
            "newest": NEWEST,
            "preserved_filters": self.get_preserved_filters(request),
            **(extra_context or {}),
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "crm/history.html", context)


def entries(row: models.Model) -> list[Entry]:
    """All that is known of what people did to it and its parts, the newest first."""
    kind: Any = row._meta.concrete_model
    found: list[tuple[Any, Any]] = list(_steps(kind.history.filter(**{kind._meta.pk.attname: row.pk})))
    for part, link in _parts(kind):
        found += _steps(part.history.filter(**{link: row.pk}))
    words = _Words(found)
    told = [_entry(words, record, before, of_row=record.instance_type is kind) for record, before in found]
    told = [entry for entry in told if entry.changes or entry.did != str(_DONE["~"]) or entry.reason]
    return sorted(_with_log(told, row), key=lambda entry: entry.at, reverse=True)


def _parts(kind: Any) -> Iterator[tuple[Any, str]]:
    """Models with a history whose rows go when a row of ``kind`` goes, and the column that says whose they are."""
    for relation in kind._meta.related_objects:
        if relation.on_delete is models.CASCADE and hasattr(relation.related_model, "history"):
            yield relation.related_model, relation.field.attname


def _steps(records: Any) -> Iterator[tuple[Any, Any]]:
    """Each record with the one before it of the same row; None where there is none."""
    newest = records.select_related("history_user").order_by("-history_date", "-history_id")
    # One more than is shown: the oldest has something to be compared with.
    found = list(newest[: NEWEST + 1])
    _read_members(found)
    by_row: dict[Any, list[Any]] = {}
    for record in found:
        by_row.setdefault(getattr(record, record.instance_type._meta.pk.attname), []).append(record)
    for one in by_row.values():
        yield from pairwise([*one, None])


def _read_members(records: list[Any]) -> None:
    """What each record had in its lists of others, in one query for each list."""
    for record in records:
        record.members = {many.name: set() for many in record._history_m2m_fields}
    known = {record.pk: record for record in records}
    for many in records[0]._history_m2m_fields if records else ():
        kept = getattr(type(records[0]), many.name).model.objects.filter(history__in=known)
        for history, member in kept.values_list("history", f"{many.m2m_reverse_field_name()}"):
            known[history].members[many.name].add(member)


def _entry(words: "_Words", record: Any, before: Any, *, of_row: bool) -> Entry:
    # A record without one before it is the first, or the oldest that is kept: what it holds was not changed by it.
    changes = list(_changes(words, record, before)) if before and record.history_type == "~" else []
    return Entry(
        at=record.history_date,
        user=record.history_user,
        did=str(_DONE[record.history_type]),
        part="" if of_row else _named(record),
        changes=changes,
        reason=record.history_change_reason or "",
    )


def _named(record: Any) -> str:
    name = capfirst(str(record.instance_type._meta.verbose_name))
    # Not record.instance: that would read what the history leaves out, for each record, and fail for secrets.
    return (
        f"{name} {record.instance_type(**{each.attname: getattr(record, each.attname) for each in _columns(record)})}"
    )


def _changes(words: "_Words", record: Any, before: Any) -> Iterator[Change]:
    for column in _columns(record):
        old, new = getattr(before, column.attname), getattr(record, column.attname)
        if old != new:
            hidden = _secret(column)
            shown = [masks.REMOVED if hidden and value else words.of(column, value) for value in (old, new)]
            yield Change(column.name, capfirst(str(column.verbose_name)), *shown)
    for many in record._history_m2m_fields:
        old, new = before.members[many.name], record.members[many.name]
        if old != new:
            shown = [words.names(many.remote_field.model, keys) for keys in (old, new)]
            yield Change(many.name, capfirst(str(many.verbose_name)), *shown)


def _columns(record: Any) -> list[Any]:
    return [each for each in record.tracked_fields if not getattr(each, "auto_now", False)]


def _secret(column: Any) -> bool:
    return isinstance(column, EncryptedTextField) or masks.is_secret_column(column.name)


class _Words:
    """What stands in a column, in words. The rows that columns point to are read once for each model."""

    def __init__(self, steps: Iterable[tuple[Any, Any]]) -> None:
        wanted: dict[Any, set[Any]] = {}
        for record, before in steps:
            for each in (record, before) if before else ():
                for column in _columns(each):
                    if column.is_relation:
                        wanted.setdefault(column.remote_field.model, set()).add(getattr(each, column.attname))
                for many in each._history_m2m_fields:
                    wanted.setdefault(many.remote_field.model, set()).update(each.members[many.name])
        self._rows = {model: model._base_manager.in_bulk(keys - {None}) for model, keys in wanted.items()}

    def of(self, column: Any, value: Any) -> str:
        if value in (None, ""):
            return NOTHING
        if column.is_relation:
            return self.names(column.remote_field.model, [value])
        if column.choices:
            return str(dict(column.flatchoices).get(value, value))
        return in_words(value)

    def names(self, model: Any, keys: Iterable[Any]) -> str:
        rows = self._rows.get(model, {})
        gone = gettext("no. %(key)s, deleted")
        return ", ".join(sorted(str(rows.get(key, gone % {"key": key})) for key in keys)) or NOTHING


def _with_log(told: list[Entry], row: models.Model) -> list[Entry]:
    """The entries, and what only the admin's log knows: actions, and saves that the history tells nothing of. A proxy
    logs under a name of its own."""
    kind = row._meta.concrete_model
    same = [model for model in apps.get_models() if model._meta.concrete_model is kind]
    types = ContentType.objects.get_for_models(*same, for_concrete_models=False).values()
    log = LogEntry.objects.filter(content_type__in=[each.pk for each in types], object_id=str(row.pk))
    extra = []
    for logged in log.select_related("user").order_by("-action_time")[:NEWEST]:
        message = logged.get_change_message()
        structured = logged.change_message.startswith("[")
        if structured and any(_tells_same(entry, logged) for entry in told):
            continue
        did = {1: _DONE["+"], 3: _DONE["-"]}.get(logged.action_flag, _DONE["~"])
        extra.append(Entry(at=logged.action_time, user=logged.user, did=str(did), message=message))
    return told + extra


def _tells_same(entry: Entry, logged: LogEntry) -> bool:
    close = timedelta(0) <= logged.action_time - entry.at <= _SAME_SAVE
    return close and entry.user is not None and entry.user.pk == logged.user_id
