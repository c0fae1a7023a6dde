"""``reserve_updated``: what an insurer has set aside changes, property by property."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from scalepoint_integration.handlers.common import lock_case
from scalepoint_integration.models import InboundEvent, Reserve
from scalepoint_integration.payloads.reading import Node
from scalepoint_integration.payloads.reserve import AMOUNTS, FLAGS, TEXTS, Change, parse

Registers = dict[str, dict[str, Any]]
_COLUMNS = {"isdefault": "is_default"} | {name: name.replace(".", "_") for name in (*AMOUNTS, *TEXTS) if name != "id"}


def handle(event: InboundEvent, payload: Any, now: datetime) -> None:
    case = lock_case(event, Node(payload).node("case"))
    at = event.occurred_at or event.received_at
    for reserve_id, changes in parse(payload).items():
        reserve = Reserve.objects.filter(case=case, reserve_id=reserve_id).first()
        reserve = reserve or Reserve(case=case, reserve_id=reserve_id)
        reserve.registers = merge(reserve.registers, changes, at)
        known = {name: register["now"] for name, register in reserve.registers.items()}
        for name, column in _COLUMNS.items():
            setattr(reserve, column, _typed(name, known.get(name)))
        # The id is said twice; what the list of changes is filed under counts.
        reserve.extra = {name: value for name, value in known.items() if name not in _COLUMNS and name != "id"}
        reserve.save()


def merge(registers: Mapping[str, Any], changes: Iterable[Change], at: datetime) -> Registers:
    """The registers after these changes were told at that time: of each property the newest statement counts. Of two
    at the same time the greater text does, so that even then the order of arrival does not matter. Pure."""
    merged: Registers = dict(registers)
    for change in changes:
        said = {"now": change.now, "before": change.before, "at": at.astimezone(UTC).isoformat()}
        held = merged.get(change.name)
        if held is None or _order(held) < _order(said):
            merged[change.name] = said
    return merged


def _order(register: Mapping[str, Any]) -> tuple[datetime, str, str]:
    return datetime.fromisoformat(register["at"]), register["now"] or "", register["before"] or ""


def _typed(name: str, value: str | None) -> Any:
    if name in AMOUNTS:
        return None if value is None else Decimal(value)
    if name in FLAGS:
        return None if value is None else value == "true"
    return value or ""
