"""How the office reads dates, durations, amounts and "nothing"; and that no page has a way of its own."""

import ast
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone, translation

from crm import formats

ROOT = Path(__file__).resolve().parents[2]
DAY, MOMENT = date(2031, 3, 12), datetime(2031, 3, 12, 13, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("language", "day", "moment", "amount", "yes"),
    [
        ("da", "12.03.2031", "12.03.2031 kl. 14.05", "1037,50 DKK", "Ja"),
        ("en", "12 Mar 2031", "12 Mar 2031, 14:05", "1037.50 DKK", "Yes"),
    ],
)
def test_it_is_written_in_one_way(language: str, day: str, moment: str, amount: str, yes: str) -> None:
    with translation.override(language):
        assert (formats.day(DAY), formats.moment(MOMENT), formats.short_moment(MOMENT)) == (day, moment, moment)
        assert moment in formats.when(MOMENT)
        assert formats.amount(Decimal("1037.5"), "DKK") == amount
        shown = [formats.in_words(each) for each in (DAY, MOMENT, True, 0, "text")]
        assert shown == [day, moment, yes, "0", "text"]


def test_an_amount_keeps_its_decimals() -> None:
    with translation.override("da"):
        assert [formats.amount(Decimal(each)) for each in ("7", "7.5", "7.1234")] == ["7,00", "7,50", "7,1234"]


def test_today_is_told_by_the_time_of_day_alone() -> None:
    noon = timezone.localtime().replace(hour=12, minute=0)
    with translation.override("da"):
        assert formats.short_moment(noon) == "12.00"
        assert "lige nu" in formats.when(timezone.now() - timedelta(seconds=20))


@pytest.mark.parametrize("write", [formats.day, formats.moment, formats.when, formats.duration, formats.in_words])
def test_nothing_is_a_dash(write: Any) -> None:
    assert write(None) == formats.NOTHING == "–"


# ---- Nobody else writes them --------------------------------------------------------------------------------------
_FUNCTIONS = {"date_format", "time_format", "number_format", "timesince", "timeuntil"}


def faults(source: str) -> Iterator[str]:
    """Each dash that stands for nothing, and each of Django's functions that write a date or a number."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and node.value == formats.NOTHING:
            yield f"line {node.lineno}: a dash"
        if isinstance(node, ast.ImportFrom) and (names := _FUNCTIONS & {alias.name for alias in node.names}):
            yield f"line {node.lineno}: {names}"
        if isinstance(node, ast.Attribute) and node.attr in _FUNCTIONS and ast.unparse(node.value) == "formats":
            yield f"line {node.lineno}: {node.attr}"


@pytest.mark.parametrize("app", ["crm", "tasks", "scalepoint_integration"])
def test_no_other_module_has_a_way_of_its_own(app: str) -> None:
    for path in (ROOT / app).rglob("*.py"):
        if path != ROOT / "crm" / "formats.py" and "migrations" not in path.parts:
            assert not list(faults(path.read_text())), path


def test_the_guard_sees_them() -> None:
    assert len(list(faults((ROOT / "crm" / "formats.py").read_text()))) == 3
    for source in ("x = y or '–'", "x = f'{y or \"–\"}'", "from django.utils.formats import date_format"):
        assert list(faults(source)), source
