"""What the events that speak of a whole case, and not of an ordered service, do alike."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from scalepoint_integration import errors
from scalepoint_integration.adapter import get_adapter
from scalepoint_integration.handling import cases, followup
from scalepoint_integration.models import Case, CaseNote, InboundEvent
from scalepoint_integration.payloads.caseblock import CaseBlock
from scalepoint_integration.payloads.reading import Node

# What cases.enter may have learned of a case.
NAMES = ("case_id", "token", "number", "insurer", "is_test")


@contextmanager
def opened(event: InboundEvent, said: CaseBlock) -> Iterator[Case]:
    """The case of the event, locked, with what its block says merged. Afterwards it is saved and its tasks follow.

    These events name no insurance company that could be trusted: whose security token it was decides."""
    names = cases.Names(said.case_id, said.token, said.facts.number, event.insurer.pk if event.insurer else None)
    case = cases.enter(event, names, event.insurer)
    if _unassigned(case):
        cases.notice(event, errors.UNKNOWN_CASE.code)
    cases.tell(case, said.facts, said_at(event))
    yield case
    case.save(update_fields=[*NAMES, "facts", "search_text", "lifecycle", "status", "unread", "updated_at"])
    followup.apply(case, get_adapter())


def lock_case(event: InboundEvent, case: Node) -> Case:
    """The case that the ``case`` object of an event names, locked and saved with its names. For events that say nothing
    else of the case. Raises as cases.enter does."""
    names = cases.Names(
        case_id=case.text("uuid", "id").lower()[:100],
        token=case.text("token").lower()[:100],
        number=case.text("number")[:100],
        insurer_id=event.insurer_id,
    )
    found = cases.enter(event, names, event.insurer)
    if _unassigned(found):
        cases.notice(event, errors.UNKNOWN_CASE.code)
    found.save(update_fields=[*NAMES, "updated_at"])
    followup.apply(found, get_adapter())  # it may have become one with another
    return found


def _unassigned(case: Case) -> bool:
    """Whether nothing was known of the case before this event: its assignment has not come."""
    return not case.facts and not case.services.exists()


def said_at(event: InboundEvent) -> datetime:
    return event.occurred_at or event.received_at


def keep_note(event: InboundEvent, case: Case, text: str, facts: dict[str, Any]) -> None:
    """Once for each event, also when it is run again."""
    CaseNote.objects.get_or_create(
        case=case,
        key=event.dedupe_key,
        defaults={"kind": event.event_type, "text": text, "facts": facts, "said_at": said_at(event)},
    )
