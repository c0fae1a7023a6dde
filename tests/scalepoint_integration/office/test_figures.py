"""The numbers of the overview, of a small world whose every row is known."""

from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth import get_user_model
from pytest_django import DjangoAssertNumQueries

from scalepoint_integration.models import (
    Case,
    Connection,
    EventAttempt,
    InboundEvent,
    Service,
)
from scalepoint_integration.office import figures
from scalepoint_integration.office.figures import Cause, Scope
from tasks.models import Task
from tests.support.world import World

COPENHAGEN = ZoneInfo("Europe/Copenhagen")
NOW = datetime(2026, 3, 18, 14, 5, tzinfo=COPENHAGEN)  # a Wednesday


def ago(**distance: float) -> datetime:
    return NOW - timedelta(**distance)


def make_case(world: World, at: datetime = NOW, **fields: Any) -> Case:
    fields = {"connection": world.connection, "insurer": world.nord, "status": "in_progress"} | fields
    fields.setdefault("number", f"N-{Case.objects.count() + 1}")
    case = Case.objects.create(**fields)
    Case.objects.filter(pk=case.pk).update(created_at=at)
    return case


def make_event(world: World, at: datetime = NOW, **fields: Any) -> InboundEvent:
    known = InboundEvent.objects.count()
    fields = {"connection": world.connection, "insurer": world.nord, "status": "done"} | fields
    return InboundEvent.objects.create(
        dedupe_key=f"invented-{known}", event_type="repair_service_requested", received_at=at, **fields
    )


def mette() -> Any:
    return get_user_model().objects.get(username="mette")


