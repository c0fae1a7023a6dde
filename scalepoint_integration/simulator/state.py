"""What the stand-in knows and how it behaves: one object, safe to use from any thread.

>>> with start() as server:
...     server.scalepoint.register_client("firm", certificates=["MIIC..."])
...     server.scalepoint.queue_events([event])
...     server.scalepoint.fail("send", "drop")      # the next sending is taken, and then not answered
...     server.scalepoint.received("send")          # what was sent so far

Everything here can also be called over HTTP: control.py.

With a file it outlives its process, as Scalepoint's data does: what was answered is in the file before the answer
leaves, so that a kill -9 loses nothing that anybody was told. Troubles that wait are not kept.
"""

import json
import os
import threading
import time
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
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
    certificates: tuple[str, ...]
    keys: Mapping[str, PublicKey]
    secret: str
    scopes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Token:
    client_id: str
    scopes: frozenset[str]
    expires_at: float  # of time.time: another process may have to judge it


@dataclass(frozen=True, slots=True)
class Trouble:
    what: int | str
    seconds: float = 0.0


@dataclass
class Known:
    """What is remembered of the world: cases by token in small letters, payments by uuid, ids in small letters of
    cases that are closed, the case that a revision belongs to, and the events that were sent to us, by their digest."""

    cases: dict[str, dict[str, Any]] = field(default_factory=dict)
    payments: dict[str, str] = field(default_factory=dict)
    closed_ids: list[str] = field(default_factory=list)
    settlements: dict[str, Any] = field(default_factory=dict)
    revisions: dict[str, dict[str, str]] = field(default_factory=dict)
    sent: list[str] = field(default_factory=list)


