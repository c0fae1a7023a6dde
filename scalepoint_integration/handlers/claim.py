"""``case_created`` and ``claim_updated``: facts of the case, its closing and reopening, fields that changed."""

from datetime import datetime
from typing import Any

from django.utils.translation import gettext

from scalepoint_integration import lifecycle, outbox
from scalepoint_integration.handlers import common
from scalepoint_integration.models import InboundEvent
from scalepoint_integration.payloads import caseblock, claim
from scalepoint_integration.signals import announce


def created(event: InboundEvent, payload: Any, now: datetime) -> None:
    with common.opened(event, caseblock.parse(payload)) as case:
        pass
    outbox.answer_case_created(case)


def updated(event: InboundEvent, payload: Any, now: datetime) -> None:
    said = claim.parse(payload)
    with common.opened(event, said.case) as case:
        case.lifecycle = lifecycle.merge(case.lifecycle, said.closed, said.reopened, common.said_at(event))
        signal = lifecycle.advance(case)
        if said.fields:
            lines = [f"{field.name}: {field.old or '–'} → {field.new or '–'}" for field in said.fields]  # noqa: RUF001
            if said.changed_by:
                lines.append(gettext("Changed by %(who)s") % {"who": said.changed_by})
            facts = {"changes": [{"name": each.name, "old": each.old, "new": each.new} for each in said.fields]}
            common.keep_note(event, case, "\n".join(lines), facts)
    if signal:
        announce(signal, case)
