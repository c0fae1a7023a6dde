"""``reserve_updated``: what changed in the money an insurer has set aside on a case. Documented by Scalepoint.

The document is a list of changes, not a snapshot: {"2190": [{"property": "planned", "newValue": 1037.0}, ...]}.
"""

from dataclasses import dataclass
from typing import Any

from scalepoint_integration.payloads import strict_json
from scalepoint_integration.payloads.reading import Node, as_amount, as_flag, as_text

AMOUNTS = ("planned", "actual", "outgoing", "incoming")
FLAGS = ("isdefault",)
TEXTS = ("title", "id", "type.id", "type.name", "type.code", "type.flow")


@dataclass(frozen=True, slots=True)
class Change:
    """One property, now and before, as text: a number as "1037.0000", a truth value as "true". None: nothing in it."""

    name: str
    now: str | None
    before: str | None


def parse(event: Any) -> dict[str, tuple[Change, ...]]:
    """Reserve id -> its changes. Never raises: what can't be read is left out."""
    changes = Node(event).raw("changesInReserves")
    found = {}
    for reserve_id, listed in changes.items() if isinstance(changes, dict) else ():
        # A property twice in one list: the last one counts.
        said = {each.name: each for each in map(_change, _nodes(listed)) if each}
        if reserve_id.strip() and said:
            found[reserve_id.strip()[:100]] = tuple(said.values())
    return found


def _nodes(listed: Any) -> list[Node]:
    return [Node(each) for each in (listed if isinstance(listed, list) else [listed])]


def _change(node: Node) -> Change | None:
    name = node.text("property").casefold()
    if not name or not node.has("newValue"):
        return None
    now, before = _value(name, node.raw("newValue")), _value(name, node.raw("oldValue"))
    if now is None and node.raw("newValue") is not None:
        return None  # no amount of ours: better to know the old one than none
    return Change(name, now, before)


def _value(name: str, value: Any) -> str | None:
    if value is None:
        return None
    if name in AMOUNTS:
        amount = as_amount(value)
        return None if amount is None else str(amount)
    if name in FLAGS:
        flag = as_flag(value)
        return None if flag is None else as_text(flag)
    return strict_json.canonical(value).decode() if isinstance(value, dict | list) else as_text(value)
