"""The numbers of the overview: is it working, and what must be done today? Test cases are never counted.

Each number is one query on an index, over the whole site (``Scope`` may narrow it to an insurance company). Medians are
taken in Python, of at most ROWS rows: SQLite has no such function. Nothing here writes, and ``now`` is always given.
"""

import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from django.db import connection as database
from django.db.models import Count, Exists, F, Min, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce, TruncDate
from django.utils import timezone

from crm import history
from crm.models import InsuranceCompany
from scalepoint_integration import errors
from scalepoint_integration.errors import describe
from scalepoint_integration.models import Case, Connection, DefaultValues, EventAttempt, InboundEvent, Service

PERIODS = (7, 30, 90)
ROWS = 10_000
# Companies with a bar of their own, changes and causes that are shown.
SHOWN = 10


@dataclass(frozen=True, slots=True)
class Scope:
    """What the numbers are about: the last ``days`` days, today with them, and one company or all."""

    now: datetime
    days: int = 30
    insurer: int | None = None

    @property
    def today(self) -> date:
        return timezone.localdate(self.now)

    @property
    def start(self) -> datetime:
        first = self.today - timedelta(days=self.days - 1)
        return datetime.combine(first, time.min, timezone.get_current_timezone())


def _cases(scope: Scope) -> "QuerySet[Case]":
    cases = Case.objects.filter(is_test=False)
    return cases.filter(insurer=scope.insurer) if scope.insurer else cases


def _events(scope: Scope) -> "QuerySet[InboundEvent]":
    events = InboundEvent.objects.exclude(source=InboundEvent.Source.TEST).exclude(case__is_test=True)
    return events.filter(insurer=scope.insurer) if scope.insurer else events


# ---- What is to be done --------------------------------------------------------------------------------------------
def tab(name: str, reader: Any, today: date) -> Q:
    """The cases behind a number, which are those of the list's tab of that name. ``reader`` is a user's key."""
    return {
        "needs_action": Q(status=Case.Status.NEEDS_ACTION),
        "new": Q(status=Case.Status.NEW),
        "unassigned": Q(status__in=Case.OPEN, responsible=None),
        "overdue": Q(status__in=Case.OPEN, deadline__lt=today),
        "mine": Q(status__in=Case.OPEN, responsible=reader),
    }[name]


def counters(scope: Scope, reader: Any) -> dict[str, int]:
    """How many cases, by the names of ``tab``."""
    wanted = {name: tab(name, reader, scope.today) for name in ("needs_action", "new", "unassigned", "overdue", "mine")}
    numbers = {name: Count("pk", filter=condition) for name, condition in wanted.items()}
    return _cases(scope).filter(status__in=Case.OPEN).aggregate(**numbers)


def failed_events(scope: Scope) -> int:
    return _events(scope).filter(status=InboundEvent.Status.FAILED).count()


def my_cases(scope: Scope, reader: Any) -> list[Case]:
    """The reader's open cases, those that are due first on top."""
    mine = _cases(scope).filter(tab("mine", reader, scope.today)).select_related("insurer")
    return list(mine.defer("search_text").order_by(F("deadline").asc(nulls_last=True), "-pk")[:SHOWN])


@dataclass(frozen=True, slots=True)
class Cause:
    """Why something stopped, and how much of it. ``case`` is set where it is a single one; ``of_cases`` is False for
    events that no case shows."""

    code: str
    facts: dict[str, Any]
    count: int
    of_cases: bool
    case: int | None = None


def causes(scope: Scope) -> list[Cause]:
    """What cases and events wait for, the most frequent first. Cases with the same sentence are one cause; where the
    sentence names something of each case (a telephone number) it is told without."""
    stuck = _cases(scope).filter(status=Case.Status.NEEDS_ACTION).exclude(problem_code="")
    rows = stuck.values("problem_code", "problem_facts").annotate(n=Count("pk"), one=Min("pk")).order_by("-n", "-one")
    shared: dict[tuple[str, str], Cause] = {}
    for row in rows[:200]:
        code, facts = row["problem_code"], row["problem_facts"]
        of_one = errors.find(code).per_case
        key = (code, "" if of_one else describe(code, facts).what)
        old = shared.get(key)
        count = row["n"] + (old.count if old else 0)
        told = {} if old and of_one else facts
        shared[key] = Cause(code, told, count, True, row["one"] if count == 1 else None)
    alone = _events(scope).filter(status=InboundEvent.Status.FAILED)
    alone = alone.exclude(case__status=Case.Status.NEEDS_ACTION, case__problem_code__gt="")
    codes = alone.values("error_code").annotate(n=Count("pk")).order_by("-n")
    events = [Cause(row["error_code"], {}, row["n"], False) for row in codes[:SHOWN]]
    return [*sorted(shared.values(), key=lambda cause: -cause.count)[:SHOWN], *events]


# ---- What happened -------------------------------------------------------------------------------------------------
def received_any(scope: Scope) -> bool:
    """Whether there ever was a real case."""
    return _cases(Scope(scope.now)).exists()


def last_event(scope: Scope) -> datetime | None:
    """When Scalepoint was last heard of."""
    return _events(scope).order_by("-received_at").values_list("received_at", flat=True).first()


def cases_per_day(scope: Scope) -> list[tuple[date, int]]:
    """Every day of the period, also those without a case."""
    return _per_day(scope, _cases(scope).filter(created_at__gte=scope.start), "created_at")


