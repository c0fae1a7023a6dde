"""What each type of event does. Which module handles which type stands in the table of events (events.py).

A handler gets the event, its parsed JSON and the current time, and works on the database alone, in the transaction
that also marks the event as handled. It may be called again for the same event, and events may come in any order.

What it raises says who must act (workqueue.py). NeedsPerson is special: what the handler wrote before it, outside
savepoints of its own, is kept, so that the case with its problem can be seen.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.utils.module_loading import import_string

from scalepoint_integration import errors, events
from scalepoint_integration.conf import conf
from scalepoint_integration.models import InboundEvent
from scalepoint_integration.workqueue import NotForUs

Handler = Callable[[InboundEvent, Any, datetime], None]


def find(event_type: str) -> Handler:
    """The handler of a type; the host's own come first. Raises NotForUs (SP-106)."""
    own = conf().handlers.get(event_type)
    if own:
        handler: Handler = import_string(own)
        return handler
    ours = events.handler(event_type)
    if ours is None:
        known = "documented, not used here" if event_type in events.EVENTS else "unknown"
        raise NotForUs(errors.UNUSED_TYPE, f"{known}: {event_type}")
    return ours
