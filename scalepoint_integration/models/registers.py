"""Facts with the time they were stated, so that the order of arrival does not matter. Pure.

Every fact is kept with the time Scalepoint said it (a last-writer-wins register). The newest statement that says
anything wins, fact by fact, whatever came first; a statement without a fact never takes one away. Comparing one time
stamp per case instead was tried on paper and fails with three events: the middle one is then dropped whole.
"""

from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass
from datetime import UTC, date, datetime
from typing import Any, TypeVar

from scalepoint_integration.payloads import strict_json
from scalepoint_integration.payloads.assignment import Address, CaseFacts, ServiceFacts

Facts = TypeVar("Facts", CaseFacts, ServiceFacts)
# {"number": {"value": ..., "at": ISO time}}
Registers = dict[str, dict[str, Any]]


def merge(registers: Mapping[str, Any], said: CaseFacts | ServiceFacts, at: datetime) -> Registers:
    """The registers after this was said at that time. A tie goes to the later arrival. Pure."""
    merged: Registers = dict(registers)
    for name, value in ((each.name, getattr(said, each.name)) for each in fields(said)):
        if not value:
            continue
        held = merged.get(name)
        if held is None or datetime.fromisoformat(held["at"]) <= at:
            merged[name] = {"value": _to_json(value), "at": at.astimezone(UTC).isoformat()}
    return merged


def older(registers: Mapping[str, Any], said: CaseFacts | ServiceFacts, at: datetime) -> list[bool]:
    """For each fact that was said at that time: whether a newer statement of it is known. ``registers`` are the merged
    ones. Pure."""
    named = [each.name for each in fields(said) if getattr(said, each.name) and each.name in registers]
    return [datetime.fromisoformat(registers[name]["at"]) > at for name in named]


def read(registers: Mapping[str, Any], kind: type[Facts]) -> Facts:
    """The facts that hold now."""
    known = {each.name: each.type for each in fields(kind)}
    return kind(**{name: _from_json(name, held["value"]) for name, held in registers.items() if name in known})


def join(one: Mapping[str, Any], two: Mapping[str, Any]) -> dict[str, Any]:
    """Registers of facts (``merge``) of which each name's newest statement counts; at the same time the greater, so
    that it does not matter which case was first. Pure."""
    return {name: max((each[name] for each in (one, two) if name in each), key=_age) for name in {**one, **two}}


def newest(held: Mapping[str, Any], said: Mapping[str, Any]) -> Registers:
    """The registers after these were told: of each property the newest statement counts. Of two at the same time the
    greater text does, so that even then the order of arrival does not matter. Pure."""
    merged: Registers = dict(held)
    for name, register in said.items():
        if name not in merged or _order(merged[name]) < _order(register):
            merged[name] = register
    return merged


def _age(register: Mapping[str, Any]) -> tuple[datetime, bytes]:
    return datetime.fromisoformat(register["at"]), strict_json.canonical(register["value"])


def _order(register: Mapping[str, Any]) -> tuple[datetime, str, str]:
    return datetime.fromisoformat(register["at"]), register["now"] or "", register["before"] or ""


def _to_json(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return value.isoformat() if isinstance(value, date) else value


def _from_json(name: str, value: Any) -> Any:
    if name.endswith("_address"):
        return Address(**value)
    return date.fromisoformat(value) if name.endswith("_date") else value
