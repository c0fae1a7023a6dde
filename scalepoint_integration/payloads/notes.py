"""Events that are only kept to be read: ``task_created``, ``selfservice_received``, ``claimline_changed``,
``order_created``. Pure.

All are documented for ClaimShop and insurers. Beside what is asked for by name, every field of theirs is kept.
"""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from scalepoint_integration.payloads import caseblock
from scalepoint_integration.payloads.caseblock import CaseBlock
from scalepoint_integration.payloads.reading import Node

_HEADER = {"$schema", "$schema_base", "eventtype", "payloadversion", "correlationid", "timestamp", "case"}


@dataclass(frozen=True, slots=True)
class Note:
    """``said`` is what a person should read first, in Scalepoint's words. ``facts`` are all fields but the header and
    the case, numbers with a fraction as texts."""

    case: CaseBlock
    said: str = ""
    facts: dict[str, Any] = field(default_factory=dict)


def parse(event: Any) -> Note:
    """Never raises: what is missing or odd is empty."""
    top = Node(event)
    payload = top.node("payload")
    rules = [rule.text("publicMessage") or rule.text("name") for rule in payload.nodes("triggeredRules")]
    assigned = top.node("assignedTo")
    words = [
        *dict.fromkeys(rules),
        payload.text("evaluationResult"),
        top.text("selfServiceType"),
        assigned.text("fullName", "username"),
        top.text("orderToken"),
    ]
    facts = event if isinstance(event, dict) else {}
    kept = {str(name): plain(value) for name, value in facts.items() if str(name).casefold() not in _HEADER}
    return Note(caseblock.parse(event), " · ".join(word for word in words if word), kept)


def plain(value: Any) -> Any:
    """The value as the database's JSON takes it."""
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(name): plain(item) for name, item in value.items()}
    return value
