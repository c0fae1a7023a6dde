"""``message_received``: a message was added to the claim. Pure.

Scalepoint's page contradicts itself: its table has ``message`` with sender, content and attachments, the schema below
it has ``messageReceivedData`` with senderData and messageData, and neither content nor attachments. Both are read, also
mixed.
"""

import hashlib
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from scalepoint_integration.payloads import caseblock, strict_json
from scalepoint_integration.payloads.caseblock import CaseBlock
from scalepoint_integration.payloads.reading import Node, as_text


@dataclass(frozen=True, slots=True)
class File:
    name: str = ""
    type: str = ""
    by: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """``key`` is the same for the same message told twice; "" where only the event itself can tell."""

    case: CaseBlock
    key: str = ""
    channel: str = ""
    sender_name: str = ""
    sender_email: str = ""
    sender_phone: str = ""
    sender_type: str = ""
    sender_role: str = ""
    subject: str = ""
    content: str = ""
    attachments: tuple[File, ...] = ()
    sent_at: datetime | None = None


def parse(event: Any) -> Message:
    """Never raises: what is missing or odd is empty."""
    top = Node(event)
    inner = top.node("messageReceivedData")
    said = [top.node("message"), inner.node("messageData"), top.node("messageData"), inner.node("message")]
    senders = [each.node("sender") for each in said] + [inner.node("senderData"), top.node("senderData")]

    def of(nodes: list[Node], *names: str) -> str:
        return next(filter(None, (node.text(*names) for node in nodes)), "")

    participant = of(senders, "isClaimParticipant")
    facts: dict[str, Any] = {
        "channel": of(said, "channel", "channelType"),
        "sender_name": of(senders, "name"),
        "sender_email": of(senders, "email"),
        "sender_phone": of(senders, "phone"),
        "sender_type": of(senders, "type") or ("Participant" if participant == "true" else ""),
        "sender_role": of(senders, "role", "roles") or ", ".join(_texts(senders, "role", "roles")),
        "subject": of(said, "subject"),
        "content": of(said, "content", "text", "body"),
        "attachments": tuple(
            dict.fromkeys(
                each for node in said for each in map(_file, node.nodes("attachments")) if each.name or each.type
            )
        ),
        "sent_at": next(filter(None, (node.moment("timestamp", "receivedOn") for node in said)), None),
    }
    given = of(said, "id")
    identity: Any = ["id", given]
    if not given and facts["sent_at"]:
        identity = [
            asdict(value) if isinstance(value, File) else str(value)
            for name, each in facts.items()
            for value in (each if name == "attachments" else [each])
        ]
    known = given or facts["sent_at"]
    key = hashlib.sha256(strict_json.canonical(identity)).hexdigest() if known else ""
    return Message(caseblock.parse(event), key, **facts)


def _file(node: Node) -> File:
    by = node.node("uploadedBy")
    who = node.text("uploadedBy") or by.text("fullName", "name", "username", "email")
    return File(node.text("fileName", "name"), node.text("fileType", "type"), who)


def _texts(nodes: list[Node], *names: str) -> list[str]:
    lists = [node.raw(*names) for node in nodes]
    return [as_text(item) for each in lists if isinstance(each, list) for item in each if as_text(item)]
