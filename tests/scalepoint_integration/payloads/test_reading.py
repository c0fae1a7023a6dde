from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalepoint_integration.payloads.assignment import Address, parse
from scalepoint_integration.payloads.reading import Node, as_day, as_moment

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
NAMES = st.sampled_from(
    ["case", "CASE", "service", "policy", "policyHolder", "contacts", "images", "id", "number", "address", "url"]
) | st.sampled_from(["insuranceCompany", "alias", "accidentDate", "timestamp", "content", "damageAddress", "name"])
ODD_EVENTS = st.recursive(ANY_JSON, lambda inner: st.dictionaries(NAMES, inner) | st.lists(inner), max_leaves=30)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2031-05-06T08:45:53.3400000+02:00", datetime(2031, 5, 6, 6, 45, 53, 340000, UTC)),
        ("2031-03-02T08:15:30.123456789Z", datetime(2031, 3, 2, 8, 15, 30, 123456, UTC)),
        ("2018-01-12T16:44:12.620+0200", datetime(2018, 1, 12, 14, 44, 12, 620000, UTC)),
        ("2031-05-06T08:45:53Z", datetime(2031, 5, 6, 8, 45, 53, 0, UTC)),
        ("2031-07-06T08:45:53", datetime(2031, 7, 6, 6, 45, 53, 0, UTC)),
        ("2031-01-06T08:45:53", datetime(2031, 1, 6, 7, 45, 53, 0, UTC)),
        ("3/9/2031 1:05:00 PM", datetime(2031, 3, 9, 12, 5, 0, 0, UTC)),
        # The hour that comes twice, and the one that never comes, in Denmark.
        ("2031-10-26T02:30:00", datetime(2031, 10, 26, 0, 30, 0, 0, UTC)),
        ("2031-03-30T02:30:00", datetime(2031, 3, 30, 1, 30, 0, 0, UTC)),
        ("0001-01-01T00:00:00+02:00", None),
        ("0001-01-01T00:00:00", None),
        ("9999-12-31T23:59:59.9999999", None),
        ("9999-12-31T23:59:59-11:00", None),
        ("", None),
        ("soon", None),
        ("2031-13-01T00:00:00Z", None),
    ],
)
def test_moments(text: str, moment: datetime | None) -> None:
    assert as_moment(text) == moment


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2031-05-05T00:00:00Z", date(2031, 5, 5)),
        ("2031-05-05", date(2031, 5, 5)),
        ("2031-05-05T23:30:00-11:00", date(2031, 5, 5)),
        ("5/28/2031 11:00:00 PM", date(2031, 5, 28)),
        ("0001-01-01T00:00:00", None),
        ("", None),
    ],
)
def test_a_day_is_the_day_as_written(text: str, day: date | None) -> None:
    assert as_day(text) == day


@given(st.text())
def test_any_text_is_a_moment_or_none(text: str) -> None:
    assert as_moment(text) is None or as_moment(text).tzinfo is UTC  # type: ignore[union-attr]


@given(ODD_EVENTS)
def test_an_odd_event_is_an_empty_one_and_never_an_error(event: Any) -> None:
    parse(event)


def test_names_are_read_in_any_case_and_the_first_that_holds_something_wins() -> None:
    node = Node({"UUID": "1", "Id": "", "n": 7, "yes": True, "list": [{"a": 1}, 2, {}], "one": {"b": 2}})
    assert node.text("id", "uuid") == "1"
    assert node.text("n") == "7"
    assert node.text("yes") == "true"
    assert [item.text("a") for item in node.nodes("list")] == ["1"]
    assert [item.text("b") for item in node.nodes("one")] == ["2"]
    assert not list(node.nodes("n"))


def test_a_country_alone_is_no_address() -> None:
    assert not Address(country="DK")
    assert Address(city="Odense")
