"""What can be called at Scalepoint."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from crm.masks import redact
from scalepoint_integration import errors
from scalepoint_integration.client import token
from scalepoint_integration.client.addresses import addresses_of
from scalepoint_integration.client.web import Answer, NoAnswer, Reply, ask, judge, origin_of
from scalepoint_integration.conf import conf
from scalepoint_integration.models import Connection
from scalepoint_integration.payloads import strict_json
from scalepoint_integration.workqueue import PermanentError, RetryableError

_SETTLEMENT = "application/vnd.scalepoint.content.settlement.v3+json"
# A gateway may end a silent poll with an error of its own. After this long that was a time-out; at once it is an error.
_HELD_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Batch:
    """Events as they came, in their wrappers. Store them first, then ``cursor`` and ``next_url``, and give those to the
    next ``receive``. Without news both are what they were."""

    events: list[Any] = field(default_factory=list)
    cursor: str = ""
    next_url: str = ""


def send(connection: Connection, event_type: str, body: Mapping[str, Any]) -> Answer:
    """Send one event. A sending that broke off may have arrived: the same body again has the same correlation id."""
    url = _events_url(connection, "send")
    return _post(connection, "events", url, body, {"Event-Type": event_type})


def receive(connection: Connection, after: str = "", next_url: str = "") -> Batch:
    """The next events, strictly after ``after`` (empty: as far back as Scalepoint has them, or from now on; it does not
    say). Held open by Scalepoint until there are some: call again at once, also after an empty batch.

    ``next_url`` is followed on the host of the connection alone; from any other only its lastEventId is taken. Raises
    PermanentError SP-404 where Scalepoint does not know ``after`` any longer: to begin anew by ourselves could lose
    cases without a word.
    """
    base = _events_url(connection, "receive")
    cursor = (_last_id(next_url) if next_url else "") or after
    url = next_url
    if not next_url or not _same_host(next_url, base):
        url = f"{base}?lastEventId={quote(cursor, safe='')}" if cursor else base
    quiet = Batch(cursor=cursor, next_url=next_url)
    begun = time.monotonic()
    try:
        headers = {"Accept": "application/json"}
        reply, _secret = _ask(connection, "events", "GET", url, headers, None, conf().client_poll_seconds)
    except NoAnswer as nothing:
        if nothing.waiting or time.monotonic() - begun >= _HELD_SECONDS:
            return quiet
        raise
    if reply.status in (408, 504) and time.monotonic() - begun >= _HELD_SECONDS:
        return quiet
    if cursor and reply.status in (400, 404, 410):
        raise PermanentError(errors.CURSOR_LOST, f"{reply.host} answered {reply.status}")
    judge(reply)
    return _batch(reply.body, quiet) if reply.body.strip() else quiet


def settlement(connection: Connection, revision_token: str) -> bytes:
    """The settlement of one revision, as JSON bytes. What comes with an error is not to be read, Scalepoint says."""
    api = addresses_of(connection).api
    country, tenant = _whose(connection)
    url = f"{api}/webapp/ScalePoint/{country}/case/{tenant}/revision/{quote(revision_token, safe='')}"
    reply, _secret = _ask(connection, "platform-case:read", "GET", url, {"Accept": _SETTLEMENT})
    judge(reply, quote=False)
    return reply.body


def submit_file(connection: Connection, body: Mapping[str, Any]) -> Answer:
    """Files for an open case."""
    url = f"{addresses_of(connection).ecx}/ecx/host/api/integration/v1/file/submitForCase"
    return _post(connection, "platform-service-provider:write", url, body)


def submit_expense(connection: Connection, body: Mapping[str, Any]) -> Answer:
    """An invoice."""
    url = f"{addresses_of(connection).ecx}/ecx/host/api/integration/v2/expense/submit"
    return _post(connection, conf().expense_scope, url, body, {"Accept-Charset": "utf-8"})


def _post(
    connection: Connection, scope: str, url: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None
) -> Answer:
    sent = {"Content-Type": "application/json", "Accept": "application/json", **(headers or {})}
    # Not json.dumps: amounts are Decimals, and stay exact.
    content = strict_json.canonical(body)
    reply, bearer = _ask(connection, scope, "POST", url, sent, content, whole=False)
    hidden = (bearer, str(body.get("securityToken") or ""))
    judge(reply, hidden)
    return Answer(reply.status, redact(reply.text(), hidden))


def _ask(
    connection: Connection,
    scope: str,
    method: str,
    url: str,
    headers: Mapping[str, str],
    content: bytes | None = None,
    seconds: float = 0,
    whole: bool = True,
) -> tuple[Reply, str]:
    """The answer, and the access token it was given for. After a 401 once more, with a token that is fresh."""
    reply = None
    for _try in range(2):
        bearer = token.get(connection, scope)
        sent = {**headers, "Authorization": f"Bearer {bearer}"}
        reply = ask(method, url, headers=sent, data=content, seconds=seconds, whole=whole)
        if reply.status != 401:
            break
        token.drop(connection, scope, bearer)
    assert reply is not None  # noqa: S101
    return reply, bearer


def _events_url(connection: Connection, what: str) -> str:
    country, tenant = _whose(connection)
    return f"{addresses_of(connection).api}/api/events/v1/{country}/external/{tenant}/{what}"


def _whose(connection: Connection) -> tuple[str, str]:
    if not connection.tenant:
        raise PermanentError(errors.NOT_READY, "no tenant")
    return quote(connection.country.lower(), safe=""), quote(connection.tenant, safe="")


def _same_host(url: str, base: str) -> bool:
    """Whether the access token may go there: the host we call anyway, and never from https down to http."""
    there, here = origin_of(url), origin_of(base)
    if there is None or here is None:
        return False
    return there == here or (there[0] == "https" and there[1] == here[1] and there[2] == 443)


def _last_id(url: str) -> str:
    try:
        return parse_qs(urlsplit(url).query).get("lastEventId", [""])[-1]
    except ValueError:
        return ""


def _batch(body: bytes, quiet: Batch) -> Batch:
    try:
        document = strict_json.parse(body)
    except strict_json.BadJson as error:
        raise RetryableError(f"events that are not JSON: {error}", error=errors.SCALEPOINT_AWAY) from error
    events = document.get("data", False) if isinstance(document, dict) else None
    if events is None and isinstance(document, dict):
        events = []
    if not isinstance(events, list):
        # A page of a gateway, perhaps. To take it for "nothing new" would hide that for ever.
        raise RetryableError("an answer without a list of events", error=errors.SCALEPOINT_AWAY)
    if not events:
        return quiet
    links = document.get("links")
    following = links.get("next") if isinstance(links, dict) else None
    following = following if isinstance(following, str) else ""
    last = events[-1].get("id") if isinstance(events[-1], dict) else None
    named = str(last) if isinstance(last, str | int) and not isinstance(last, bool) else ""
    cursor = named or _last_id(following)
    if not cursor:
        raise PermanentError(errors.CURSOR_LOST, "events without ids: there is no going on after them")
    return Batch(events, cursor, following)