class State:
    """``holding`` is how many polls wait at this moment. ``url`` is where the simulator listens; ``file`` is where the
    state is kept, and taken from at the start. Raises ValueError or OSError where it can't be."""

    def __init__(self, url: str = "http://127.0.0.1", file: Path | None = None) -> None:
        self.url, self.file = url, file
        self.changed = threading.Condition()
        self._depth = 0
        self.stopping = threading.Event()
        self.clients: dict[str, Client] = {}
        # Security token -> the aliases and e-mail addresses it may be used with; empty: any.
        self.partners: dict[str, tuple[frozenset[str], frozenset[str]]] = {}
        self.holding = 0
        self._begin()
        if file:
            if file.exists():
                self._load(json.loads(file.read_bytes()))
            self._save()

    def _begin(self) -> None:
        self.behaviour, self.known = Behaviour(), Known()
        self.tokens: dict[str, Token] = {}
        self.assertions: dict[tuple[str, str], float] = {}
        self.events: list[tuple[int, dict[str, Any]]] = []
        self.last_id = self.forgotten_id = FIRST_ID - 1
        self._received: deque[dict[str, Any]] = deque(maxlen=10_000)
        self._troubles: dict[str, deque[Trouble]] = defaultdict(deque)

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Around every change: one at a time, in the file at the end, and told to those who wait."""
        with self.changed:
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1
                if not self._depth:
                    self._save()
                    self.changed.notify_all()

    def _save(self) -> None:
        """Whole or not at all. A kill of this process takes nothing that the system was given to write."""
        if not self.file:
            return
        said = {
            "behaviour": asdict(self.behaviour),
            "known": asdict(self.known),
            "clients": [
                [each.client_id, each.certificates, each.secret, sorted(each.scopes)] for each in self.clients.values()
            ],
            "partners": [[name, *map(sorted, allowed)] for name, allowed in self.partners.items()],
            "tokens": [[value, *_parts(token)] for value, token in self.tokens.items()],
            "assertions": [[*name, end] for name, end in self.assertions.items()],
            "events": [event for _, event in self.events],
            "last_id": self.last_id,
            "forgotten_id": self.forgotten_id,
            "received": list(self._received),
        }
        half = self.file.with_name(f".{self.file.name}.{os.getpid()}")
        half.touch(mode=0o600)  # tokens and secrets are in it
        half.write_text(json.dumps(said))
        half.replace(self.file)

    def _load(self, said: Any) -> None:
        """Raises ValueError for what ``_save`` did not write."""
        try:
            self.behaviour, self.known = Behaviour(**said["behaviour"]), Known(**said["known"])
            for client_id, certificates, secret, scopes in said["clients"]:
                self.register_client(client_id, certificates, secret, scopes)
            self.partners = {name: (frozenset(one), frozenset(two)) for name, one, two in said["partners"]}
            self.tokens = {value: Token(who, frozenset(scopes), end) for value, who, scopes, end in said["tokens"]}
            self.assertions = {(who, name): end for who, name, end in said["assertions"]}
            self.events = [(int(event["id"].removeprefix("_")), event) for event in said["events"]]
            self.last_id, self.forgotten_id = int(said["last_id"]), int(said["forgotten_id"])
            self._received.extend(said["received"])
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"not a state of the simulator: {type(error).__name__} {error}") from None

    @property
    def token_url(self) -> str:
        return self.behaviour.token_url or f"{self.url}/connect/token"

    def reset(self, everything: bool = False) -> None:
        """As at the start. Who is registered stays, unless ``everything``."""
        with self.changing():
            self._begin()
            if everything:
                self.clients, self.partners = {}, {}

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
        with self.changing():
            self.clients[client_id] = Client(client_id, tuple(certificates), keys, secret, frozenset(scopes))
        return list(keys)

    def register_partner(self, security_token: str, aliases: Sequence[str] = (), emails: Sequence[str] = ()) -> None:
        """From the first one on, only registered security tokens are taken."""
        with self.changing():
            self.partners[security_token] = frozenset(aliases), frozenset(emails)

    def behave(self, **changes: Any) -> Behaviour:
        """Change some of Behaviour. Raises ValueError for what does not exist, or has another type."""
        kinds = {each.name: type(each.default) for each in fields(Behaviour)}
        for name, value in changes.items():
            fits = isinstance(value, int | float) if kinds.get(name) is float else type(value) is kinds.get(name)
            if not fits:
                raise ValueError(f"There is no behaviour {name} = {value!r}.")
        with self.changing():
            for name, value in changes.items():
                setattr(self.behaviour, name, value)
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
        with self.changing():
            count = len(self.tokens)
            self.tokens.clear()
            return count

    def know(self, event: Mapping[str, Any]) -> None:
        """Remember the case, the revision and the payments of an event. A case keeps the number it was first known
        with."""
        case, settlement = event.get("case"), event.get("settlement")
        with self.changing():
            if isinstance(case, Mapping) and isinstance(case.get("token"), str):
                self.know_case(case["token"], str(case.get("number") or ""))
                if isinstance(settlement, Mapping) and isinstance(settlement.get("revisionToken"), str):
                    whose = {name: str(case[name]) for name in ("token", "number") if case.get(name)}
                    self.known.revisions[settlement["revisionToken"].casefold()] = whose
            for payment in event.get("payments") or ():
                self.known.payments.setdefault(str(payment.get("uuid")), "")

    def know_case(self, token: str, number: str = "") -> None:
        with self.changing():
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
        with self.changing():
            self.known.closed_ids.append(case_id.casefold())

    def set_settlement(self, token: str, answer: Any) -> None:
        """What a revision token gives instead of an invented settlement: a document, or a status."""
        with self.changing():
            self.known.settlements[token.casefold()] = answer

    def queue_events(self, events: Iterable[Mapping[str, Any]]) -> list[str]:
        """Put flat events at the end of the queue that is polled. Returns their ids."""
        made: list[str] = []
        with self.changing():
            for event in events:
                self.know(event)
                self.last_id += 1
                made.append(f"_{self.last_id}")
                wrapped = {"id": made[-1], "type": event["eventType"], "timestamp": _now(), "attributes": dict(event)}
                self.events.append((self.last_id, wrapped))
        return made

    def forget_events(self, before: str) -> None:
        """The end of the retention: what is older than this id can't be read or continued from any more."""
        with self.changing():
            first = int(before.removeprefix("_"))
            self.events = [(number, event) for number, event in self.events if number >= first]
            self.forgotten_id = max(self.forgotten_id, first - 1)

    def events_after(self, number: int, seconds: float) -> list[dict[str, Any]]:
        """The next events, waited for as long as that; [] for none."""
        deadline = time.monotonic() + seconds
        with self.changed:
            self.holding += 1
            self.changed.notify_all()
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
        with self.changing():
            self._received.append({"at": _now(), **told})

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

    def wait_holding(self, count: int = 1, seconds: float = 10.0) -> int:
        """Wait until so many polls are held. Returns how many are."""
        with self.changed:
            self.changed.wait_for(lambda: self.holding >= count, seconds)
            return self.holding


def _parts(token: Token) -> tuple[str, list[str], float]:
    return token.client_id, sorted(token.scopes), token.expires_at


def _now() -> str:
    """The queue's own clock: nanoseconds and Z."""
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}789Z"