def errors_per_day(scope: Scope) -> list[tuple[date, int]]:
    """Events by the day they came that did not succeed at once: they failed, or had to be tried again."""
    tried = Exists(EventAttempt.objects.filter(event=OuterRef("pk")))
    events = _events(scope).filter(received_at__gte=scope.start)
    return _per_day(scope, events.filter(Q(status=InboundEvent.Status.FAILED) | Q(tried)), "received_at")


def _per_day(scope: Scope, rows: "QuerySet[Any]", column: str) -> list[tuple[date, int]]:
    days = rows.filter(**{f"{column}__lte": scope.now}).annotate(day=TruncDate(column)).values("day")
    found = dict(days.annotate(n=Count("pk")).order_by("day").values_list("day", "n"))
    first = timezone.localdate(scope.start)
    return [(day, found.get(day, 0)) for day in (first + timedelta(days=each) for each in range(scope.days))]


def cases_per_insurer(scope: Scope) -> list[tuple[str | None, int]]:
    """Names and numbers of the period, the largest first; "" where the company is not known. Those that are too many
    for the chart share the last line, named None."""
    cases = _cases(scope).filter(created_at__gte=scope.start, created_at__lte=scope.now)
    rows = cases.values("insurer", "insurer__name").annotate(n=Count("pk")).order_by("-n", "insurer__name", "insurer")
    found: list[tuple[str | None, int]] = [(row["insurer__name"] or "", row["n"]) for row in rows]
    rest = sum(count for _name, count in found[SHOWN:])
    return [*found[:SHOWN], (None, rest)] if rest else found


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one company; test cases are not counted. ``errors`` in seven days, ``cases`` in thirty."""

    latest: datetime | None = None
    errors: int = 0
    cases: int = 0


def figures_of(companies: Iterable[int], now: datetime) -> dict[int, Figures]:
    """Three queries, however many companies: the newest event by its index, and two that only read the last days."""
    ids = list(companies)
    real = InboundEvent.objects.exclude(source=InboundEvent.Source.TEST)
    latest = _latest(real, ids)
    failed = real.filter(
        insurer__in=ids, status=InboundEvent.Status.FAILED, received_at__gte=now - timedelta(days=7)
    ).exclude(case__is_test=True)
    errors = dict(failed.order_by().values_list("insurer").annotate(Count("pk")))
    rows = Case.objects.filter(insurer__in=ids, is_test=False, created_at__gte=now - timedelta(days=30))
    cases = dict(rows.order_by().values_list("insurer").annotate(Count("pk")))
    return {pk: Figures(latest.get(pk), errors.get(pk, 0), cases.get(pk, 0)) for pk in ids}


def _latest(real: "QuerySet[InboundEvent]", ids: list[int]) -> dict[int, datetime]:
    """When the newest event of each came. Each company is named in the statement: with a subquery, PostgreSQL did not
    know which one it would be, and read all events backwards for one that sent none (a million: 0.2 s)."""
    if not database.features.supports_slicing_ordering_in_compound:
        newest = real.filter(insurer=OuterRef("pk")).order_by("-pk").values("received_at")[:1]
        return dict(InsuranceCompany.objects.filter(pk__in=ids).values_list("pk", Subquery(newest)))
    each = [real.filter(insurer=pk).order_by("-pk").values_list("insurer", "received_at")[:1] for pk in ids]
    return dict(each[0].union(*each[1:], all=True)) if each else {}


@dataclass(frozen=True, slots=True)
class Durations:
    """In seconds, None where nothing was measured. From the first event of a case to its first task, and until a person
    took it."""

    to_task: float | None
    to_task_longest: float | None
    to_person: float | None


def durations(scope: Scope) -> Durations:
    """Of the cases of the period, at most the newest ROWS. A task that was there before the case (somebody tied it to
    it) says nothing about how fast we are."""
    first_event = InboundEvent.objects.filter(case=OuterRef("pk")).order_by("received_at").values("received_at")[:1]
    first_task = Service.objects.filter(case=OuterRef("pk")).exclude(task=None).order_by("task__created_at")
    cases = _cases(scope).filter(created_at__gte=scope.start, created_at__lte=scope.now).order_by("-created_at")
    rows = cases.values_list(
        Coalesce(Subquery(first_event), "created_at"), Subquery(first_task.values("task__created_at")[:1]), "taken_at"
    )[:ROWS]
    to_task, to_person = [], []
    for received, made, taken in rows:
        if made and made >= received:
            to_task.append((made - received).total_seconds())
        if taken and taken >= received:
            to_person.append((taken - received).total_seconds())
    return Durations(_median(to_task), max(to_task, default=None), _median(to_person))


def _median(values: list[float]) -> float | None:
    return statistics.median(values) if values else None


# ---- Who changed what ----------------------------------------------------------------------------------------------
def changes(scope: Scope, models: Iterable[type[Any]]) -> list[history.Entry]:
    """The newest changes to rows of these models (those that the reader may see), newest first. The histories say which
    fields; the admin's own log tells of what has no history."""
    of_one = {Case: Q(insurer=scope.insurer), InsuranceCompany: Q(id=scope.insurer)}
    of_all = dict.fromkeys((Case, Connection, DefaultValues, InsuranceCompany), Q())
    told: dict[type[Any], Q] = of_one if scope.insurer else of_all
    told[Case] &= Q(is_test=False)
    models = list(models)
    seen = {model: condition for model, condition in told.items() if model in models}
    return history.feed(() if scope.insurer else models, SHOWN, seen, scope.now)


def waiting_events() -> int:
    """How many stored events wait for the background job, counted no further than ROWS."""
    rows = InboundEvent.objects.filter(status=InboundEvent.Status.PENDING, connection__switch=Connection.Switch.ON)
    return rows.order_by()[:ROWS].count()
