"""The table of inbound events: a row per type that Scalepoint documents. What it is called, and who handles it.

Code asks for columns, and no name of a type is written anywhere else. What a row names by a dotted path is loaded on
first use, so this table imports nothing of ours.
"""

from collections.abc import Callable
from dataclasses import dataclass

from django.utils.module_loading import import_string
from django.utils.translation import gettext, gettext_noop

_OURS = "scalepoint_integration"


@dataclass(frozen=True, slots=True)
class EventType:
    """``words`` and ``sentence`` are msgids. Of an event that is only kept, ``sentence`` is written on its case.
    ``handler`` gets the event, its parsed JSON and the current time. None means stored and ignored: such events can be
    run again after an upgrade that uses them. ``details`` gets the bytes and finds closer words in them, or ""."""

    name: str
    words: str
    sentence: str = ""
    handler: str | None = None
    makes_task: bool = False
    details: str | None = None


_ROWS = (
    EventType("attachments_updated", gettext_noop("Files changed"), handler=f"{_OURS}.handling.attachments.handle"),
    EventType(
        "case_created", gettext_noop("Case created at Scalepoint"), handler=f"{_OURS}.handling.claim_updated.created"
    ),
    EventType("case_settled", gettext_noop("Case settled"), handler=f"{_OURS}.handling.settlement.handle"),
    EventType(
        "claim_updated",
        gettext_noop("Case closed, reopened or changed"),
        handler=f"{_OURS}.handling.claim_updated.updated",
        details=f"{_OURS}.handling.lifecycle.details",
    ),
    EventType(
        "claimline_changed",
        gettext_noop("A claim line was changed"),
        gettext_noop("A claim line was changed"),
        f"{_OURS}.handling.note.handle",
    ),
    EventType("fraud_alert", gettext_noop("Fraud alert")),
    EventType("fraud_status", gettext_noop("Fraud status")),
    EventType("message_received", gettext_noop("Message"), handler=f"{_OURS}.handling.message.handle"),
    EventType(
        "order_created",
        gettext_noop("An order was placed in the shop"),
        gettext_noop("An order was placed in the shop"),
        f"{_OURS}.handling.note.handle",
    ),
    EventType(
        "repair_service_requested",
        gettext_noop("New case"),
        handler=f"{_OURS}.handling.assignment.handle",
        makes_task=True,
    ),
    EventType(
        "repair_updated",
        gettext_noop("Case changed"),
        handler=f"{_OURS}.handling.assignment.handle",
        makes_task=True,
    ),
    EventType("reserve_updated", gettext_noop("Reserve changed"), handler=f"{_OURS}.handling.reserve.handle"),
    EventType(
        "selfservice_received",
        gettext_noop("The claimant's list of lost items"),
        gettext_noop("The claimant's list of lost items has arrived"),
        f"{_OURS}.handling.note.handle",
    ),
    EventType(
        "task_created",
        gettext_noop("Scalepoint asks the claim handler to act"),
        gettext_noop("Scalepoint asks the claim handler to act"),
        f"{_OURS}.handling.note.handle",
    ),
)

EVENTS: dict[str, EventType] = {row.name: row for row in _ROWS}
# The names of those that order work on a case.
MAKE_TASKS = tuple(row.name for row in _ROWS if row.makes_task)
# The names of those whose content is worth reading for closer words.
DETAILED = tuple(row.name for row in _ROWS if row.details)


def words(name: str) -> str:
    """What an event of this type is called, in the reader's language. Any type that Scalepoint does not document is
    just an event."""
    return gettext(EVENTS[name].words) if name in EVENTS else gettext("Event")


def details(name: str, body: bytes) -> str:
    """Closer words for one event, "" where there are none."""
    path = EVENTS[name].details if name in EVENTS else None
    return import_string(path)(body) if path else ""


def handler(name: str) -> Callable[..., None] | None:
    """Ours; None where the type is unknown or not used."""
    path = EVENTS[name].handler if name in EVENTS else None
    return import_string(path) if path else None
