"""What all events share: how they are wrapped, who they are, and what of them may be stored.

Sources: the three wrappings, the header fields and the bare case block are documented by Scalepoint; the form fields
and the inline images are our own contract.
"""

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from crm import masks
from scalepoint_integration.payloads import strict_json
from scalepoint_integration.payloads.reading import Node, as_text

# One page of Scalepoint's writes taskCreated where all others write task_created.
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


class NoEvent(Exception):
    """JSON, but nothing in it that is an event. The text never repeats what was sent."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """An event ready to be stored. ``body`` is canonical JSON without secrets, ``dedupe_key`` its SHA-256 in hex.
    Texts are "" where the sender gave none; ``occurred_at`` is in UTC."""

    body: bytes
    dedupe_key: str
    event_type: str
    payload_version: str = ""
    correlation_id: str = ""
    vendor_id: str = ""
    case_number: str = ""
    service_reference: str = ""
    occurred_at: datetime | None = None


def find_events(document: Any, limit: int) -> list[tuple[dict[str, Any], str]]:
    """The events of a request, unwrapped, each with the queue's id ("" if it has none). One event, a list of events
    and a long-polling batch are all the same. Raises NoEvent, for all of them or none."""
    wrapped = document
    if isinstance(document, dict) and not as_text(Node(document).raw("eventType")):
        batch = Node(document).raw("data")
        wrapped = batch if isinstance(batch, list) else document
    found = wrapped if isinstance(wrapped, list) else [wrapped]
    if not found:
        raise NoEvent("no event in it")
    if len(found) > limit:
        raise NoEvent(f"more than {limit} events at once")
    return [_unwrap(item) for item in found]


def _unwrap(item: Any) -> tuple[dict[str, Any], str]:
    if not isinstance(item, dict):
        raise NoEvent("an event is not an object")
    node = Node(item)
    attributes = node.raw("attributes")
    if isinstance(attributes, dict) and not node.text("eventType"):
        event = attributes
        if not Node(event).text("eventType"):
            event = {**event, "eventType": node.text("type")}
        vendor_id = node.text("id")
    else:
        event, vendor_id = item, ""
    if not Node(event).text("eventType"):
        raise NoEvent("no eventType")
    return event, vendor_id


def with_images(event: dict[str, Any], parts: Sequence[tuple[str, bytes]]) -> dict[str, Any]:
    """The event with image parts of a form (file name, content) as inline images, so that they share its fate."""
    given = next((value for key, value in event.items() if key.casefold() == "images"), None)
    rest = {key: value for key, value in event.items() if key.casefold() != "images"}
    inline = [{"fileName": name, "content": base64.b64encode(content).decode("ascii")} for name, content in parts]
    return {**rest, "images": [*(given if isinstance(given, list) else []), *inline]}


def body_tokens(document: Any) -> Iterator[str]:
    """What is said in the documented field ``securityToken``, at the top or inside the wrappers of a batch."""
    tops = document if isinstance(document, list) else [document]
    for top in tops:
        node = Node(top)
        for inner in (node, node.node("attributes"), *node.nodes("data")):
            for place in (inner, inner.node("attributes")):
                token = place.raw("securityToken")
                if isinstance(token, str) and token:
                    yield token


def read_envelope(event: Mapping[str, Any], vendor_id: str = "", secrets: Sequence[str] = ()) -> Envelope:
    """What is stored of an event. ``secrets`` are the proofs that came with the request: they are taken out wherever
    they stand, and so is every field that is named like one."""
    body = strict_json.canonical(event)
    known = [secret for secret in secrets if secret]
    # Hardly any event has a secret in it, and looking through its bytes is far cheaper than walking it.
    if masks.may_hold_secret(body) or any(strict_json.canonical(secret)[1:-1] in body for secret in known):
        event = _without_secrets(event, known)
        body = strict_json.canonical(event)
    node = Node(event)
    case, service = node.node("case"), node.node("service")
    return Envelope(
        body=body,
        dedupe_key=hashlib.sha256(body).hexdigest(),
        event_type=_CAMEL.sub("_", node.text("eventType")).casefold()[:100],
        payload_version=node.text("payloadVersion")[:20],
        correlation_id=node.text("correlationId")[:100],
        vendor_id=(vendor_id or node.text("eventId"))[:100],
        case_number=case.text("number")[:100],
        service_reference=service.text("referenceNumber", "id")[:100],
        occurred_at=node.moment("timestamp"),
    )


def _without_secrets(value: Any, secrets: Sequence[str]) -> Any:
    if isinstance(value, Mapping):
        return {
            str(_without_secrets(key, secrets)): _without_secrets(item, secrets)
            for key, item in value.items()
            if not masks.is_secret_field(key)
        }
    if isinstance(value, list):
        return [_without_secrets(item, secrets) for item in value]
    return masks.redact(value, secrets) if isinstance(value, str) else value
