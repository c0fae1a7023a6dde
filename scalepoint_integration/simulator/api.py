"""What all of Scalepoint's addresses share: who may call, how a body is read, and going wrong on purpose.

An address is a function of a Call that returns an Answer or raises Refused. ``served`` makes a route's action of it.
"""

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from email.message import Message
from typing import Any, NoReturn

from scalepoint_integration.simulator.exchange import Exchange
from scalepoint_integration.simulator.state import State, Token, Trouble

MOST_BYTES = 64 * 1024 * 1024
_PAGE = b"<!doctype html><title>Maintenance</title>"


class Refused(Exception):
    """``reason`` is for whoever reads ``received``; the caller is told the status alone."""

    def __init__(self, status: int, reason: str, body: Any = None, **headers: str) -> None:
        super().__init__(reason)
        self.status, self.reason, self.body, self.headers = status, reason, body, headers


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: Any = None
    content_type: str = "application/json"


@dataclass(slots=True)
class Call:
    """``told`` is what ``received`` will say about it."""

    state: State
    query: str
    headers: Message
    body: bytes
    told: dict[str, Any] = field(default_factory=dict)

    def header(self, name: str) -> str:
        """A header that may come once; "" where it did not come."""
        found = self.headers.get_all(name, [])
        if len(found) > 1:
            raise Refused(400, f"{name} came {len(found)} times")
        return str(found[0]) if found else ""

    def kind(self) -> str:
        return self.header("Content-Type").partition(";")[0].strip().lower()

    def json(self) -> dict[str, Any]:
        """The body: one JSON object in UTF-8, said to be one, without NaN and without a key twice."""
        if self.kind() != "application/json":
            raise Refused(415, "Content-Type is not application/json")
        try:
            found = json.loads(self.body.decode(), object_pairs_hook=_no_doubles, parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            raise Refused(400, f"not JSON: {error}") from None
        if not isinstance(found, dict):
            raise Refused(400, "not a JSON object")
        return found

    def require(self, scope: str) -> Token:
        """The bearer token, if it is one of ours, in time, and good for this."""
        kind, _, value = self.header("Authorization").partition(" ")
        with self.state.changed:
            token = self.state.tokens.get(value) if kind == "Bearer" else None
        if token is None:
            raise Refused(401, "no bearer token, or an unknown one", WWW_Authenticate="Bearer")
        if time.time() >= token.expires_at:
            raise Refused(401, "the token has expired", WWW_Authenticate='Bearer error="invalid_token"')
        if scope not in token.scopes:
            raise Refused(
                403, f"the token lacks the scope {scope}", WWW_Authenticate='Bearer error="insufficient_scope"'
            )
        self.told["client_id"] = token.client_id
        return token

    def check_tenant(self, tenant: str) -> None:
        if self.state.behaviour.tenant not in ("", tenant):
            raise Refused(404, f"there is no tenant {tenant}")


def served(place: str, act: Callable[..., Answer]) -> Callable[..., None]:
    """The action of a route. ``place`` is its name in ``fail`` and ``received``."""

    def serve(exchange: Exchange, *groups: str) -> None:
        state = exchange.simulator.scalepoint
        try:
            body = exchange.read_body(MOST_BYTES)
        except ValueError as error:
            return exchange.answer(413, str(error).encode(), "text/plain")
        call = Call(state, exchange.path.partition("?")[2], exchange.headers, body)
        trouble = state.next_trouble(place) or Trouble(0)
        answer, reason, headers = _play(call, act, groups, trouble, state.behaviour.retry_after)
        told = {"place": place, "status": answer.status, "reason": reason, "trouble": trouble.what or "", **call.told}
        if trouble.what in ("drop", "lost"):
            told["status"] = 0
        state.keep(told)
        if trouble.what in ("drop", "lost"):
            exchange.close_connection = True
            return None
        if trouble.what == "slow":
            exchange.pause(trouble.seconds)
        if trouble.what == "garbage":
            return exchange.answer(200, _PAGE, "text/html")
        content = b"" if answer.body is None else json.dumps(answer.body, ensure_ascii=False).encode()
        return exchange.answer(answer.status, content, answer.content_type, **headers)

    return serve


def _play(
    call: Call, act: Callable[..., Answer], groups: tuple[str, ...], trouble: Trouble, retry_after: str
) -> tuple[Answer, str, dict[str, str]]:
    if isinstance(trouble.what, int) and trouble.what:
        later = {"Retry-After": retry_after} if trouble.what in (429, 503) else {}
        return Answer(trouble.what), "told to fail", later
    if trouble.what == "lost":
        return Answer(0), "told to fail", {}
    try:
        return act(call, *groups), "", {}
    except Refused as refused:
        return Answer(refused.status, refused.body), refused.reason, refused.headers


def is_moment(value: Any) -> bool:
    """A time with its offset, in one of ISO's shapes."""
    try:
        return datetime.fromisoformat(value).tzinfo is not None
    except (TypeError, ValueError):
        return False


def is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _no_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("a key comes twice")
    return made


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
