"""``message_received``: a message is kept on the case, and becomes a note on its tasks."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from scalepoint_integration import signals
from scalepoint_integration.adapter import fitting
from scalepoint_integration.handling import common
from scalepoint_integration.models import CaseMessage, InboundEvent
from scalepoint_integration.payloads import message
from scalepoint_integration.sending import notifications

_TEXTS = (
    "channel",
    "sender_name",
    "sender_email",
    "sender_phone",
    "sender_type",
    "sender_role",
    "subject",
    "content",
)


def handle(event: InboundEvent, payload: Any, now: datetime) -> None:
    said = message.parse(payload)
    with common.opened(event, said.case) as case:
        files = sorted((asdict(file) for file in said.attachments), key=_by_name)
        facts = {name: getattr(said, name) for name in _TEXTS}
        facts |= {"attachments": files, "sent_at": said.sent_at or event.occurred_at}
        row, new = CaseMessage.objects.get_or_create(
            case=case, key=said.key or event.dedupe_key, defaults=fitting(CaseMessage, facts)
        )
        case.unread = case.unread or new
        if not new:
            _join(row, fitting(CaseMessage, facts))
    if new:
        notifications.about_message(row)
        signals.announce(signals.message_received, case, message=row)


def _join(row: CaseMessage, said: dict[str, Any]) -> None:
    """The same message told twice, in two of Scalepoint's shapes: of each part the fuller one, whatever came first."""
    for name in _TEXTS:
        setattr(row, name, max(getattr(row, name), said[name], key=lambda text: (len(text), text)))
    row.attachments = sorted(
        {_by_name(file): file for file in [*row.attachments, *said["attachments"]]}.values(), key=_by_name
    )
    row.sent_at = max(filter(None, (row.sent_at, said["sent_at"])), default=None)
    row.save()


def _by_name(file: dict[str, str]) -> tuple[str, str, str]:
    return file["name"], file["type"], file["by"]