# ---- Counters ------------------------------------------------------------------------------------------------------
def test_the_counters_are_exact_and_know_no_test_case(
    world: World, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    yesterday, today = date(2026, 3, 17), date(2026, 3, 18)
    make_case(world, status="new")
    make_case(world, status="new", responsible=mette(), insurer=world.syd)
    make_case(world, status="needs_action", problem_code="SP-204", deadline=yesterday)
    make_case(world, responsible=mette(), deadline=yesterday)
    make_case(world, responsible=mette(), deadline=today)  # due today is not late
    make_case(world, status="closed", deadline=yesterday)
    make_case(world, status="cancelled")
    for status in Case.Status:
        make_case(world, status=status, is_test=True, deadline=yesterday)
    reader = mette().pk
    with django_assert_num_queries(1):
        found = figures.counters(Scope(NOW), reader)
    assert found == {"needs_action": 1, "new": 2, "unassigned": 2, "overdue": 2, "mine": 3}
    of_syd = figures.counters(Scope(NOW, insurer=world.syd.pk), mette().pk)
    assert of_syd == {"needs_action": 0, "new": 1, "unassigned": 0, "overdue": 0, "mine": 1}


def test_failed_events_of_test_cases_do_not_count(world: World, django_assert_num_queries: Any) -> None:
    test = make_case(world, is_test=True)
    make_event(world, status="failed")
    make_event(world, status="failed", case=make_case(world), insurer=world.syd)
    make_event(world, status="failed", source="test")
    make_event(world, status="failed", case=test)
    make_event(world, status="done")
    with django_assert_num_queries(1):
        assert figures.failed_events(Scope(NOW)) == 2
    assert figures.failed_events(Scope(NOW, insurer=world.syd.pk)) == 1


def test_my_cases_are_the_open_ones_that_are_due_first(world: World) -> None:
    late = make_case(world, responsible=mette(), deadline=date(2026, 3, 1))
    undated = make_case(world, responsible=mette())
    soon = make_case(world, responsible=mette(), deadline=date(2026, 4, 1))
    make_case(world, responsible=mette(), status="closed")
    make_case(world, responsible=mette(), is_test=True)
    make_case(world)
    assert figures.my_cases(Scope(NOW), mette().pk) == [late, soon, undated]


# ---- Causes --------------------------------------------------------------------------------------------------------
def test_cases_with_the_same_sentence_are_one_cause(world: World) -> None:
    off = {"problem_code": "SP-201", "problem_facts": {"template": "Vandskade"}, "status": "needs_action"}
    make_case(world, **off)
    make_case(world, **off)
    other = make_case(world, **{**off, "problem_facts": {"template": "Brand"}})
    for phone in ("28112233", "28112234", "28112235"):
        make_case(world, problem_code="SP-203", problem_facts={"reason": phone}, status="needs_action")
    make_case(world, problem_code="SP-204", status="needs_action", is_test=True)
    make_case(world, problem_code="SP-204", status="closed")
    assert figures.causes(Scope(NOW)) == [
        Cause("SP-203", {}, 3, True),
        Cause("SP-201", {"template": "Vandskade"}, 2, True),
        Cause("SP-201", {"template": "Brand"}, 1, True, other.pk),
    ]


def test_a_failed_event_is_a_cause_where_its_case_does_not_say_so(world: World) -> None:
    stuck = make_case(world, status="needs_action", problem_code="SP-204")
    make_event(world, status="failed", error_code="SP-204", case=stuck)
    make_event(world, status="failed", error_code="SP-105")
    make_event(world, status="failed", error_code="SP-900", case=make_case(world))
    make_event(world, status="failed", error_code="SP-900", source="test")
    assert set(map(str, figures.causes(Scope(NOW)))) == set(
        map(
            str,
            [
                Cause("SP-204", {}, 1, True, stuck.pk),
                Cause("SP-105", {}, 1, False),
                Cause("SP-900", {}, 1, False),
            ],
        )
    )


# ---- Days ----------------------------------------------------------------------------------------------------------
def test_cases_per_day_has_every_day_of_the_period(world: World, django_assert_num_queries: Any) -> None:
    make_case(world, NOW)
    make_case(world, datetime(2026, 3, 18, 0, 1, tzinfo=COPENHAGEN))  # still the 17th in Greenwich
    make_case(world, ago(days=6), insurer=world.syd)
    make_case(world, ago(days=7))
    make_case(world, NOW, is_test=True)
    with django_assert_num_queries(1):
        days = figures.cases_per_day(Scope(NOW, 7))
    assert days == [(date(2026, 3, day), n) for day, n in zip(range(12, 19), (1, 0, 0, 0, 0, 0, 2), strict=True)]
    assert len(figures.cases_per_day(Scope(NOW, 90))) == 90
    assert sum(n for _day, n in figures.cases_per_day(Scope(NOW, 90))) == 4
    assert sum(n for _day, n in figures.cases_per_day(Scope(NOW, 90, world.syd.pk))) == 1


def test_a_day_with_a_change_of_the_clock_is_one_day(world: World) -> None:
    # Summer time begins on 29 March 2026, at two in the night.
    make_case(world, datetime(2026, 3, 29, 0, 30, tzinfo=COPENHAGEN))
    make_case(world, datetime(2026, 3, 29, 23, 30, tzinfo=COPENHAGEN))
    days = dict(figures.cases_per_day(Scope(datetime(2026, 4, 1, 12, tzinfo=COPENHAGEN), 7)))
    assert days[date(2026, 3, 29)] == 2
    assert list(days) == [date(2026, 3, 26) + timedelta(days=each) for each in range(7)]


def test_cases_per_insurer(world: World, django_assert_num_queries: Any) -> None:
    for _each in range(2):
        make_case(world, insurer=world.syd)
    make_case(world)
    make_case(world, insurer=None)
    make_case(world, ago(days=40))
    make_case(world, is_test=True)
    with django_assert_num_queries(1):
        found = figures.cases_per_insurer(Scope(NOW, 30))
    assert sorted(found, key=str) == [("", 1), (world.nord.name, 1), (world.syd.name, 2)]
    assert found[0] == (world.syd.name, 2)


def test_many_companies_share_the_last_line(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "SHOWN", 1)
    for _each in range(3):
        make_case(world, insurer=world.syd)
    make_case(world)
    make_case(world, insurer=None)
    assert figures.cases_per_insurer(Scope(NOW)) == [(world.syd.name, 3), (None, 2)]


def test_errors_per_day_are_events_that_did_not_succeed_at_once(world: World, django_assert_num_queries: Any) -> None:
    make_event(world, status="failed")
    solved = make_event(world, ago(days=1), status="done")
    for _each in range(3):
        EventAttempt.objects.create(event=solved, error_code="SP-201")
    make_event(world, ago(days=1), status="done")
    make_event(world, ago(days=1), status="failed", source="test")
    make_event(world, ago(days=8), status="failed")
    with django_assert_num_queries(1):
        days = figures.errors_per_day(Scope(NOW, 7))
    assert [n for _day, n in days] == [0, 0, 0, 0, 0, 1, 1]


# ---- How fast ------------------------------------------------------------------------------------------------------
def with_task(world: World, case: Case, at: datetime) -> Task:
    task = Task.objects.create(title="Skade", created_at=at)
    Service.objects.create(case=case, reference=str(Service.objects.count()), task=task)
    return task


def test_durations_are_measured_from_the_first_event(world: World, django_assert_num_queries: Any) -> None:
    for seconds in (10, 38, 15_000):
        case = make_case(world, ago(hours=5), taken_at=ago(hours=4) if seconds == 38 else None)
        make_event(world, ago(hours=6), case=case)
        make_event(world, ago(hours=5), case=case)
        with_task(world, case, ago(hours=6) + timedelta(seconds=seconds))
        with_task(world, case, NOW)  # a second service, ordered later
    linked = make_case(world, ago(hours=2), taken_at=ago(hours=1))
    with_task(world, linked, ago(days=300))
    test = make_case(world, ago(hours=2), is_test=True, taken_at=NOW)
    with_task(world, test, NOW)
    make_case(world, ago(hours=2))
    with django_assert_num_queries(1):
        found = figures.durations(Scope(NOW))
    assert (found.to_task, found.to_task_longest) == (38, 15_000)
    assert found.to_person == 5400  # two hours, and one


def test_nothing_measured_is_nothing(db: None) -> None:
    assert figures.durations(Scope(NOW)) == figures.Durations(None, None, None)
    assert figures.last_event(Scope(NOW)) is None
    assert figures.causes(Scope(NOW)) == figures.my_cases(Scope(NOW), 1) == figures.changes(Scope(NOW), [Case]) == []
    assert figures.cases_per_insurer(Scope(NOW)) == []
    assert [n for _day, n in figures.cases_per_day(Scope(NOW, 7))] == [0] * 7


def test_the_last_event_is_none_of_ours(world: World, django_assert_num_queries: Any) -> None:
    make_event(world, ago(hours=3))
    make_event(world, ago(hours=4), insurer=world.syd)
    make_event(world, ago(minutes=1), source="test")
    with django_assert_num_queries(1):
        assert figures.last_event(Scope(NOW)) == ago(hours=3)
    assert figures.last_event(Scope(NOW, insurer=world.syd.pk)) == ago(hours=4)


# ---- Changes -------------------------------------------------------------------------------------------------------
def changed(row: Any, by: Any, at: datetime, **fields: Any) -> None:
    for name, value in fields.items():
        setattr(row, name, value)
    row._history_user, row._history_date = by, at
    row.save()
    row._history_date = None


def test_changes_name_who_and_which_fields(world: World, django_assert_max_num_queries: Any) -> None:
    Connection.history.all().delete()
    type(world.nord).history.all().delete()
    case = make_case(world, number="905709")
    Case.history.update(history_date=ago(days=3))
    changed(case, mette(), ago(hours=2), status="closed", responsible=mette())
    changed(make_case(world, is_test=True), mette(), ago(hours=1), status="closed")
    Connection.history.all().delete()
    changed(world.connection, mette(), ago(hours=3), switch="paused")
    models = [Case, Connection, type(world.nord)]
    with django_assert_max_num_queries(9):
        found = figures.changes(Scope(NOW), models)
    told = [(change.who, change.model, change.name, change.kind, change.what) for change in found]
    assert told == [
        ("mette", Case, "905709", "~", "status: Closed, responsible"),
        ("mette", Connection, "2332", "~", ""),  # the first in the history: there is nothing to compare it with
        ("", Case, "905709", "+", ""),
    ]
    assert [change.model for change in figures.changes(Scope(NOW), [Connection])] == [Connection]
    assert figures.changes(Scope(NOW), []) == []
