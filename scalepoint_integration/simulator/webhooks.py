"""Events out to a site's endpoint, as Scalepoint pushes them: again until they are taken, and on demand twice, or in
another order.

The proof is a function that returns a bearer token, and is told which one was refused: ``fixed`` has one for ever,
``fetched`` gets access tokens from the site's own token address and asks anew when one has expired or was refused.
"""

import http.client
import json
import queue
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from random import Random
from typing import Any
from urllib.parse import quote_plus, urlencode

from scalepoint_integration.simulator.sender import Outcome, request
from scalepoint_integration.simulator.state import State
from scalepoint_integration.simulator.stories import WRAPPINGS, make_stories, wrap

Proof = Callable[[str], str]
_MAX_PAUSE = 5.0


class NoToken(Exception):
    """The site gave no access token. The text has its status and nothing secret."""


def fixed(token: str) -> Proof:
    return lambda refused: token


def fetched(token_url: str, client_id: str, client_secret: str, scope: str = "", basic: bool = False) -> Proof:
    """Access tokens of the site, by client_credentials: id and secret in the form, or as HTTP Basic where ``basic``.
    Many threads may ask; one of them fetches."""
    lock = threading.Lock()
    form = {"grant_type": "client_credentials"} | ({"scope": scope} if scope else {})
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    if basic:
        pair = f"{quote_plus(client_id)}:{quote_plus(client_secret)}".encode()
        headers["Authorization"] = f"Basic {b64encode(pair).decode('ascii')}"
    else:
        form |= {"client_id": client_id, "client_secret": client_secret}
    held, ends = "", 0.0

    def proof(refused: str) -> str:
        nonlocal held, ends
        with lock:
            if not held or held == refused or time.monotonic() >= ends:
                held = ""
                asked = time.monotonic()
                status, _, content = request(token_url, urlencode(form).encode(), headers)
                if status != 200:
                    raise NoToken(f"the token address answered {status}")
                try:
                    said = json.loads(content)
                    held, ends = str(said["access_token"]), asked + float(said["expires_in"])
                except (ValueError, KeyError, TypeError):
                    raise NoToken("the token address gave no token") from None
            return held

    return proof


def push(
    bodies: Sequence[Any],
    endpoint: str,
    proof: Proof | Sequence[Proof],
    *,
    threads: int = 4,
    copies: int = 1,
    shuffle: int | None = None,
    seconds: float = 120.0,
    stopping: threading.Event | None = None,
) -> Outcome:
    """Post each body, ``threads`` at a time; ``proof`` is one for all, or one per body. ``copies`` is how often each is
    sent, ``shuffle`` a seed for another order (with one thread it is the order they arrive in). Any 2xx is taken; no
    connection, 429 and 5xx are tried again for ``seconds``, a 401 once with another token. Never raises."""
    stopping = stopping or threading.Event()
    proofs = list(proof) if isinstance(proof, Sequence) else [proof] * len(bodies)
    numbers = [number for number in range(len(bodies)) for _ in range(copies)]
    if shuffle is not None:
        Random(shuffle).shuffle(numbers)  # noqa: S311  an order, not a secret
    waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
    for number in numbers:
        waiting.put(number)
    results: list[tuple[int, str]] = []

    def work() -> None:
        with suppress(queue.Empty):
            while True:
                number = waiting.get_nowait()
                content = json.dumps(bodies[number], ensure_ascii=False).encode()
                results.append((number, _deliver(content, endpoint, proofs[number], seconds, stopping)))

    workers = [threading.Thread(target=work, name="webhook", daemon=True) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    taken = [number for number, problem in results if not problem]
    errors = [f"{number}: {problem}" for number, problem in sorted(results) if problem]
    return Outcome(posted=len(bodies), accepted=len(set(taken)), deliveries=len(taken), errors=errors)


def _deliver(content: bytes, endpoint: str, proof: Proof, seconds: float, stopping: threading.Event) -> str:
    """Post one until it is answered for good. Returns what went wrong, "" for nothing."""
    deadline, pause, problem = time.monotonic() + seconds, 0.1, "not sent"
    refused = ""
    while not stopping.is_set():
        wait = pause
        try:
            token = proof(refused)
            if refused and token == refused:
                return "answered 401"
            headers = {"Content-Type": "application/json; charset=utf-8", "Authorization": f"Bearer {token}"}
            status, retry_after, _ = request(endpoint, content, headers)
        except (OSError, http.client.HTTPException) as error:
            problem = f"no answer ({type(error).__name__})"
        except NoToken as error:
            problem = str(error)
        else:
            if 200 <= status < 300:
                return ""
            problem = f"answered {status}"
            if status == 401 and not refused:
                refused = token
                continue
            if status != 429 and status < 500:
                break
            wait = max(pause, min(float(retry_after), _MAX_PAUSE)) if retry_after.isdecimal() else pause
        if time.monotonic() + wait > deadline:
            break
        stopping.wait(wait)
        pause = min(pause * 2, _MAX_PAUSE)
    return problem


def push_events(
    state: State,
    events: Sequence[Mapping[str, Any]],
    endpoint: str,
    bearer: str = "",
    client: Mapping[str, Any] | None = None,
    wrapping: str = "flat",
    **options: Any,
) -> Outcome:
    """Flat events, wrapped as asked, with a fixed bearer or as a client of the site's token address."""
    for event in events:
        state.know(event)
    proof = fetched(**client) if client else fixed(bearer)
    bodies = [wrap(event, wrapping, number) for number, event in enumerate(events)]
    return push(bodies, endpoint, proof, stopping=state.stopping, **options)


def push_stories(
    state: State,
    count: int,
    insurers: Sequence[Mapping[str, str]],
    endpoint: str,
    seed: int | str = 1,
    bearer: str = "",
    client: Mapping[str, Any] | None = None,
    wrapping: str = "",
    **options: Any,
) -> Outcome:
    """Whole stories. ``wrapping`` "" takes turns. With one thread (the default here) they arrive in their order."""
    shared = fetched(**client) if client else fixed(bearer) if bearer else None
    bodies: list[dict[str, Any]] = []
    proofs: list[Proof] = []
    for story in make_stories(count, seed, insurers, f"{state.url}/images"):
        own = shared or fixed(story.case.token)
        for event in story.events:
            state.know(event)
            bodies.append(wrap(event, wrapping or WRAPPINGS[len(bodies) % len(WRAPPINGS)], len(bodies)))
            proofs.append(own)
    return push(bodies, endpoint, proofs, stopping=state.stopping, **{"threads": 1, **options})


def queue_stories(state: State, count: int, insurers: Sequence[Mapping[str, str]], seed: int | str = 1) -> list[str]:
    return state.queue_events(_events(state, count, seed, insurers))


def _events(
    state: State, count: int, seed: int | str, insurers: Sequence[Mapping[str, str]]
) -> Iterable[dict[str, Any]]:
    for story in make_stories(count, seed, insurers, f"{state.url}/images"):
        yield from story.events
