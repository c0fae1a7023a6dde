"""Reading a request: its bytes, and the JSON and image parts in them.

Not DRF's parsers: they answer deep nesting and odd text with an error 500, and Django takes a chunked body for an
empty one. Senders on .NET send chunked bodies as a matter of course.
"""

import io
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import multipart

from scalepoint_integration import errors
from scalepoint_integration.conf import conf
from scalepoint_integration.payloads import strict_json
from scalepoint_integration.receiving.refusals import Refused

_FIELDS = ("payload", "event", "data")
_CHUNK = 1 << 16


@dataclass(frozen=True, slots=True)
class Content:
    """A request's JSON, its image parts (file name, content) and its form's ``securityToken``, if it was a form."""

    document: Any
    images: list[tuple[str, bytes]] = field(default_factory=list)
    token: str = ""


def read_bytes(environ: Mapping[str, Any], limit: int) -> bytes:
    """The body, chunked or not. Raises Refused: 413 over ``limit`` bytes (as read, not as promised), 400 where the
    sender went away in the middle."""
    stream, declared = environ["wsgi.input"], environ.get("CONTENT_LENGTH") or ""
    if declared:
        if not declared.isascii() or not declared.isdigit():
            raise Refused(400, errors.UNREADABLE, "content length")
        expected: int | None = int(declared)
    elif environ.get("wsgi.input_terminated"):
        expected = None  # the server knows where a chunked body ends
    else:
        expected = 0
    parts, size = [], 0
    try:
        while expected is None or size < expected:
            part = stream.read(_CHUNK if expected is None else min(_CHUNK, expected - size))
            if not part:
                break
            size += len(part)
            if size <= limit:
                parts.append(part)
            elif size > limit + conf().max_body_bytes:
                break  # up to here it was read only so that the sender gets to see the answer
    except Exception as error:  # servers have errors of their own for a broken stream
        raise Refused(400, errors.UNREADABLE, f"body broken off: {type(error).__name__}") from error
    if size > limit:
        raise Refused(413, errors.REQUEST_TOO_LARGE, "too large", size=size)
    if expected is not None and size < expected:
        raise Refused(400, errors.UNREADABLE, "body broken off", size=size)
    return b"".join(parts)


def discard(environ: Mapping[str, Any]) -> None:
    """Read what a refused sender still has to say: closed on too early, it would never see the answer."""
    with suppress(Refused):
        read_bytes(environ, 0)


def check_size(body: bytes, media_type: str) -> None:
    """The wider limit is for bodies with images inside. Raises Refused (413)."""
    if len(body) > conf().max_body_bytes and media_type != "multipart/form-data" and b'"content"' not in body:
        raise Refused(413, errors.REQUEST_TOO_LARGE, "too large without images", size=len(body))


def media_type_of(environ: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    """The media type and its options. Raises Refused (415) for what we don't take. A sender that names no type is
    believed to send JSON."""
    if (environ.get("HTTP_CONTENT_ENCODING") or "identity").strip().lower() not in ("", "identity"):
        raise Refused(415, errors.UNSUPPORTED_CONTENT, "content encoding")
    media_type, options = multipart.parse_options_header(environ.get("CONTENT_TYPE") or "application/json")
    media_type = media_type.strip().lower()
    is_json = media_type in ("application/json", "text/json") or (
        media_type.startswith("application/") and media_type.endswith("+json")
    )
    is_form = media_type in ("multipart/form-data", "application/x-www-form-urlencoded")
    if not is_json and not is_form:
        raise Refused(415, errors.UNSUPPORTED_CONTENT, "content type")
    if options.get("charset", "utf-8").strip().lower() not in ("utf-8", "utf8", "us-ascii"):
        raise Refused(415, errors.UNSUPPORTED_CONTENT, "charset")
    return "application/json" if is_json else media_type, options


def parse(body: bytes, media_type: str, options: Mapping[str, str]) -> Content:
    """What was sent. Raises Refused (400)."""
    try:
        if media_type == "multipart/form-data":
            return _parse_multipart(body, options)
        if media_type == "application/x-www-form-urlencoded":
            pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=100, errors="strict")
            return _from_form({name: value.encode() for name, value in reversed(pairs)}, [])
        return Content(strict_json.parse(body))
    except strict_json.BadJson as error:
        raise Refused(400, errors.UNREADABLE, str(error)) from error
    except (ValueError, multipart.MultipartError) as error:
        raise Refused(400, errors.UNREADABLE, f"form: {type(error).__name__}") from error


def _parse_multipart(body: bytes, options: Mapping[str, str]) -> Content:
    parser = multipart.MultipartParser(
        io.BytesIO(body),
        options.get("boundary", ""),
        content_length=len(body),
        part_limit=1000,
        # The body is in memory already, and bounded.
        spool_limit=len(body) + 1,
        memory_limit=2 * len(body) + 1,
    )
    fields: dict[str, bytes] = {}
    images = []
    for part in parser:
        if part.filename is None and part.name in (*_FIELDS, "securityToken"):
            fields.setdefault(part.name, part.raw)
        elif part.filename is not None and part.name in _FIELDS and part.name not in fields:
            fields[part.name] = part.raw  # some senders give their JSON part a file name
        elif part.filename is not None:
            images.append((part.filename, part.raw))
    return _from_form(fields, images)


def _from_form(fields: Mapping[str, bytes], images: list[tuple[str, bytes]]) -> Content:
    content = next((fields[name] for name in _FIELDS if name in fields), None)
    if content is None:
        raise Refused(400, errors.UNREADABLE, "no field payload, event or data in the form")
    token = fields.get("securityToken", b"").decode("utf-8", "replace")
    return Content(strict_json.parse(content), images, token)
