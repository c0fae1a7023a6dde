"""What the stand-in knows and how it behaves: one object, safe to use from any thread.

>>> with start() as server:
...     server.scalepoint.register_client("firm", certificates=["MIIC..."])
...     server.scalepoint.queue_events([event])
...     server.scalepoint.fail("send", "drop")      # the next sending is taken, and then not answered
...     server.scalepoint.received("send")          # what was sent so far

Everything here can also be called over HTTP: control.py.
"""

import threading
import time
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any

from scalepoint_integration.simulator.certificates import PublicKey, read_certificate

SCOPES = (
    "events",
    "case_integration",
    "platform-case:read",
    "platform-service-provider:read",
    "platform-service-provider:write",
    "material-supplier:write",
    "self-service:read",
    "self-service:submit",
    "case:delete",
    "audit-report:create",
)
# The addresses that can be told to fail, and how: a status (nothing is done), or one of these words.
PLACES = ("token", "receive", "send", "settlement", "file", "damage_file", "expense")
TROUBLES = ("drop", "lost", "slow", "garbage")
FIRST_ID = 500_124


@dataclass
class Behaviour:
    """What is not documented, or differs between servers. Times in seconds."""

    token_lifetime: float = 1800.0
    expires_in_text: bool = False  # "1800" for 1800, as one of Scalepoint's own test servers says it
    token_url: str = ""  # what an assertion must name as its audience; empty: the address here
    assertion_seconds: float = 300.0  # the longest time an assertion may be good for
    hold: float = 20.0  # how long a poll is held where there is nothing to say
    batch: int = 100
    first_call: str = "start"  # a poll without lastEventId: from the "start" of the queue, or from "now" on
    unknown_cursor: int = 400  # the answer to a lastEventId that never was; 0: from the start
    poll_timeout_status: int = 200
    next_base: str = ""  # the host of links.next; empty: this one
    tenant: str = ""  # the only tenant there is; empty: any
    success: int = 202  # of a sending
    unknown_reference: int = 400  # a sending about a case or payment that nobody knows; 0: taken without effect
    number_failed_event: str = "case_number_failed"  # this name and the next were lost in the public documents
    message_event: str = "create_message"
    expense_scope: str = "platform-service-provider:write"
    retry_after: str = "1"


@dataclass(frozen=True, slots=True)
class Client:
    """``keys`` are the public keys by the thumbprint x5t of their certificates."""

    client_id: str
    keys: Mapping[str, PublicKey]
    secret: str
    scopes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Token:
    client_id: str
    scopes: frozenset[str]
    expires_at: float  # of time.monotonic


@dataclass(frozen=True, slots=True)
class Trouble:
    what: int | str
    seconds: float = 0.0


@dataclass
class Known:
    """What is remembered of the world: cases by token in small letters, payments by uuid."""

    cases: dict[str, dict[str, Any]] = field(default_factory=dict)
    payments: dict[str, str] = field(default_factory=dict)
    closed_ids: set[str] = field(default_factory=set)
    settlements: dict[str, Any] = field(default_factory=dict)


