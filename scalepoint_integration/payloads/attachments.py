"""``attachments_updated``: files of the claim were added, moved or deleted. Pure.

Documented: ``changes`` with property (the action), attachmentGUID, attachmentLink, fileType, fileName. The list of
actions is cut off on Scalepoint's page, so an action that is not known counts as "it is there".
"""

import hashlib
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from scalepoint_integration.payloads import caseblock
from scalepoint_integration.payloads.caseblock import CaseBlock
from scalepoint_integration.payloads.reading import Node

_PICTURES = {"jpg", "jpeg", "jpe", "jfif", "png", "gif", "webp"}


@dataclass(frozen=True, slots=True)
class FileChange:
    """``guid`` in lower case; where Scalepoint gave none, made of the link or the name."""

    guid: str
    action: str = ""
    deleted: bool = False
    link: str = ""
    file_name: str = ""
    file_type: str = ""


@dataclass(frozen=True, slots=True)
class AttachmentsUpdate:
    case: CaseBlock
    changes: tuple[FileChange, ...] = ()


def parse(event: Any) -> AttachmentsUpdate:
    """Never raises: what is missing or odd is empty. A change that names no file at all is left out."""
    changes = tuple(change for change in map(_change, Node(event).nodes("changes")) if change.guid)
    return AttachmentsUpdate(caseblock.parse(event), changes)


def may_be_picture(file_type: str, file_name: str) -> bool:
    """What looks like a picture, and what does not say what it is."""
    kind = file_type.casefold().strip(". ")
    extension = PurePosixPath(file_name.casefold()).suffix.strip(". ")
    if kind.startswith("image") or kind in _PICTURES:
        return True
    if extension in _PICTURES:
        return not kind or kind == "application/octet-stream"
    return not kind and not extension


def _change(node: Node) -> FileChange:
    action, link, name = node.text("property", "action"), node.text("attachmentLink"), node.text("fileName")
    guid = node.text("attachmentGUID", "attachmentId").lower()[:100]
    if not guid and (link or name):
        guid = hashlib.sha256((link or name).encode()).hexdigest()
    # Unlinked from a line is not deleted: the file is still on the claim.
    deleted = "deleted" in action.casefold()
    return FileChange(guid, action[:100], deleted, link, name[:255], node.text("fileType")[:100])
