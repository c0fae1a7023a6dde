"""Lenient access to what a sender wrote: names without regard to case, and an odd value is an empty one.

A case must never be lost over an optional field, so nothing here raises.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

_DENMARK = ZoneInfo("Europe/Copenhagen")
_EMPTY: Mapping[str, Any] = {}
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII)
# What the columns hold: 18 digits, four of them behind the point.
_LARGEST = Decimal("99999999999999.9999")
_SMALLEST = Decimal("0.0001")


class Node:
    """A JSON object, asked by name. The first of several names that holds something wins."""

    __slots__ = ("_fields",)

    def __init__(self, value: Any) -> None:
        self._fields = {key.casefold(): item for key, item in value.items()} if isinstance(value, dict) else _EMPTY

    def __bool__(self) -> bool:
        return bool(self._fields)

    def raw(self, *names: str) -> Any:
        for name in names:
            value = self._fields.get(name.casefold())
            if value is not None:
                return value
        return None

    def has(self, name: str) -> bool:
        """Whether the name is there at all, were it with null in it."""
        return name.casefold() in self._fields

    def text(self, *names: str) -> str:
        """The text, trimmed; numbers and truth values as text; anything else is empty."""
        for name in names:
            value = as_text(self._fields.get(name.casefold()))
            if value:
                return value
        return ""

    def node(self, *names: str) -> "Node":
        for name in names:
            found = Node(self._fields.get(name.casefold()))
            if found:
                return found
        return Node(None)

    def nodes(self, name: str) -> Iterator["Node"]:
        """The objects of a list; a single object counts as a list of one."""
        value = self._fields.get(name.casefold())
        for item in value if isinstance(value, list) else [value]:
            found = Node(item)
            if found:
                yield found

    def moment(self, *names: str) -> datetime | None:
        return as_moment(self.text(*names))

    def day(self, *names: str) -> date | None:
        return as_day(self.text(*names))

    def amount(self, *names: str) -> Decimal | None:
        return as_amount(self.raw(*names))

    def flag(self, *names: str) -> bool | None:
        return as_flag(self.raw(*names))


def as_text(value: Any) -> str:
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | Decimal):
        return str(value)
    return ""


def as_amount(value: Any) -> Decimal | None:
    """An exact number, also out of a text like "1037.50". A text with a comma is not guessed at: it may separate
    thousands or decimals, and this is money."""
    text = "" if isinstance(value, bool) else as_text(value)
    if not _NUMBER.fullmatch(text):
        return None
    number = Decimal(text)
    return number.quantize(_SMALLEST) if abs(number) <= _LARGEST else None


def as_flag(value: Any) -> bool | None:
    return {"true": True, "1": True, "false": False, "0": False}.get(as_text(value).casefold())


def as_moment(text: str) -> datetime | None:
    """A point in time in UTC. All of Scalepoint's shapes: fractions of any length, ``Z``, ``+02:00``, ``+0200``, and
    the American ``M/D/YYYY h:mm:ss AM`` of one page; without an offset it is Danish time. .NET's smallest and largest
    date mean "no date"."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        try:
            moment = datetime.strptime(text, "%m/%d/%Y %I:%M:%S %p")
        except ValueError:
            return None
    if not 1 < moment.year < 9999:
        return None
    try:
        return (moment if moment.tzinfo else moment.replace(tzinfo=_DENMARK)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def as_day(text: str) -> date | None:
    """A calendar day, as written: a day sent as midnight UTC is not moved to the evening before."""
    moment = as_moment(text)
    if moment is None:
        return None
    try:
        return datetime.fromisoformat(text).date()
    except ValueError:
        return moment.astimezone(_DENMARK).date()
