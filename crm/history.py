"""The one reader of history: who changed what, and why, out of the histories of rows (simple_history) and the admin's
own log.

>>> entries(company)             # all that people did to one row and its parts
>>> saves(case, 200)             # of the row itself, by its history alone
>>> feed([Case, Customer], 10)   # the newest changes to rows of several models

Parts of a row that have a history of their own (the tokens of a company) are told of with it, also when they are gone.
Secrets are in no history; should one ever be, it is not shown.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from django.apps import apps
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.db.models import OuterRef, Q, Subquery
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from crm import masks
from crm.encryption import EncryptedTextField
from crm.formats import NOTHING, in_words

NEWEST = 500  # of the row, and of each kind of part
# The log tells of the same save as the history, a moment later.
SAME_SAVE = timedelta(seconds=5)
ADDED, CHANGED, DELETED = "+", "~", "-"
_DONE = {ADDED: _("Added"), CHANGED: _("Changed"), DELETED: _("Deleted")}
_OF_LOG = {1: ADDED, 3: DELETED}
# A field, what it was and what it became: for a list of others, their keys.
Difference = tuple[Any, Any, Any]


@dataclass(slots=True)
class Change:
    """One field: what it is called, what it was and what it became, as the reader's words."""

    name: str
    verbose_name: str
    old: str
    new: str

    @property
    def label(self) -> str:
        return capfirst(self.verbose_name)


@dataclass(slots=True)
class Entry:
    """One thing somebody did. ``kind`` is "+", "~" or "-". ``part`` names what of the row it was, "" for the row;
    ``model``, ``pk`` and ``name`` say which row. ``message`` is what the admin's log says of it."""

    at: datetime
    user: Any
    kind: str
    model: Any = None
    pk: str = ""
    name: str = ""
    part: str = ""
    changes: list[Change] = field(default_factory=list)
    reason: str = ""
    message: str = ""

    @property
    def did(self) -> str:
        return str(_DONE[self.kind])

    @property
    def who(self) -> str:
        """Empty where it was no person."""
        return str(self.user) if self.user else ""

    @property
    def what(self) -> str:
        """In a few words: the reason that was given, else what the log says, else the fields."""
        said = self.reason or (self.message if self.kind == CHANGED else "")
        fields = (f"{each.verbose_name}: {each.new}" if each.new else each.verbose_name for each in self.changes)
        return said or ", ".join(fields)


def entries(row: models.Model) -> list[Entry]:
    """All that is known of what people did to it and its parts, the newest first."""
    kind: Any = row._meta.concrete_model
    found = _steps(_of_row(row), NEWEST)
    for part, link in _parts(kind):
        of_part = _steps(part.history.filter(**{link.attname: row.pk}), NEWEST)
        for record, _changes in of_part:
            setattr(record, link.name, row)  # a part may be called by its row, and nothing is read for that
        found += of_part
    words = _Words(found)
    told = [_entry(words, *step, part_of=kind) for step in found]
    told = [entry for entry in told if entry.changes or entry.kind != CHANGED or entry.reason]
    # A proxy logs under a name of its own.
    same = [model for model in apps.get_models() if model._meta.concrete_model is kind]
    return _newest_first(told + _of_log_alone(told, _log(same, NEWEST, row)))


def saves(row: models.Model, limit: int, names: Collection[str], first: bool = False) -> list[Entry]:
    """The newest times that the row was saved, with those of the fields ``names`` that differ from the time before.
    ``first``: the first time is told of too, with all of them that held something. What has neither a difference nor
    a reason is left out."""
    columns = [each for each in row._meta.concrete_fields if each.name in names]
    records = _of_row(row).select_related(*(each.name for each in columns if each.is_relation))
    found = _steps(records, limit, names, first)
    words = _Words(found)
    told = [_entry(words, *step, part_of=row) for step in found]
    return [entry for entry in told if entry.changes or entry.reason]


def feed(
    of: Iterable[type[models.Model]],
    limit: int,
    histories: Mapping[type[Any], Q] | None = None,
    until: datetime | None = None,
) -> list[Entry]:
    """The newest changes to rows of these models, the newest first. ``histories``: the models whose history is read,
    each with the condition for its records; of the others only the admin's log tells. Of values only choices are
    told: others may be private, and not every reader of a feed may open the row."""
    told: list[Entry] = []
    for model, condition in (histories or {}).items():
        told += _newest(model, condition, limit, until)
    told += _of_log_alone(told, _log(list(of), 2 * limit))
    return _newest_first(told)[:limit]


