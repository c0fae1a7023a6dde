"""Events of which nothing follows: they are kept on the case to be read."""

from datetime import datetime
from typing import Any

from django.utils.translation import gettext, gettext_noop

from scalepoint_integration.handlers import common
from scalepoint_integration.models import InboundEvent
from scalepoint_integration.payloads import notes

SENTENCES = {
    "task_created": gettext_noop("Scalepoint asks the claim handler to act"),
    "selfservice_received": gettext_noop("The claimant's list of what was lost has arrived"),
    "claimline_changed": gettext_noop("A line of the claim was changed"),
    "order_created": gettext_noop("An order was made in the shop"),
}


def handle(event: InboundEvent, payload: Any, now: datetime) -> None:
    said = notes.parse(payload)
    with common.opened(event, said.case) as case:
        sentence = gettext(SENTENCES[event.event_type])
        common.keep_note(event, case, f"{sentence}: {said.said}" if said.said else f"{sentence}.", said.facts)