class State:
    """``holding`` is how many polls wait at this moment. ``url`` is where the simulator listens."""

    def __init__(self, url: str = "http://127.0.0.1") -> None:
        self.url = url
        self.changed = threading.Condition()
        self.stopping = threading.Event()
        self.clients: dict[str, Client] = {}
        # Security token -> the aliases and e-mail addresses it may be used with; empty: any.
        self.partners: dict[str, tuple[frozenset[str], frozenset[str]]] = {}
        self.holding = 0
        self._begin()

    def _begin(self) -> None:
        self.behaviour, self.known = Behaviour(), Known()
        self.tokens: dict[str, Token] = {}
        self.assertions: dict[tuple[str, str], float] = {}
        self.events: list[tuple[int, dict[str, Any]]] = []
        self.last_id = self.forgotten_id = FIRST_ID - 1
        self._received: deque[dict[str, Any]] = deque(maxlen=10_000)
        self._troubles: dict[str, deque[Trouble]] = defaultdict(deque)

    @property
    def token_url(self) -> str:
        return self.behaviour.token_url or f"{self.url}/connect/token"

    def reset(self, everything: bool = False) -> None:
        """As at the start. Who is registered stays, unless ``everything``."""
        with self.changed:
            self._begin()
            if everything:
                self.clients, self.partners = {}, {}
            self.changed.notify_all()

    def stop(self) -> None:
        self.stopping.set()
        with self.changed:
            self.changed.notify_all()

    def register_client(
        self, client_id: str, certificates: Sequence[str] = (), secret: str = "", scopes: Sequence[str] = SCOPES
    ) -> list[str]:
        """``certificates`` as they are sent to Scalepoint: base64 of the DER. They take the place of earlier ones.
        Returns their thumbprints. Raises ValueError for a certificate that Scalepoint would not take."""
        keys = dict(read_certificate(text) for text in certificates)
        if not client_id or not (keys or secret):
            raise ValueError("A client needs an id, and a certificate or a secret.")
        with self.changed:
            self.clients[client_id] = Client(client_id, keys, secret, frozenset(scopes))
        return list(keys)

    def register_partner(self, security_token: str, aliases: Sequence[str] = (), emails: Sequence[str] = ()) -> None:
        """From the first one on, only registered security tokens are taken."""
        with self.changed:
            self.partners[security_token] = frozenset(aliases), frozenset(emails)

    def behave(self, **changes: Any) -> Behaviour:
        """Change some of Behaviour. Raises ValueError for what does not exist, or has another type."""
        kinds = {each.name: type(each.default) for each in fields(Behaviour)}
        for name, value in changes.items():
            fits = isinstance(value, int | float) if kinds.get(name) is float else type(value) is kinds.get(name)
            if not fits:
                raise ValueError(f"There is no behaviour {name} = {value!r}.")
        with self.changed:
            for name, value in changes.items():
                setattr(self.behaviour, name, value)
            self.changed.notify_all()
        return self.behaviour

    def fail(self, place: str, what: int | str, times: int = 1, seconds: float = 0.0) -> None:
        """The next ``times`` calls of a place go wrong: a status is answered and nothing done; "drop": done, and the
        connection closed without an answer; "lost": closed and not done; "slow": done, answered after ``seconds``;
        "garbage": done, answered 200 with a page. Several wait in line."""
        if place not in PLACES or not (what in TROUBLES or (type(what) is int and 200 <= what <= 599)):
            raise ValueError(f"Unknown place {place!r} or trouble {what!r}.")
        with self.changed:
            self._troubles[place].extend([Trouble(what, seconds)] * times)

    def next_trouble(self, place: str) -> Trouble | None:
        with self.changed:
            waiting = self._troubles[place]
            return waiting.popleft() if waiting else None

    def revoke_tokens(self) -> int:
        """Every access token that was given out is refused from now on. Returns how many."""
        with self.changed:
            count = len(self.tokens)
            self.tokens.clear()
            return count

    def know(self, event: Mapping[str, Any]) -> None:
        """Remember the case and the payments of an event. A case keeps the number it was first known with."""
        case = event.get("case")
        if isinstance(case, Mapping) and isinstance(case.get("token"), str):
            self.know_case(case["token"], str(case.get("number") or ""))
        with self.changed:
            for payment in event.get("payments") or ():
                self.known.payments.setdefault(str(payment.get("uuid")), "")

    def know_case(self, token: str, number: str = "") -> None:
        with self.changed:
            self.known.cases.setdefault(token.casefold(), {"number": number, "closed": False, "messages": []})

    def case(self, token: str) -> dict[str, Any] | None:
        """{"number", "closed", "messages"} of a case, None for an unknown one."""
        with self.changed:
            found = self.known.cases.get(token.casefold())
            return {**found, "messages": list(found["messages"])} if found else None

    def payment(self, uuid: str) -> str | None:
        """The status that was sent for a payment, "" for none yet, None for an unknown payment."""
        with self.changed:
            return self.known.payments.get(uuid)

    def close_case(self, case_id: str) -> None:
        """No more files can be sent to the case with this id."""
        with self.changed:
            self.known.closed_ids.add(case_id.casefold())

    def set_settlement(self, token: str, answer: Any) -> None:
        """What a revision token gives instead of an invented settlement: a document, or a status."""
        with self.changed:
            self.known.settlements[token.casefold()] = answer

    def queue_events(self, events: Iterable[Mapping[str, Any]]) -> list[str]:
        """Put flat events at the end of the queue that is polled. Returns their ids."""
        made: list[str] = []
        with self.changed:
            for event in events:
                self.know(event)
                self.last_id += 1
                made.append(f"_{self.last_id}")
                wrapped = {"id": made[-1], "type": event["eventType"], "timestamp": _now(), "attributes": dict(event)}
                self.events.append((self.last_id, wrapped))
            self.changed.notify_all()
        return made

    def forget_events(self, before: str) -> None:
        """The end of the retention: what is older than this id can't be read or continued from any more."""
        with self.changed:
            first = int(before.removeprefix("_"))
            self.events = [(number, event) for number, event in self.events if number >= first]
            self.forgotten_id = max(self.forgotten_id, first - 1)

    def events_after(self, number: int, seconds: float) -> list[dict[str, Any]]:
        """The next events, waited for as long as that; [] for none."""
        deadline = time.monotonic() + seconds
        with self.changed:
            self.holding += 1
            try:
                while True:
                    found = [event for each, event in self.events if each > number][: self.behaviour.batch]
                    left = deadline - time.monotonic()
                    if found or left <= 0 or self.stopping.is_set():
                        return found
                    self.changed.wait(left)
            finally:
                self.holding -= 1

    def keep(self, told: dict[str, Any]) -> None:
        with self.changed:
            self._received.append({"at": _now(), **told})
            self.changed.notify_all()

    def received(self, place: str = "") -> list[dict[str, Any]]:
        """What came, oldest first: {"at", "place", "status", "reason", "trouble", ...} and what the place adds:
        "event" and "effect" (send), "body" (files, expenses), "client_id", "scope" and "claims" (token)."""
        with self.changed:
            return [each for each in self._received if place in ("", each["place"])]

    def wait_received(self, place: str, count: int, seconds: float = 10.0) -> list[dict[str, Any]]:
        """Wait until so many came. Returns what came by then."""
        with self.changed:
            self.changed.wait_for(lambda: len(self.received(place)) >= count, seconds)
            return self.received(place)


def _now() -> str:
    """The queue's own clock: nanoseconds and Z."""
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}789Z"
