"""Posts cases to the endpoint of a site, as Scalepoint does: several at a time, again until it is answered.

On http.client, because nothing of the environment (a proxy, a stored password) may come between.
"""

import http.client
import json
import queue
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from urllib.parse import urlsplit

from scalepoint_integration.simulator.cases import Case

_MAX_PAUSE = 5.0


@dataclass
class Outcome:
    """``posted`` counts the cases we tried, ``accepted`` those with a 202, ``deliveries`` all that was answered 202,
    the deliberate doubles among it. ``errors`` are sentences without a token in them."""

    posted: int = 0
    accepted: int = 0
    deliveries: int = 0
    errors: list[str] = field(default_factory=list)


def send(
    cases: Sequence[Case],
    endpoint: str,
    *,
    threads: int = 4,
    copies: int = 1,
    shuffle: int | None = None,
    seconds: float = 120.0,
    stopping: threading.Event | None = None,
) -> Outcome:
    """Post all of them, ``threads`` at a time, and count.

    ``copies`` is how often each is sent; ``shuffle`` a seed for another order. A case that can't be delivered (no
    connection, 429, 5xx) is tried for ``seconds``; any other answer is final. Never raises; ``stopping`` ends it early.
    """
    stopping = stopping or threading.Event()
    numbers = [number for number in range(len(cases)) for _ in range(copies)]
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
                results.append((number, _deliver(cases[number], endpoint, seconds, stopping)))

    # Daemons, not a pool: the interpreter would wait at its end for a pool that waits for a site which hangs.
    workers = [threading.Thread(target=work, name="sender", daemon=True) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    problems = [problem for _, problem in sorted(results)]
    good = {number for number, problem in results if not problem}
    return Outcome(
        posted=len(cases),
        accepted=len(good),
        deliveries=problems.count(""),
        errors=[problem for problem in problems if problem],
    )


def _deliver(case: Case, endpoint: str, seconds: float, stopping: threading.Event) -> str:
    """Post one case until it is answered for good. Returns what went wrong, "" for nothing."""
    body = json.dumps(case.event, ensure_ascii=False).encode()
    headers = {"Content-Type": "application/json; charset=utf-8", "Authorization": f"Bearer {case.token}"}
    deadline, pause, problem = time.monotonic() + seconds, 0.1, "not sent"
    while not stopping.is_set():
        wait = pause
        try:
            status, retry_after, _ = request(endpoint, body, headers)
        except (OSError, http.client.HTTPException) as error:
            problem = f"no answer ({type(error).__name__})"
        else:
            if status == 202:
                return ""
            problem = f"answered {status}"
            if status != 429 and status < 500:
                break
            wait = max(pause, min(float(retry_after), _MAX_PAUSE)) if retry_after.isdecimal() else pause
        if time.monotonic() + wait > deadline:
            break
        stopping.wait(wait)
        pause = min(pause * 2, _MAX_PAUSE)
    return f"{case.case_number}: {problem}"


def request(url: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, str, bytes]:
    """POST. Status, Retry-After, and the start of the answer. A connection of its own each time: one that broke half
    way spoils no other delivery."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        connection = http.client.HTTPSConnection(host, port, timeout=30, context=ssl.create_default_context())
    else:
        connection = http.client.HTTPConnection(host, port, timeout=30)
    try:
        connection.request("POST", parts.path or "/", body, dict(headers))
        answer = connection.getresponse()
        return answer.status, answer.headers.get("Retry-After", ""), answer.read(64 * 1024)
    finally:
        connection.close()