def _newest(model: Any, condition: Q, limit: int, until: datetime | None) -> list[Entry]:
    # A history keeps whole rows: what differs from the one before it was changed.
    history = model.history.model._default_manager
    rows = history.filter(condition, **({"history_date__lte": until} if until else {}))
    key = model._meta.pk.attname
    before = history.filter(**{key: OuterRef(key)}, history_id__lt=OuterRef("history_id")).order_by("-history_id")
    rows = rows.annotate(before=Subquery(before.values("history_id")[:1])).select_related("history_user")
    newest = list(rows.order_by("-history_id")[:limit])
    earlier = history.in_bulk([record.before for record in newest if record.before])
    _read_members([*newest, *earlier.values()])
    # By the row as it is now: a history may leave out what the row is called by.
    now = model._default_manager.in_bulk({getattr(record, key) for record in newest})
    told = []
    for record in newest:
        row = now.get(getattr(record, key))
        before_it = earlier.get(record.before)
        changes = list(_differences(record, before_it)) if before_it and record.history_type == CHANGED else []
        entry = _entry(_Words(()), record, changes, part_of=model, choices_only=True)
        entry.name = str(row) if row is not None else _called(record)
        told.append(entry)
    return told


def _of_row(row: models.Model) -> Any:
    kind: Any = row._meta.concrete_model
    return kind.history.filter(**{kind._meta.pk.attname: row.pk})


def _parts(kind: Any) -> Iterator[tuple[Any, Any]]:
    """Models with a history whose rows go when a row of ``kind`` goes, and the field that says whose they are."""
    for relation in kind._meta.related_objects:
        if relation.on_delete is models.CASCADE and hasattr(relation.related_model, "history"):
            yield relation.related_model, relation.field


def _steps(
    records: Any, limit: int, names: Collection[str] = (), first: bool = False
) -> list[tuple[Any, list[Difference]]]:
    """Each record with what differs from the one before it of the same row. A record without one before it is the
    first, or the oldest that is kept: what it holds was not changed by it, but for what ``saves`` asks of the first."""
    newest = records.select_related("history_user").order_by("-history_date", "-history_id")
    # One more than is told: the oldest has something to be compared with.
    found = list(newest[: limit + 1])
    _read_members(found)
    by_row: dict[Any, list[Any]] = {}
    for record in found:
        by_row.setdefault(_key(record), []).append(record)
    steps = []
    for record, before in (pair for one in by_row.values() for pair in pairwise([*one, None])):
        changes: Iterable[Difference] = ()
        if before and record.history_type == CHANGED:
            changes = _differences(record, before)
        elif first and record.history_type == ADDED:
            changes = _held(record)
        if record not in found[limit:]:
            steps.append((record, [each for each in changes if not names or each[0].name in names]))
    return steps


def _key(record: Any) -> Any:
    return getattr(record, record.instance_type._meta.pk.attname)


def _read_members(records: list[Any]) -> None:
    """What each record had in its lists of others, in one query for each list."""
    for record in records:
        record.members = {many.name: set() for many in record._history_m2m_fields}
    known = {record.pk: record for record in records}
    for many in records[0]._history_m2m_fields if records else ():
        kept = getattr(type(records[0]), many.name).model.objects.filter(history__in=known)
        for history, member in kept.values_list("history", f"{many.m2m_reverse_field_name()}"):
            known[history].members[many.name].add(member)


def _entry(
    words: "_Words", record: Any, changes: list[Difference], *, part_of: Any, choices_only: bool = False
) -> Entry:
    return Entry(
        at=record.history_date,
        user=record.history_user,
        kind=record.history_type,
        model=record.instance_type,
        pk=str(_key(record)),
        part="" if record.instance_type is part_of._meta.concrete_model else _named(record),
        changes=[words.change(*each, choices_only) for each in changes],
        reason=record.history_change_reason or "",
    )


def _named(record: Any) -> str:
    return f"{capfirst(str(record.instance_type._meta.verbose_name))} {_called(record)}"


