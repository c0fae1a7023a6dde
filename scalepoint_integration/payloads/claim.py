"""``claim_updated``: the claim was closed or opened again, or somebody changed a field of it. Pure.

Documented: ``changes`` with ``property`` CaseClosed (isTerminated, terminationReason, terminationReasonDescription) or
CaseReopened. That there is a message for the user, a flag for a box that was ticked, a change of the accident date, and
changes of additional fields is documented too, but their names are not: those below are inferred, and any other
property counts as an additional field.
"""

from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from scalepoint_integration.payloads import caseblock
from scalepoint_integration.payloads.caseblock import CaseBlock
from scalepoint_integration.payloads.reading import Node, as_day, as_text

_MESSAGE = ("userFriendlyMessage", "userMessage", "displayMessage", "messageToUser", "closeMessage", "message")
_TICKED = ("isChecked", "checked", "isBoxChecked", "boxChecked", "checkboxChecked", "isTicked", "ticked")
_NEW = ("newValue", "new", "value")
_OLD = ("oldValue", "old", "previousValue")
_ACCIDENT = {"accidentdate", "caseaccidentdate", "accidentdatechanged", "caseaccidentdatechanged"}


@dataclass(frozen=True, slots=True)
class Closed:
    """``reason`` as Scalepoint writes it ("None" for the normal way). ``ticked`` is None where nothing was said."""

    terminated: bool
    reason: str = ""
    description: str = ""
    message: str = ""
    ticked: bool | None = None


@dataclass(frozen=True, slots=True)
class FieldChange:
    name: str
    old: str = ""
    new: str = ""


@dataclass(frozen=True, slots=True)
class ClaimUpdate:
    """Of a closing and a reopening in one event the later in its list counts, and the other is not here."""

    case: CaseBlock
    closed: Closed | None = None
    reopened: bool = False
    fields: tuple[FieldChange, ...] = ()
    changed_by: str = ""


def parse(event: Any) -> ClaimUpdate:
    """Never raises: what is missing or odd is empty. A new accident date is in the facts of the case."""
    top, by = Node(event), Node(event).node("changedBy")
    changes = list(top.nodes("changes")) or list(top.nodes("change")) or [top]
    closed: Closed | None = None
    reopened, accident, others = False, None, []
    for change in changes:
        name = change.text("property", "name", "fieldName")
        kind = name.casefold().replace("_", "").replace(" ", "")
        if kind == "caseclosed":
            closed, reopened = _closed(change), False
        elif kind == "casereopened":
            closed, reopened = None, True
        elif kind in _ACCIDENT:
            accident = _day(change) or accident
        elif name:
            others.append(FieldChange(name, _value(change.raw(*_OLD)), _value(change.raw(*_NEW))))
    case = caseblock.parse(event)
    if accident:
        case = replace(case, facts=replace(case.facts, accident_date=accident))
    who = by.text("fullName", "username", "email")
    return ClaimUpdate(case, closed, reopened, tuple(others), who)


def _closed(change: Node) -> Closed:
    reason = change.text("terminationReason")
    said = _truth(change.text("isTerminated"))
    return Closed(
        # Without the flag the reason tells: only "None" is the normal way.
        terminated=said if said is not None else reason.casefold() not in ("", "none"),
        reason=reason,
        description=change.text("terminationReasonDescription"),
        message=change.text(*_MESSAGE),
        ticked=_truth(change.text(*_TICKED)),
    )


def _day(change: Node) -> date | None:
    return change.day(*_NEW, "accidentDate") or as_day(_value(change.raw(*_NEW)))


def _truth(text: str) -> bool | None:
    return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}.get(text.casefold())


def _value(value: Any) -> str:
    """A value as a text. Of a list its items, of an object what it is called."""
    if isinstance(value, list):
        return ", ".join(filter(None, (_value(item) for item in value)))
    if isinstance(value, dict):
        return Node(value).text("name", "title", "text", "value", "id")
    return as_text(value)
