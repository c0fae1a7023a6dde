"""What each type of event does. Two literal tables; a test compares them with the fixtures.

A handler gets the event, its parsed JSON and the current time, and works on the database alone, in the transaction
that also marks the event as handled. It may be called again for the same event, and events may come in any order.

What it raises says who must act (workqueue.py). NeedsPerson is special: what the handler wrote before it, outside
savepoints of its own, is kept, so that the case with its problem can be seen.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.utils.module_loading import import_string

from scalepoint_integration.conf import conf
from scalepoint_integration.handlers import assignment, attachments, claim, message, note, reserve, settlement
from scalepoint_integration.models import InboundEvent
from scalepoint_integration.workqueue import NotForUs

Handler = Callable[[InboundEvent, Any, datetime], None]

HANDLERS: dict[str, Handler] = {
    "attachments_updated": attachments.handle,
    "case_created": claim.created,
    "case_settled": settlement.handle,
    "claim_updated": claim.updated,
    "claimline_changed": note.handle,
    "message_received": message.handle,
    "order_created": note.handle,
    "repair_service_requested": assignment.handle,
    "repair_updated": assignment.handle,
    "reserve_updated": reserve.handle,
    "selfservice_received": note.handle,
    "task_created": note.handle,
}

# Documented types that are stored and not used yet. They can be run again after an upgrade that uses them.
IGNORED: frozenset[str] = frozenset(
    {
        "fraud_alert",
        "fraud_status",
    }
)


def find(event_type: str) -> Handler:
    """The handler of a type; the host's own come first. Raises NotForUs (SP-106)."""
    own = conf().handlers.get(event_type)
    if own:
        handler: Handler = import_string(own)
        return handler
    if event_type not in HANDLERS:
        known = "documented, not used here" if event_type in IGNORED else "unknown"
        raise NotForUs("SP-106", f"{known}: {event_type}")
    return HANDLERS[event_type]
