"""Fetching events from Scalepoint, for sites that it can't reach: a second way into the same inbox.

A call is held open by Scalepoint until there is something; the next one begins at once. Where it begins (the cursor)
is stored with the events in one transaction, so a crash between the two loses nothing and doubles nothing.

One poller per connection: ``PollerState.leased_until`` is claimed, extended before each call, and is the fence when a
batch is stored. It also is the back-off: a poller that leaves with an error leaves its claim standing until the pause
is over. No claim is given back by a process that was killed; it runs out after a lease.
"""

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import DatabaseError, DataError, transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now

from scalepoint_integration import client, errors, queues
from scalepoint_integration.conf import conf
from scalepoint_integration.models import Connection, InboundEvent, PollerState
from scalepoint_integration.payloads import strict_json
from scalepoint_integration.payloads.envelope import Envelope, NoEvent, find_events, read_envelope
from scalepoint_integration.receiving import refusals, store
from scalepoint_integration.workqueue import LeaseLost, PermanentError, RetryableError
from scalepoint_integration.workqueue.doorbell import answered, ring

logger = logging.getLogger(__name__)

_LONGEST_PAUSE = 60.0
# An empty answer that came sooner was not held open; it must not be asked for again and again.
_SOONEST = 1.0


@dataclass(slots=True, eq=False)
class _Claim:
    """A connection that is ours as long as the row still says the same time."""

    connection_id: int
    until: datetime


# What this process holds, so that it can let go of it when it is told to end.
_held: set[_Claim] = set()


def due() -> "QuerySet[PollerState]":
    """The states of connections that nobody polls and that should be polled, the one that waited longest first."""
    free = Q(leased_until=None) | Q(leased_until__lt=Now())
    rows = _turned_on(PollerState.objects.filter(free))
    return rows.exclude(problem=errors.CURSOR_LOST.code).order_by(F("polled_at").asc(nulls_first=True), "pk")


def drain() -> int:
    """Poll one connection for the time of a job, and ring for the next turn while any is due. Returns how many events
    came."""
    answered(queues.POLL)
    state = due().select_related("connection").first()
    if state is None:
        return 0
    if due().exclude(pk=state.pk).exists():
        ring(queues.POLL)  # another worker can take the next one meanwhile
    stored = poll(state.connection, conf().drain_seconds)
    if due().exists():
        ring(queues.POLL)
    return stored


def poll(
    connection: Connection,
    seconds: float,
    *,
    until_empty: bool = False,
    stopped: Callable[[], bool] = lambda: False,
) -> int:
    """Fetch for so long, where nobody else does; ``until_empty`` ends with the first empty answer. Returns how many
    events came. A call that is under way is waited for: ``stopped`` is asked between two."""
    claim = _take(connection.pk)
    if claim is None:
        return 0
    deadline = time.monotonic() + seconds
    stored = failures = 0
    hold = 0.0  # seconds for which nobody shall poll after us
    try:
        while True:
            row = _extend(claim)
            begun = time.monotonic()
            try:
                came = _fetch(row, claim)
                stored, failures = stored + came, 0
                if not came and until_empty:
                    break
                pause = 0.0 if came else max(0.0, _SOONEST - (time.monotonic() - begun))
            except (PermanentError, LeaseLost):
                raise
            except Exception as error:
                failures += 1
                pause = _pause(error, failures)
                _note_problem(claim, error)
                if until_empty or time.monotonic() + pause > deadline:
                    hold = pause
                    break
            if stopped() or time.monotonic() + pause > deadline:
                break
            _wait(pause, stopped)
    except PermanentError as error:
        logger.error("Connection %s is not polled any more for now: %s", connection.pk, error.code)
        _note_problem(claim, error)
        hold = conf().backoff_max_seconds
    except LeaseLost:
        logger.info("Connection %s is polled by somebody else by now", connection.pk)
    finally:
        _release(claim, hold)
    return stored


def resume(connection: Connection) -> None:
    """Fetch again after a problem. Where our place was lost it begins anew: what we have is recognised, and not made
    twice."""
    changes: dict[str, Any] = {"problem": "", "leased_until": None}
    # The problem that only a person can end: where to go on is not ours to guess.
    if connection.poller_state.problem == errors.CURSOR_LOST.code:
        changes |= {"cursor": "", "next_url": ""}
    PollerState.objects.filter(pk=connection.pk).exclude(problem="").update(**changes)
    ring(queues.POLL)


def let_go() -> None:
    """Give back what this process holds, also where a call is still under way: its answer will not be stored."""
    for claim in list(_held):
        _release(claim, 0.0)


# ---- One fetch ----------------------------------------------------------------------------------------------------
def _fetch(connection: Connection, claim: _Claim) -> int:
    """Call once and store what came. Returns how many events that was, also those that are none."""
    state = connection.poller_state
    batch = client.receive(connection, after=state.cursor, next_url=state.next_url)
    # One that does not fit the column is as good as none.
    cursor = batch.cursor if 0 < len(batch.cursor) <= 100 else state.cursor
    _store(claim, batch, cursor)
    # What came is stored: it may be new all the same. But the next call would bring it again.
    if batch.events and cursor == state.cursor:
        raise RetryableError("events without a new cursor", error=errors.SAME_EVENTS_AGAIN)
    return len(batch.events)


