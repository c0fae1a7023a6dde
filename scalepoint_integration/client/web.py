"""One HTTP request to Scalepoint, and what its answer means."""

import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter

from crm.masks import redact
from scalepoint_integration import errors
from scalepoint_integration.conf import conf
from scalepoint_integration.workqueue import PermanentError, RetryableError

_KEPT_CHARACTERS = 2000
_MAX_WAIT = 3600.0
_MAY_WORK_LATER = {408, 425, 429}
_CHUNK = 64 * 1024
_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True)
class Answer:
    """``text`` is the start of what Scalepoint said, for a person to read."""

    status: int
    text: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer as it came. ``body`` is cut where only its start was wanted."""

    host: str
    status: int
    body: bytes
    retry_after: float | None = None

    @property
    def good(self) -> bool:
        return 200 <= self.status < 300

    def text(self) -> str:
        return self.body[: _KEPT_CHARACTERS * 4].decode("utf-8", "replace").replace("\0", "\ufffd")[:_KEPT_CHARACTERS]


class NoAnswer(RetryableError):
    """Nothing came. ``waiting`` is true where Scalepoint had the request and simply said nothing in time."""

    def __init__(self, detail: str, waiting: bool = False) -> None:
        super().__init__(detail, error=errors.SCALEPOINT_AWAY)
        self.waiting = waiting


def ask(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    data: bytes | Mapping[str, str] | None = None,
    seconds: float = 0,
    whole: bool = True,
) -> Reply:
    """Send one request. Any status is an answer; raises NoAnswer where none came, PermanentError where the address is
    none that we call. ``seconds`` is how long Scalepoint may be silent, and the same again for the whole body.
    ``whole``: an answer over the limit is refused; else it is cut.

    Without a Session: that takes proxies and passwords from the environment, keeps cookies, and reads the body of a
    redirect to its end, however long, even when it is told not to follow.
    """
    options = conf()
    seconds = seconds or options.client_seconds
    host = check_address(url)
    prepared = requests.Request(
        method,
        url,
        # Identity: nothing that is unpacked can become larger than what was counted.
        headers={"User-Agent": "django-scalepoint", "Accept-Encoding": "identity", **headers},
        data=data,
    ).prepare()
    adapter = HTTPAdapter(max_retries=0)
    try:
        response = adapter.send(
            prepared,
            stream=True,
            timeout=(options.client_connect_seconds, seconds),
            verify=os.environ.get("SSL_CERT_FILE") or True,
            proxies={},
        )
        with response:  # closing the adapter does not hang up where an answer was left in the middle
            good = 200 <= response.status_code < 300
            body = _read(response, seconds, options.client_max_answer_bytes, whole and good)
            retry_after = seconds_to_wait(response.headers.get("Retry-After", ""))
            return Reply(host, response.status_code, body, retry_after)
    except requests.ConnectTimeout as error:
        raise NoAnswer(f"{host}: no connection") from error
    except requests.ReadTimeout as error:
        raise NoAnswer(f"{host} was silent for {seconds:g} s", waiting=True) from error
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
        raise NoAnswer(f"{host}: no connection, or it broke ({type(error).__name__})") from error
    finally:
        adapter.close()


def judge(reply: Reply, hidden: tuple[str, ...] = (), quote: bool = True) -> None:
    """Raise what a bad answer means. ``quote``: what Scalepoint said goes along, without the ``hidden`` texts."""
    if reply.good:
        return
    said = f"{reply.host} answered {reply.status}"
    if reply.status >= 500 or reply.status in _MAY_WORK_LATER:
        raise RetryableError(said, reply.retry_after, error=errors.SCALEPOINT_AWAY)
    if reply.status in (401, 403):
        raise PermanentError(errors.LOGIN_REFUSED if reply.status == 401 else errors.NO_ACCESS, said)
    # A redirect too: whoever followed it would show the access token to another address.
    raise PermanentError(
        errors.NOT_ACCEPTED, said, status=reply.status, answer=redact(reply.text(), hidden) if quote else ""
    )


def check_address(url: str) -> str:
    """The host of an address that may be called: https, or an origin that the settings trust. Else PermanentError."""
    origin = origin_of(url)
    if origin is None or (origin[0] != "https" and origin not in map(origin_of, conf().client_trusted_origins)):
        raise PermanentError(errors.NOT_READY, "an address that is not https")
    return origin[1]


def origin_of(url: str) -> tuple[str, str, int] | None:
    """Scheme, host and port; None for what is no such address, or could be read in two ways."""
    try:
        parts = urlsplit(url)
        port = parts.port if parts.port is not None else _PORTS.get(parts.scheme)
    except ValueError:
        return None
    odd = not url.isprintable() or not url.isascii() or "\\" in url or " " in url or "@" in parts.netloc
    return None if odd or port is None or not parts.hostname else (parts.scheme, parts.hostname, port)


def _read(response: requests.Response, seconds: float, limit: int, whole: bool) -> bytes:
    """read1, piece by piece as it comes: read() would wait until a piece is full, with a time limit per byte only."""
    content, end = bytearray(), time.monotonic() + seconds
    while piece := _piece(response.raw):
        content += piece
        if len(content) > limit:
            if whole:
                raise PermanentError(errors.NOT_ACCEPTED, f"an answer of more than {limit} bytes")
            break
        if time.monotonic() > end:
            raise NoAnswer(f"the answer took longer than {seconds:g} s")
    return bytes(content[:limit])


def _piece(raw: Any) -> bytes:
    piece: bytes = raw.read1(_CHUNK, decode_content=False)
    return piece


def seconds_to_wait(text: str) -> float | None:
    """Retry-After, in seconds or as a date, as seconds from now: none below zero, none over an hour."""
    text = text.strip()
    if re.fullmatch(r"[0-9]{1,12}", text):
        return min(float(text), _MAX_WAIT)
    try:
        when = parsedate_to_datetime(text)
    except ValueError:
        return None
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return min(max((when - datetime.now(UTC)).total_seconds(), 0.0), _MAX_WAIT)
