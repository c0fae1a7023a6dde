"""Steering the simulator over HTTP, on loopback only: what State and webhooks.py can do, one address each.

Every address takes POST with a JSON object of arguments (or nothing), and answers {"result": ...}; 400 {"error": ...}
for what can't be done. In a test's own process ``server.scalepoint`` has the same functions.

====================================  ==================================================================================
POST /control/register_client         client_id, certificates: [base64 DER], secret, scopes -> thumbprints
POST /control/register_partner        security_token, aliases, emails
POST /control/queue_events            events: flat events for long-polling -> their ids
POST /control/queue_stories           count, seed, insurers -> ids; whole stories for long-polling
POST /control/push                    events, endpoint, bearer or client, wrapping, copies, shuffle, seconds -> outcome
POST /control/push_stories            count, seed, insurers, endpoint, and as push -> outcome; each insurer's own token
                                      is the proof where neither bearer nor client is given
POST /control/received                place ("" for all) -> what came: State.received
POST /control/wait_received           place, count, seconds -> the same, as soon as so many came
POST /control/wait_holding            count, seconds -> how many polls are held, as soon as so many are
POST /control/behave                  any of Behaviour -> all of it
POST /control/fail                    place, what, times, seconds: State.fail
POST /control/revoke_tokens           -> how many
POST /control/forget_events           before: an id
POST /control/know_case               token, number
POST /control/case                    token -> {"number", "closed", "messages"}, or null
POST /control/payment                 uuid -> its status, or null
POST /control/close_case              case_id
POST /control/set_settlement          token, answer: a document, or a status
POST /control/reset                   everything: also who is registered
====================================  ==================================================================================

``client`` is {"token_url", "client_id", "client_secret", "scope", "basic"}: the proof is then an access token that is
fetched from the site. ``insurers`` is a list of {"name", "alias", "sub_alias", "token"}.
"""

import dataclasses
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from scalepoint_integration.simulator import webhooks
from scalepoint_integration.simulator.exchange import Exchange, Simulator

_OF_STATE = (
    "register_client",
    "register_partner",
    "queue_events",
    "received",
    "wait_received",
    "wait_holding",
    "behave",
    "fail",
    "revoke_tokens",
    "forget_events",
    "know_case",
    "case",
    "payment",
    "close_case",
    "set_settlement",
    "reset",
)
_OUT: dict[str, Callable[..., Any]] = {
    "push": webhooks.push_events,
    "push_stories": webhooks.push_stories,
    "queue_stories": webhooks.queue_stories,
}
_HERE = ("127.0.0.1", "localhost")
_MOST_BYTES = 64 * 1024 * 1024


def control(exchange: Exchange, name: str) -> None:
    try:
        body = exchange.read_body(_MOST_BYTES)
        arguments = json.loads(body or b"{}")
        # A page in a browser can reach loopback too. It can't name us as its host, nor post JSON without asking.
        host = urlsplit(f"//{exchange.headers.get('Host', '')}").hostname
        kind = exchange.headers.get_content_type()
        if host not in _HERE or (body and kind != "application/json"):
            return _answer(exchange, 403, {"error": "only from this machine, and only JSON"})
        act = _find(exchange.simulator, name)
        if act is None:
            return _answer(exchange, 404, {"error": f"there is no {name}"})
        result = act(**arguments)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        return _answer(exchange, 400, {"error": f"{type(error).__name__}: {error}"})
    if dataclasses.is_dataclass(result) and not isinstance(result, type):
        result = dataclasses.asdict(result)
    return _answer(exchange, 200, {"result": result})


def _find(server: Simulator, name: str) -> Callable[..., Any] | None:
    if name in _OF_STATE:
        return getattr(server.scalepoint, name)  # type: ignore[no-any-return]
    if found := _OUT.get(name):
        return lambda **arguments: found(server.scalepoint, **arguments)
    return None


def _answer(exchange: Exchange, status: int, body: dict[str, Any]) -> None:
    exchange.answer(status, json.dumps(body, ensure_ascii=False).encode(), "application/json")