def _store(claim: _Claim, batch: client.Batch, cursor: str) -> None:
    found, bad = _read(batch.events)
    with transaction.atomic():
        # First, because it also locks: nobody else can store for this connection now.
        place = {"cursor": cursor, "next_url": batch.next_url, "polled_at": Now(), "problem": ""}
        if not _mine(claim).update(**place):
            raise LeaseLost
        size = conf().max_batch_events
        for start in range(0, len(found), size):
            bad += _receive(claim.connection_id, found[start : start + size])
        for detail, content in bad:
            _refuse(claim.connection_id, detail, content)


def _read(events: list[Any]) -> tuple[list[Envelope], list[tuple[str, bytes]]]:
    """The events, and what is none with the reason: one bad event must not hold up its neighbours."""
    found: list[Envelope] = []
    bad: list[tuple[str, bytes]] = []
    for event in events:
        try:
            found += [read_envelope(each, vendor_id) for each, vendor_id in find_events(event, 1)]
        except NoEvent as error:
            bad.append((str(error), _as_text(event)))
        except (TypeError, ValueError, RecursionError) as error:
            bad.append((type(error).__name__, _as_text(event)))
    return found, bad


def _receive(pk: int, events: list[Envelope]) -> list[tuple[str, bytes]]:
    """Store all, or, where the database can't hold one of them, one by one. Returns those it can't hold."""
    bad = []
    try:
        with transaction.atomic():
            store.receive(pk, None, events, InboundEvent.Source.POLL)
    except (DataError, ValueError):
        for event in events:
            try:
                with transaction.atomic():
                    store.receive(pk, None, [event], InboundEvent.Source.POLL)
            except (DataError, ValueError):
                bad.append(("the database can't hold it", event.body))
    return bad


def _refuse(pk: int, detail: str, content: bytes) -> None:
    refused = refusals.Refused(400, errors.UNREADABLE, f"fetched: {detail}")
    refusals.note(refused, refusals.new_incident(), pk, "", len(content), body=content)


def _as_text(event: Any) -> bytes:
    try:
        return strict_json.canonical(event)
    except (TypeError, ValueError, RecursionError):
        return b""


# ---- The claim ----------------------------------------------------------------------------------------------------
def _take(pk: int) -> _Claim | None:
    """Claim the connection, if nobody has it. Two at once: the second waits for the row, and then finds it taken."""
    with transaction.atomic():
        if not due().order_by().filter(pk=pk).update(leased_until=_lease()):
            return None
        claim = _Claim(pk, _read_until(pk))
    _held.add(claim)
    return claim


def _extend(claim: _Claim) -> Connection:
    """The connection as it stands now, held for another lease. Raises LeaseLost, also where it was switched off."""
    with transaction.atomic():
        if not _turned_on(_mine(claim)).update(leased_until=_lease()):
            raise LeaseLost
        claim.until = _read_until(claim.connection_id)
        return Connection.objects.select_related("poller_state").get(pk=claim.connection_id)


def _release(claim: _Claim, hold: float) -> None:
    """Give it back; nobody takes it for the time of the hold."""
    until = Now() + timedelta(seconds=hold) if hold else None
    try:
        _mine(claim).update(leased_until=until)
    except DatabaseError as error:  # it runs out by itself, and the reason why we end matters more
        logger.warning("The claim of connection %s was not given back: %s", claim.connection_id, type(error).__name__)
    _held.discard(claim)


def _note_problem(claim: _Claim, error: Exception) -> None:
    code = error.code if isinstance(error, RetryableError | PermanentError) else errors.UNFORESEEN.code
    logger.warning("Connection %s could not be polled: %s %s", claim.connection_id, code, type(error).__name__)
    _mine(claim).update(problem=code)


def _mine(claim: _Claim) -> "QuerySet[PollerState]":
    return PollerState.objects.filter(pk=claim.connection_id, leased_until=claim.until)


def _turned_on(states: "QuerySet[PollerState]") -> "QuerySet[PollerState]":
    """Those whose connection is to be polled. As a subquery, not a join: an UPDATE with a join would compare the lease
    inside of a subquery too, which is not read again after waiting for the lock, and two pollers would get it."""
    return states.filter(connection__in=Connection.objects.filter(poll=True).exclude(switch=Connection.Switch.OFF))


def _read_until(pk: int) -> datetime:
    until = PollerState.objects.values_list("leased_until", flat=True).get(pk=pk)
    assert until  # noqa: S101  for the type checker
    return until


def _lease() -> Any:
    return Now() + timedelta(seconds=conf().lease_seconds)


# ---- Time ---------------------------------------------------------------------------------------------------------
def _pause(error: Exception, failures: int) -> float:
    """At least as long as Scalepoint asks for, and longer with each failure."""
    asked = (error.seconds if isinstance(error, RetryableError) else None) or 0.0
    pause = min(2.0 ** (failures - 1), _LONGEST_PAUSE) * random.uniform(0.75, 1.0)  # noqa: S311  jitter, not a secret
    return max(min(asked, conf().backoff_max_seconds), pause)


def _wait(seconds: float, stopped: Callable[[], bool]) -> None:
    end = time.monotonic() + seconds
    while not stopped() and (left := end - time.monotonic()) > 0:
        time.sleep(min(left, 0.2))
