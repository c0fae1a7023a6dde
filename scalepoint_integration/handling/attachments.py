"""``attachments_updated``: the files of the case at Scalepoint; pictures among them are fetched for its tasks."""

from datetime import datetime
from typing import Any

from scalepoint_integration.handling import common
from scalepoint_integration.models import Case, CaseAttachment, InboundEvent
from scalepoint_integration.payloads import attachments
from scalepoint_integration.payloads.attachments import FileChange


def handle(event: InboundEvent, payload: Any, now: datetime) -> None:
    said = attachments.parse(payload)
    with common.opened(event, said.case) as case:
        for change in said.changes:
            _write(case, change, common.said_at(event))


def _write(case: Case, change: FileChange, at: datetime) -> None:
    """The newest statement holds; at the very same time a deletion does. An older one only fills gaps: a deletion
    often comes without the link."""
    row = CaseAttachment.objects.filter(case=case, guid=change.guid).first()
    if row is None:
        row = CaseAttachment(case=case, guid=change.guid, said_at=at, deleted=change.deleted, action=change.action)
    newer = (at, change.deleted) >= (row.said_at, row.deleted)
    if newer:
        row.said_at, row.deleted, row.action = at, change.deleted, change.action
    for name in ("link", "file_name", "file_type"):
        held, told = getattr(row, name), getattr(change, name)
        setattr(row, name, (told or held) if newer else (held or told))
    row.save()
