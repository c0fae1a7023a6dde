"""Events of which nothing follows: they are kept on the case to be read."""

from datetime import datetime
from typing import Any

from django.utils.translation import gettext

from scalepoint_integration import events
from scalepoint_integration.handling import common
from scalepoint_integration.models import InboundEvent
from scalepoint_integration.payloads import notes


def handle(event: InboundEvent, payload: Any, now: datetime) -> None:
    said = notes.parse(payload)
    with common.opened(event, said.case) as case:
        sentence = gettext(events.EVENTS[event.event_type].sentence)
        common.keep_note(event, case, f"{sentence}: {said.said}" if said.said else f"{sentence}.", said.facts)