def _called(record: Any) -> str:
    # Not record.instance: that would read what the history leaves out, for each record, and fail for secrets.
    row = record.instance_type(**{each.attname: getattr(record, each.attname) for each in _columns(record)})
    row._state.fields_cache.update(record._state.fields_cache)
    return str(row)


def _differences(record: Any, before: Any) -> Iterator[Difference]:
    """Each field that is another one: a column with its values, a list of others with the keys in it."""
    for column in _columns(record):
        old, new = getattr(before, column.attname), getattr(record, column.attname)
        if old != new:
            yield column, old, new
    for many in record._history_m2m_fields:
        old, new = before.members[many.name], record.members[many.name]
        if old != new:
            yield many, old, new


def _held(record: Any) -> Iterator[Difference]:
    """What a first record has, as if there had been nothing before."""
    return ((each, None, value) for each in _columns(record) if (value := getattr(record, each.attname)))


def _columns(record: Any) -> list[Any]:
    return [each for each in record.tracked_fields if not getattr(each, "auto_now", False)]


def _secret(column: Any) -> bool:
    return isinstance(column, EncryptedTextField) or masks.is_secret_column(column.name)


class _Words:
    """What stands in a field, in words. The rows that columns point to are read once for each model."""

    def __init__(self, steps: Iterable[tuple[Any, list[Difference]]]) -> None:
        self._rows: dict[Any, dict[Any, Any]] = {}
        wanted: dict[Any, set[Any]] = {}
        for record, changes in steps:
            for column, *values in changes:
                if column.is_relation:
                    model = column.remote_field.model
                    keys = set().union(*values) if column.many_to_many else set(values)
                    wanted.setdefault(model, set()).update(keys - {None})
                    # Joined to the record already.
                    row = record._state.fields_cache.get(column.name)
                    if row is not None:
                        self._rows.setdefault(model, {})[row.pk] = row
        for model, keys in wanted.items():
            read = self._rows.setdefault(model, {})
            if missing := keys - set(read):
                read.update(model._base_manager.in_bulk(missing))

    def change(self, column: Any, old: Any, new: Any, choices_only: bool = False) -> Change:
        if choices_only and not column.flatchoices:
            old = new = ""
        elif _secret(column):
            old, new = (masks.REMOVED if value else self.of(column, value) for value in (old, new))
        else:
            old, new = self.of(column, old), self.of(column, new)
        return Change(column.name, str(column.verbose_name), old, new)

    def of(self, column: Any, value: Any) -> str:
        if column.many_to_many:
            return self.names(column.remote_field.model, value)
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


def _log(kinds: Iterable[Any], limit: int, row: models.Model | None = None) -> list[tuple[LogEntry, Any]]:
    """What the admin's log tells of rows of these models, or of the one row, each with its model."""
    types = ContentType.objects.get_for_models(*kinds, for_concrete_models=False).items()
    by_type = {kind.pk: model for model, kind in types}
    if not by_type:
        return []
    log = LogEntry.objects.filter(content_type__in=by_type).select_related("user").order_by("-action_time", "-pk")
    if row is not None:
        log = log.filter(object_id=str(row.pk))
    return [(logged, by_type[logged.content_type_id or 0]) for logged in log[:limit]]


def _of_log_alone(told: list[Entry], log: list[tuple[LogEntry, Any]]) -> list[Entry]:
    """What only the log knows: actions, and saves that the history tells nothing of."""
    alone = []
    for logged, model in log:
        by_form = logged.change_message.startswith("[")
        if not (by_form and any(_is_same_save(entry, logged, model) for entry in told)):
            kind = _OF_LOG.get(logged.action_flag, CHANGED)
            row = {"model": model, "pk": str(logged.object_id), "name": logged.object_repr}
            message = logged.get_change_message()
            alone.append(Entry(logged.action_time, logged.user, kind, message=message, **row))
    return alone


def _is_same_save(entry: Entry, logged: LogEntry, model: Any) -> bool:
    same_row = entry.pk == logged.object_id and entry.model._meta.concrete_model is model._meta.concrete_model
    close = timedelta(0) <= logged.action_time - entry.at <= SAME_SAVE
    # A part is saved by the form of its row.
    return close and entry.user is not None and entry.user.pk == logged.user_id and bool(same_row or entry.part)


def _newest_first(told: list[Entry]) -> list[Entry]:
    return sorted(told, key=lambda entry: entry.at, reverse=True)
