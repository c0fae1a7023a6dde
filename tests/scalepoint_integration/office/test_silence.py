"""Companies that usually send, and are silent."""

import sys
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from scalepoint_integration.checks import check_settings
from scalepoint_integration.models import Connection, DefaultValues
from scalepoint_integration.office import silence
from scalepoint_integration.office.silence import Silence, silent
from tests.scalepoint_integration.office.test_figures import COPENHAGEN, NOW, make_case, make_event
from tests.support.world import World


def at(day: date, hour: int = 10) -> datetime:
    return datetime(day.year, day.month, day.day, hour, tzinfo=COPENHAGEN)


def sends(world: World, *days: date, **fields: Any) -> None:
    for day in days:
        make_event(world, at(day), **fields)


def every_weekday(until: date, count: int = 5) -> list[date]:
    days = (until - timedelta(days=each) for each in range(30))
    return sorted([day for day in days if day.weekday() < 5][:count])


def test_a_week_end_is_no_silence(world: World) -> None:
    sends(world, *every_weekday(date(2026, 3, 12)))  # the last one a Thursday
    for day in (13, 14, 15, 16, 17):  # until Tuesday there were two whole working days
        assert silent(world.connection, at(date(2026, 3, day), 16)) == []
    last = at(date(2026, 3, 12))
    assert silent(world.connection, at(date(2026, 3, 18))) == [Silence(world.nord, last, 3, 1)]
    assert silent(world.connection, at(date(2026, 3, 19)))[0].days == 4


def test_easter_is_no_silence(world: World) -> None:
    # Maundy Thursday to Easter Monday: 2 to 6 April 2026.
    sends(world, *every_weekday(date(2026, 3, 31)))
    for day in range(1, 9):
        assert silent(world.connection, at(date(2026, 4, day))) == []
    assert [each.days for each in silent(world.connection, at(date(2026, 4, 9)))] == [3]


def test_who_sends_seldom_is_not_silent_so_soon(world: World) -> None:
    weekly = [date(2026, 2, 2) + timedelta(weeks=each) for each in range(5)]  # Mondays, the last on 2 March
    sends(world, *weekly)
    assert silent(world.connection, at(date(2026, 3, 9))) == []
    assert silent(world.connection, at(date(2026, 3, 10))) == []
    assert [(each.days, each.usual) for each in silent(world.connection, at(date(2026, 3, 11)))] == [(6, 5)]


def test_who_never_sent_much_is_not_missed(world: World) -> None:
    sends(world, date(2026, 3, 2), date(2026, 3, 3))
    sends(world, date(2026, 3, 2), date(2026, 3, 3), date(2026, 3, 4), insurer=world.syd, source="test")
    assert silent(world.connection, NOW) == []


@pytest.mark.parametrize(
    ("model", "change"), [(DefaultValues, {"silence_days": None}), (Connection, {"switch": "off"})]
)
def test_nobody_is_told_of_silence_who_does_not_want_it(world: World, model: Any, change: dict[str, Any]) -> None:
    sends(world, *every_weekday(date(2026, 3, 2)))
    assert len(silent(world.connection, NOW)) == 1
    model.objects.update(**change)
    assert silent(Connection.objects.get(), NOW) == []


def test_a_company_that_is_switched_off_may_be_silent(world: World) -> None:
    sends(world, *every_weekday(date(2026, 3, 2)))
    world.nord.active = False
    world.nord.save()
    assert silent(world.connection, NOW) == []


def test_silence_is_two_queries_however_many_companies(world: World, django_assert_num_queries: Any) -> None:
    sends(world, *every_weekday(date(2026, 3, 2), 10))
    sends(world, *every_weekday(date(2026, 3, 3), 10), insurer=world.syd)
    case = make_case(world, insurer=world.syd)
    sends(world, date(2026, 3, 4), insurer=None, case=case)  # in by the secret of the connection
    with django_assert_num_queries(2):
        found = silent(world.connection, NOW)
    assert [(each.insurer, each.last.astimezone(UTC).day) for each in found] == [(world.nord, 2), (world.syd, 4)]


def test_without_the_package_holidays_they_are_working_days(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    sends(world, *every_weekday(date(2026, 3, 31)))
    silence._closed.cache_clear()
    monkeypatch.setitem(sys.modules, "holidays", None)
    try:
        # 1 April, Maundy Thursday, Good Friday, Easter Monday.
        assert [each.days for each in silent(world.connection, at(date(2026, 4, 7)))] == [4]
        assert [message.id for message in check_settings(None)] == ["scalepoint.W002"]
    finally:
        silence._closed.cache_clear()
    monkeypatch.undo()
    assert silent(world.connection, at(date(2026, 4, 7))) == []
