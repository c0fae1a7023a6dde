"""``reserve_updated``: what an insurer has set aside changes, property by property."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from scalepoint_integration.handling.common import lock_case
from scalepoint_integration.models import InboundEvent, Reserve
from scalepoint_integration.models.registers import Registers, newest
from scalepoint_integration.payloads.reading import Node
from scalepoint_integration.payloads.reserve import Change, parse


def handle(event: InboundEvent, payload: Any, now: datetime) -> None:
    case = lock_case(event, Node(payload).node("case"))
    at = event.occurred_at or event.received_at
    for reserve_id, changes in parse(payload).items():
        reserve = Reserve.objects.filter(case=case, reserve_id=reserve_id).first()
        reserve = reserve or Reserve(case=case, reserve_id=reserve_id)
        reserve.take(merge(reserve.registers, changes, at))
        reserve.save()


def merge(registers: Mapping[str, Any], changes: Iterable[Change], at: datetime) -> Registers:
    """The registers after these changes were told at that time. Pure."""
    when = at.astimezone(UTC).isoformat()
    said = {change.name: {"now": change.now, "before": change.before, "at": when} for change in changes}
    return newest(registers, said)
