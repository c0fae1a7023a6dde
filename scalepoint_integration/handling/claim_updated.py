"""``case_created`` and ``claim_updated``: facts of the case, its closing and reopening, fields that changed."""

from datetime import datetime
from typing import Any

from django.utils.translation import gettext

from crm.formats import NOTHING
from scalepoint_integration import errors
from scalepoint_integration.handling import cases, common, lifecycle
from scalepoint_integration.models import InboundEvent, registers
from scalepoint_integration.payloads import caseblock, claim
from scalepoint_integration.sending import outbox
from scalepoint_integration.signals import announce


def created(event: InboundEvent, payload: Any, now: datetime) -> None:
    said = caseblock.parse(payload)
    with common.opened(event, said) as case:
        late = registers.older(case.facts, said.facts, common.said_at(event))
        if late and all(late):
            cases.notice(event, errors.OUTDATED.code)
    outbox.answer_case_created(case)


def updated(event: InboundEvent, payload: Any, now: datetime) -> None:
    said = claim.parse(payload)
    with common.opened(event, said.case) as case:
        case.lifecycle = lifecycle.merge(case.lifecycle, said.closed, said.reopened, common.said_at(event))
        signal = lifecycle.advance(case)
        at = common.said_at(event)
        late = registers.older(case.facts, said.case.facts, at) + lifecycle.older(case.lifecycle, said, at)
        if late and all(late) and not said.fields:
            cases.notice(event, errors.OUTDATED.code)
        if said.fields:
            lines = [f"{field.name}: {field.old or NOTHING} → {field.new or NOTHING}" for field in said.fields]
            if said.changed_by:
                lines.append(gettext("Changed by %(who)s") % {"who": said.changed_by})
            facts = {"changes": [{"name": each.name, "old": each.old, "new": each.new} for each in said.fields]}
            common.keep_note(event, case, "\n".join(lines), facts)
    if signal:
        announce(signal, case)
